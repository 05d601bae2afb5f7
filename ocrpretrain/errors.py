"""Errors for users' mistakes. All are `ValueError`s; the tools print them without a traceback."""


class OCRPretrainError(ValueError):
    """Base of all errors that a user can mend."""


class ConfigError(OCRPretrainError):
    """One or many mistakes in a config, one per line: `file: dotted.path: message`."""


class DataError(OCRPretrainError):
    """Labels or images that cannot be used as they are."""


class CheckpointMismatchError(OCRPretrainError):
    """A weights file that does not fit the module it is loaded into, tensor by tensor."""


class UntrainedError(OCRPretrainError):
    """Trainable tensors that a run would export without ever having trained them."""
