"""Stand-in, for tests."""

STAND_IN = True


class CLoihiProcessModel:
    pass
