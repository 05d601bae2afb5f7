"""ocrpretrain: which pretraining makes a text detector or recognizer better, and by how much?

The Python API. Names are resolved on first use: importing the package imports no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ocrpretrain.data import OCRDataModule
    from ocrpretrain.engine import pretrain
    from ocrpretrain.module import PretrainModule
    from ocrpretrain.transfer.evaluate import evaluate
    from ocrpretrain.weights.build import load_backbone, load_reader

__version__ = "0.1.0"
__all__ = [
    "OCRDataModule",
    "PretrainModule",
    "evaluate",
    "load_backbone",
    "load_reader",
    "pretrain",
]

_HOME = {
    "OCRDataModule": "ocrpretrain.data",
    "PretrainModule": "ocrpretrain.module",
    "pretrain": "ocrpretrain.engine",
    "evaluate": "ocrpretrain.transfer.evaluate",
    "load_backbone": "ocrpretrain.weights.build",
    "load_reader": "ocrpretrain.weights.build",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'ocrpretrain' has no attribute {name!r}")
