"""A folder or zip with `labels.jsonl`: one image per line.

`{"file": "images/1.jpg", "words": [{"polygon": [x1, y1, ...], "text": "EXIT", "ignore": false}]}`.
A word without `polygon` is a weak label.
"""

from __future__ import annotations

import codecs
import os

from ocrpretrain.data.sources.bad import check_bad
from ocrpretrain.data.sources.files import FileStore
from ocrpretrain.data.sources.listed import ListedImages
from ocrpretrain.data.sources.rows import parse_row
from ocrpretrain.errors import DataError


class LabelsFolder(ListedImages):
    """Images and words listed in `labels.jsonl`, read unpacked or as zip.

    Args:
        path: the folder or the zip archive.
        max_bad: share of the lines that may be unusable; they are left out, counted and named.
        text: in sets of word images or pages, the name of the label; a set may have several
            (IIIT5K's `official` beside the corrected `text`).

    Raises:
        DataError: more unusable lines, with their numbers and what is wrong.
    """

    def __init__(
        self, path: str | os.PathLike[str], max_bad: float = 0.0, text: str = "text"
    ) -> None:
        self.store = FileStore(path)
        present = set(self.store.names())
        self.items = []
        errors: list[str] = []
        seen: set[str] = set()
        lines = self.store.read("labels.jsonl").removeprefix(codecs.BOM_UTF8).splitlines()
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row, words = parse_row(line, f"labels.jsonl:{number}", text)
                name = row.get("file")
                if not isinstance(name, str):
                    raise DataError(f"labels.jsonl:{number}: needs a string 'file'")
                if name not in present:
                    raise DataError(f"labels.jsonl:{number}: no such file {name!r}")
                if name in seen:
                    raise DataError(f"labels.jsonl:{number}: {name!r} is listed twice")
            except DataError as error:
                errors.append(str(error))
                continue
            seen.add(name)
            self.items.append((name, words))
        check_bad(path, errors, len(errors) + len(self.items), max_bad)
        if not self.items:
            raise DataError(f"{path}: labels.jsonl lists no image")
