"""Checks a config file of either stage; MMOCR is only imported for a finetuning config."""

from __future__ import annotations

import os

from ocrpretrain.cli import needs_transfer
from ocrpretrain.config import load, read
from ocrpretrain.errors import ConfigError


def check_file(path: str | os.PathLike[str]) -> None:
    """Check one file; a config with a `model` is MMOCR's, any other one is ours.

    Raises:
        ConfigError: all mistakes of the file, or MMOCR is needed and not installed.
    """
    if _is_finetune(path):
        try:
            from ocrpretrain.transfer.mmocr import load as load_finetune

            load_finetune(path)
        except ModuleNotFoundError as error:
            raise ConfigError(f"{path}: {needs_transfer(error)}") from None
    else:
        load(path)


def _is_finetune(path: str | os.PathLike[str]) -> bool:
    from ocrpretrain.transfer import compat

    compat.install()  # `mmocr::` bases are found through pkg_resources
    return "model" in read(path)
