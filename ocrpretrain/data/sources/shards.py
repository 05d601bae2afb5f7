"""A folder of WebDataset tars, read in any order through an index beside each tar.

A sample is a picture `KEY.jpg` (jpeg, png, webp) with its labels: `KEY.json` (see `rows.py`), or
`KEY.txt` with the text that the whole picture shows. A JSON beside a text is another tool's.
"""

from __future__ import annotations

import hashlib
import json
import os
from functools import lru_cache
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from ocrpretrain.data.prepare.index import load_index
from ocrpretrain.data.sources.bad import check_bad
from ocrpretrain.data.sources.base import AnnotatedImage, Needs, Source, Word
from ocrpretrain.data.sources.listed import annotate
from ocrpretrain.data.sources.rows import parse_row
from ocrpretrain.errors import DataError

MAX_OPEN = 256  # tars that a process keeps open


class Shards(Source):
    """The samples of all tars of a folder, in the order of the tars' names.

    Labels are parsed when they are read, so that memory holds some 70 bytes per image.

    Args:
        path: the folder.
        max_bad: share of the samples that may lack picture or labels; they are left out and named.
        verify: compare the tars with the checksums in their indices, which reads them whole.

    Raises:
        DataError: more such samples; a damaged tar; one that its index does not fit; an
            unfinished set. When an image is read: unusable labels, or an unreadable picture.
    """

    def __init__(
        self, path: str | os.PathLike[str], max_bad: float = 0.0, verify: bool = False
    ) -> None:
        self.root = Path(path)
        self.tars = sorted(self.root.glob("*.tar"))
        if not self.tars:
            raise DataError(f"{self.root}: holds no .tar")
        _opened.cache_clear()  # a tar may have been written anew
        quick = not verify and all(tar.with_suffix(".idx").exists() for tar in self.tars)
        keys, places, errors, others = [], [], [], 0
        self.checksums: list[str] = []
        tars = track(self.tars, "read shards", transient=True, disable=quick)
        for number, tar in enumerate(tars):
            index = load_index(tar, verify)
            names = [sample.key.encode(errors="replace") for sample in index.samples]
            keys.append(np.array(names, np.bytes_))
            place = np.array([(number, *sample[1:]) for sample in index.samples], np.int64)
            places.append(place.reshape(-1, 6))
            errors += index.errors
            others += index.others
            self.checksums.append(index.sha256)
        self.keys, self.places = np.concatenate(keys), np.concatenate(places)
        total = len(self) + len(errors)
        check_bad(self.root, errors, total, max_bad)
        self._check_count(total)
        if others:
            print(f"{self.root}: {others} files in the tars are neither pictures nor labels")

    def _check_count(self, found: int) -> None:
        about = self.root / "source.json"
        count = json.loads(about.read_text("utf-8")).get("count") if about.exists() else found
        if count != found:
            raise DataError(
                f"{self.root}: holds {found} of {count} images; write the rest with the same "
                "command, or delete source.json to use it as it is"
            )
        if not len(self):
            raise DataError(f"{self.root}: holds no image with labels")

    def __len__(self) -> int:
        return len(self.keys)

    def read(self, index: int, needs: Needs | None = None) -> AnnotatedImage:
        number, *_, start, size, is_text = self.places[index].tolist()
        tar, key = self.tars[number], self.keys[index].decode()
        where = f"{tar}: {key!r}"
        row, words = _parse(_bytes(tar, start, size), is_text, where)
        return annotate(self.picture(index), words, where, str(row.get("id", key)), needs)

    def picture(self, index: int) -> bytes:
        """The file of a picture."""
        number, start, size, *_ = self.places[index].tolist()
        return _bytes(self.tars[number], start, size)

    def describe(self) -> str:
        return f"{self.root.name} ({len(self)} images)"

    def fingerprint(self) -> str:
        names = [tar.name for tar in self.tars]
        content = repr(list(zip(names, self.checksums, strict=True))).encode()
        return f"{self.describe()} {hashlib.sha256(content).hexdigest()[:12]}"


def _parse(data: bytes, is_text: bool, where: str) -> tuple[dict[str, Any], list[Word] | str]:
    if not is_text:
        return parse_row(data, where)
    try:
        return {}, data.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: not UTF-8 ({error.reason})") from None


def _bytes(tar: Path, start: int, size: int) -> bytes:
    # Not mapped: mapped pages count as the process's memory, and a lost one kills it.
    return os.pread(_opened(str(tar)).fileno(), size, start)


@lru_cache(MAX_OPEN)
def _opened(tar: str) -> FileIO:
    return FileIO(tar)


os.register_at_fork(after_in_child=_opened.cache_clear)  # each process opens its own
