"""Sources of annotated images: one file per format."""

from __future__ import annotations

import os
from pathlib import Path

from ocrpretrain.data.sources.base import AnnotatedImage, Source, Word
from ocrpretrain.data.sources.crops import WordCrops
from ocrpretrain.data.sources.fewer_labels import FewerLabels
from ocrpretrain.data.sources.files import FileStore
from ocrpretrain.data.sources.icdar import ICDAR2015
from ocrpretrain.data.sources.labels import LabelsFolder
from ocrpretrain.data.sources.lmdb_words import LMDBWords
from ocrpretrain.data.sources.mixed import Mixed
from ocrpretrain.data.sources.noisy_labels import NoisyLabels, WeakLabels
from ocrpretrain.data.sources.part import Part
from ocrpretrain.data.sources.shards import Shards
from ocrpretrain.errors import DataError

__all__ = [
    "AnnotatedImage",
    "FewerLabels",
    "FileStore",
    "Folder",
    "ICDAR2015",
    "LMDBWords",
    "LabelsFolder",
    "Mixed",
    "NoisyLabels",
    "Part",
    "Shards",
    "Source",
    "WeakLabels",
    "Word",
    "WordCrops",
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
        path: holds `labels.jsonl`, ICDAR2015's images and `gt_*.txt`, WebDataset tars, or an LMDB;
            or is a `.jsonl` file beside or above its images.
        start: see `Part`.
        stop: see `Part`.
        seed: see `Part`.
        max_bad: share of the entries that may be unusable; see the layout's class.

    Raises:
        DataError: no known layout is found.
    """
    source = _open(path, max_bad)
    return source if (start, stop) == (0.0, 1.0) else Part(source, start, stop, seed)


def _open(path: str | os.PathLike[str], max_bad: float) -> Source:
    if Path(path).suffix == ".jsonl":
        return LabelsFolder(path, max_bad)
    store = FileStore(path)
    names = store.names()
    if "labels.jsonl" in names:
        return LabelsFolder(path, max_bad)
    if any(name.rsplit("/", 1)[-1].startswith("gt_") for name in names):
        return ICDAR2015(path, max_bad=max_bad)
    if not store.is_zip and "data.mdb" in names:
        return LMDBWords(path)
    if not store.is_zip and any(name.endswith(".tar") and "/" not in name for name in names):
        return Shards(path, max_bad)
    raise DataError(
        f"{path}: holds neither labels.jsonl, ICDAR2015's gt_*.txt, .tar files nor data.mdb"
    )
