"""A folder or zip with `labels.jsonl`: one image per line.

`{"file": "images/1.jpg", "words": [{"polygon": [x1, y1, ...], "text": "EXIT", "ignore": false}]}`.
A word without `polygon` is a weak label.
"""

from __future__ import annotations

import codecs
import json
import os

from ocrpretrain.data.sources.bad import check_bad
from ocrpretrain.data.sources.base import Word, make_word
from ocrpretrain.data.sources.files import FileStore
from ocrpretrain.data.sources.listed import ListedImages
from ocrpretrain.errors import DataError


class LabelsFolder(ListedImages):
    """Images and words listed in `labels.jsonl`, read unpacked or as zip.

    Args:
        path: the folder or the zip archive.
        max_bad: share of the lines that may be unusable; they are left out, counted and named.

    Raises:
        DataError: more unusable lines, with their numbers and what is wrong.
    """

    def __init__(self, path: str | os.PathLike[str], max_bad: float = 0.0) -> None:
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
                name, words = _parse(line, f"labels.jsonl:{number}")
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


def _parse(line: bytes, where: str) -> tuple[str, list[Word]]:
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: not UTF-8 ({error.reason})") from None
    except (json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"{where}: not JSON ({error})") from None
    if not isinstance(row, dict) or not isinstance(row.get("file"), str):
        raise DataError(f"{where}: needs an object with a string 'file'")
    if not isinstance(row.get("words"), list):
        raise DataError(f"{where}: needs a list 'words' (it may be empty)")
    words = []
    for word in row["words"]:
        if not isinstance(word, dict):
            raise DataError(f"{where}: each word must be an object, found {word!r}")
        words.append(
            make_word(word.get("text"), word.get("polygon"), bool(word.get("ignore")), where)
        )
    return row["file"], words
