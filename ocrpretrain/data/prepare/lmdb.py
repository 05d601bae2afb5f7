"""Any source of words -> PARSeq's LMDB layout."""

from __future__ import annotations

import os
import shutil
from itertools import islice
from pathlib import Path

import lmdb

from ocrpretrain.data.prepare.encoding import encode_all
from ocrpretrain.data.sources.base import Source
from ocrpretrain.errors import DataError

COMMIT_EVERY = 10_000


def write_lmdb(
    source: Source,
    path: str | os.PathLike[str],
    quality: int = 95,
    workers: int = 1,
    map_size: int = 2**30,
) -> Path:
    """Write images of one word each; their texts are the labels, polygons are not kept.

    Args:
        source: what to write; files that are JPEGs are copied.
        path: a new folder; it has another name until it is whole.
        quality: of new JPEGs.
        workers: processes that draw or read the images.
        map_size: bytes to begin with; it grows.

    Raises:
        DataError: a folder that exists, or an image that is not one legible word.
    """
    folder = Path(path)
    if folder.exists():
        raise DataError(f"{folder}: exists; give a new folder")
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    with lmdb.open(str(part), map_size=map_size) as environment:
        pairs = enumerate(encode_all(source, "{}", quality, workers), 1)
        while batch := list(islice(pairs, COMMIT_EVERY)):
            entries = {}
            for number, (row, data) in batch:
                entries[b"image-%09d" % number] = data
                entries[b"label-%09d" % number] = _text(row).encode()
            _put(environment, entries)
        _put(environment, {b"num-samples": str(len(source)).encode()})
    (part / "lock.mdb").unlink()
    part.rename(folder)
    return folder


def _text(row: dict) -> str:
    words = row["words"]
    if len(words) != 1 or words[0]["ignore"]:
        legible = sum(not word["ignore"] for word in words)
        raise DataError(
            f"{row['id']}: has {legible} legible of {len(words)} words, and this layout one per "
            "image; cut crops first (WordCrops)"
        )
    return words[0]["text"]


def _put(environment: lmdb.Environment, entries: dict[bytes, bytes]) -> None:
    """Write in one transaction, in a larger map where it does not fit."""
    try:
        with environment.begin(write=True) as transaction:
            for key, value in entries.items():
                transaction.put(key, value)
    except lmdb.MapFullError:
        environment.set_mapsize(2 * environment.info()["map_size"])
        _put(environment, entries)
