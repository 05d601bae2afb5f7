"""Checks a config file of either stage; MMOCR is only imported for a finetuning config."""

from __future__ import annotations

import os

from ocrpretrain.cli import needs_transfer
from ocrpretrain.config import load, read
from ocrpretrain.errors import ConfigError


def check_file(path: str | os.PathLike[str]) -> None:
    """Check one file: MMOCR's configs have a `model`, ablations a `pretrain`.

    Raises:
        ConfigError: all mistakes of the file, or MMOCR is needed and not installed.
    """
    import ocrpretrain.transfer  # noqa: F401 - `mmocr::` bases are found through pkg_resources

    sections = read(path)
    try:
        if "model" in sections:
            from ocrpretrain.transfer.mmocr import load as load_finetune

            load_finetune(path)
        elif "pretrain" in sections:
            from ocrpretrain.ablation.matrix import load_matrix

            load_matrix(path, with_data=False)
        else:
            load(path)
    except ModuleNotFoundError as error:
        raise ConfigError(f"{path}: {needs_transfer(error)}") from None
