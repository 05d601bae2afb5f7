"""Annotated images -> views -> batches. The names below are what configs use."""

from ocrpretrain.data.datamodule import OCRDataModule
from ocrpretrain.data.sources import ICDAR2015, FewerLabels, Folder, LabelsFolder, Part
from ocrpretrain.data.synthesis import SyntheticScenes

__all__ = [
    "FewerLabels",
    "Folder",
    "ICDAR2015",
    "LabelsFolder",
    "OCRDataModule",
    "Part",
    "SyntheticScenes",
]
