"""Stand-in, for tests."""

STAND_IN = True


class CompilerOptions:
    verbose = False
