"""Errors of the command line and of run folders; the exit code each of them means."""


class SpikefaceError(Exception):
    """Base of all errors that this package raises on purpose."""


class ConfigError(SpikefaceError):
    """A configuration that cannot be used: exit code 2."""


class RunFolderError(SpikefaceError):
    """A run folder that exists already, is incomplete, or cannot be written."""


class InputError(SpikefaceError):
    """An input that does not exist, is not readable, or does not fit the network."""


class OutputError(SpikefaceError):
    """A file that exists already or cannot be written."""
