"""PARSeq's LMDB layout: `num-samples`, and `image-%09d` with `label-%09d` from 1."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path

import lmdb

from ocrpretrain.data.sources.base import AnnotatedImage, Needs, Source
from ocrpretrain.data.sources.listed import annotate
from ocrpretrain.errors import DataError


class LMDBWords(Source):
    """Crops of one word each; its polygon is the border of the picture.

    Args:
        path: folder that holds `data.mdb`.

    Raises:
        DataError: no such layout there. When an image is read: a missing entry, a label that is
            not UTF-8, or an unreadable picture.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.root = Path(path)
        self.folder = str(self.root.resolve())
        _environment.cache_clear()  # the folder may have been written anew
        count = self._get("num-samples")
        if not count.isdigit() or not int(count):
            raise DataError(f"{self.root}: num-samples is {count!r}")
        self.length = int(count)

    def __len__(self) -> int:
        return self.length

    def read(self, index: int, needs: Needs | None = None) -> AnnotatedImage:
        name, label = self._key("image", index), self._key("label", index)
        try:
            text = self._get(label).decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"{self.root}: {label}: not UTF-8 ({error.reason})") from None
        return annotate(self.picture(index), text, f"{self.root}: {name!r}", name, needs)

    def picture(self, index: int) -> bytes:
        """The file of a picture."""
        return self._get(self._key("image", index))

    def _key(self, what: str, index: int) -> str:
        return f"{what}-{range(1, self.length + 1)[index]:09d}"

    def _get(self, key: str) -> bytes:
        with _environment(self.folder).begin() as transaction:
            value = transaction.get(key.encode())
        if value is None:
            raise DataError(f"{self.root}: has no entry {key!r}")
        return bytes(value)

    def describe(self) -> str:
        return f"{self.root.name} ({len(self)} images)"

    def fingerprint(self) -> str:
        digest = hashlib.sha256(str((self.root / "data.mdb").stat().st_size).encode())
        with _environment(self.folder).begin() as transaction:
            cursor = transaction.cursor()
            cursor.set_range(b"label-")
            for key, value in cursor:
                digest.update(repr((key, value)).encode())
        return f"{self.describe()} {digest.hexdigest()[:12]}"


@lru_cache
def _environment(root: str) -> lmdb.Environment:
    """Without locks and read-ahead: nothing is written, and reading is at random."""
    if not (Path(root) / "data.mdb").is_file():
        raise DataError(f"{root}: holds no data.mdb")
    try:
        return lmdb.open(root, readonly=True, lock=False, readahead=False, meminit=False)
    except lmdb.Error as error:
        raise DataError(f"{root}: not a readable LMDB ({error})") from None


# LMDB allows one environment per folder and process, and none that was opened before a fork.
os.register_at_fork(after_in_child=_environment.cache_clear)
