"""Sources of annotated images: one file per format."""

from __future__ import annotations

import os

from ocrpretrain.data.sources.base import AnnotatedImage, Source, Word
from ocrpretrain.data.sources.fewer_labels import FewerLabels
from ocrpretrain.data.sources.files import FileStore
from ocrpretrain.data.sources.icdar import ICDAR2015
from ocrpretrain.data.sources.labels import LabelsFolder
from ocrpretrain.data.sources.part import Part
from ocrpretrain.errors import DataError

__all__ = [
    "AnnotatedImage",
    "FewerLabels",
    "FileStore",
    "Folder",
    "ICDAR2015",
    "LabelsFolder",
    "Part",
    "Source",
    "Word",
]


def Folder(  # noqa: N802 - stands in a config where a class would
    path: str | os.PathLike[str],
    start: float = 0.0,
    stop: float = 1.0,
    seed: int = 0,
    max_bad: float = 0.0,
) -> Source:
    """Open a folder or zip in any known layout, and take a seeded share of it.

    Args:
        path: holds `labels.jsonl`, or ICDAR2015's images and `gt_*.txt`.
        start: see `Part`.
        stop: see `Part`.
        seed: see `Part`.
        max_bad: share of the entries that may be unusable; see the layout's class.

    Raises:
        DataError: no known layout is found.
    """
    names = FileStore(path).names()
    if "labels.jsonl" in names:
        source: Source = LabelsFolder(path, max_bad)
    elif any(name.rsplit("/", 1)[-1].startswith("gt_") for name in names):
        source = ICDAR2015(path, max_bad=max_bad)
    else:
        raise DataError(f"{path}: holds neither labels.jsonl nor ICDAR2015's gt_*.txt")
    return source if (start, stop) == (0.0, 1.0) else Part(source, start, stop, seed)
