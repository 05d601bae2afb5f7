"""A folder or zip with `labels.jsonl`, or such a file of another name: one image per line.

`{"file": "images/1.jpg", "words": [{"polygon": [x1, y1, ...], "text": "EXIT", "ignore": false}]}`.
A word without `polygon` is a weak label.
"""

from __future__ import annotations

import codecs
import hashlib
import os
from pathlib import Path

from ocrpretrain.data.sources.bad import check_bad
from ocrpretrain.data.sources.files import FileStore
from ocrpretrain.data.sources.listed import ListedImages
from ocrpretrain.data.sources.rows import parse_row
from ocrpretrain.errors import DataError


class LabelsFolder(ListedImages):
    """Images and words listed in `labels.jsonl`, read unpacked or as zip.

    Args:
        path: the folder or the zip archive; or a `.jsonl` file, whose names count from its folder.
        max_bad: share of the lines that may be unusable; they are left out, counted and named.
        text: in sets of word images or pages, the name of the label; a set may have several
            (IIIT5K's `official` beside the corrected `text`).

    Raises:
        DataError: more unusable lines, with their numbers and what is wrong.
    """

    def __init__(
        self, path: str | os.PathLike[str], max_bad: float = 0.0, text: str = "text"
    ) -> None:
        listed = Path(path).suffix == ".jsonl"
        self.store = FileStore(Path(path).parent if listed else path)
        self.labels = Path(path).name if listed else "labels.jsonl"
        present = None if listed else set(self.store.names())
        self.items = []
        errors: list[str] = []
        seen: set[str] = set()
        lines = self.store.read(self.labels).removeprefix(codecs.BOM_UTF8).splitlines()
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row, words = parse_row(line, f"{self.labels}:{number}", text)
                name = row.get("file")
                if not isinstance(name, str):
                    raise DataError(f"{self.labels}:{number}: needs a string 'file'")
                if not (self.store.has(name) if present is None else name in present):
                    raise DataError(f"{self.labels}:{number}: no such file {name!r}")
                if name in seen:
                    raise DataError(f"{self.labels}:{number}: {name!r} is listed twice")
            except DataError as error:
                errors.append(str(error))
                continue
            seen.add(name)
            self.items.append((name, words))
        check_bad(path, errors, len(errors) + len(self.items), max_bad)
        if not self.items:
            raise DataError(f"{path}: {self.labels} lists no image")

    def fingerprint(self) -> str:
        if self.labels == "labels.jsonl":
            return super().fingerprint()
        digest = hashlib.sha256(self.store.read(self.labels)).hexdigest()[:12]
        return f"{self.labels} {self.describe()} {digest}"
