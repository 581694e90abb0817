"""What can go wrong with data, models and training, as errors a user can act on.

Every message says what was found, what is allowed and what to do.
"""


class SnnError(Exception):
    """Base of all errors that this package raises on purpose."""


class EventFormatError(SnnError):
    """A file or array does not hold the events it should hold."""


class DatasetError(SnnError):
    """A data set is missing, incomplete or made with another renderer."""


class ModelError(SnnError):
    """A network description that the chosen engine cannot build."""


class TrainingError(SnnError):
    """Training cannot start or continue: a dead network, a diverged loss, a foreign checkpoint."""
