"""Annotated images -> views -> batches. The names below are what configs use."""

from ocrpretrain.data.datamodule import OCRDataModule
from ocrpretrain.data.sources import (
    ICDAR2015,
    FewerLabels,
    Folder,
    LabelsFolder,
    LMDBWords,
    Mixed,
    NoisyLabels,
    Part,
    Shards,
    WeakLabels,
    WordCrops,
)
from ocrpretrain.data.synthesis import (
    PlainTexts,
    SyntheticPages,
    SyntheticScenes,
    SyntheticWords,
    Texts,
)

__all__ = [
    "FewerLabels",
    "Folder",
    "ICDAR2015",
    "LMDBWords",
    "LabelsFolder",
    "Mixed",
    "NoisyLabels",
    "OCRDataModule",
    "Part",
    "PlainTexts",
    "Shards",
    "SyntheticPages",
    "SyntheticScenes",
    "SyntheticWords",
    "Texts",
    "WeakLabels",
    "WordCrops",
]
