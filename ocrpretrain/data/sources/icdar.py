"""ICDAR2015's own text files: `gt_img_N.txt` with `x1,y1,x2,y2,x3,y3,x4,y4,transcription`.

UTF-8, usually with a byte order mark; the transcription may hold commas; `###` is a don't-care.
"""

from __future__ import annotations

import os
from pathlib import PurePosixPath

from ocrpretrain.data.sources.bad import check_bad
from ocrpretrain.data.sources.base import Word, make_word
from ocrpretrain.data.sources.files import FileStore
from ocrpretrain.data.sources.listed import ListedImages
from ocrpretrain.errors import DataError

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}


class ICDAR2015(ListedImages):
    """Images with ICDAR2015's text files, paired by name (`img_1.jpg` with `gt_img_1.txt`).

    Args:
        path: folder or zip that holds the images, and the text files where `labels` is None.
        labels: another folder or zip with the text files.
        max_bad: share of the images that may lack labels (or the other way round) or have an
            unusable line; they are left out, counted and named.

    Raises:
        DataError: more of them.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        labels: str | os.PathLike[str] | None = None,
        max_bad: float = 0.0,
    ) -> None:
        self.store = FileStore(path)
        label_store = FileStore(labels) if labels is not None else self.store
        images = _by_stem(self.store, self.store.names(), IMAGE_SUFFIXES, "")
        texts = _by_stem(label_store, label_store.names(), {".txt"}, "gt_")
        if not texts:
            raise DataError(f"{label_store.root}: holds no gt_*.txt")
        self.items = []
        errors = [f"{images[stem]}: has no gt_{stem}.txt" for stem in images.keys() - texts.keys()]
        errors += [f"{texts[stem]}: has no image" for stem in texts.keys() - images.keys()]
        for stem in sorted(images.keys() & texts.keys(), key=_natural):
            try:
                words = parse_icdar2015(label_store.read(texts[stem]), texts[stem])
            except DataError as error:
                errors.append(str(error))
                continue
            self.items.append((images[stem], words))
        check_bad(path, sorted(errors), len(errors) + len(self.items), max_bad)
        if not self.items:
            raise DataError(f"{path}: holds no image with labels")


def parse_icdar2015(data: bytes, where: str) -> list[Word]:
    """Parse one `gt_img_N.txt`; the first eight fields are the quad, the rest is the text.

    Raises:
        DataError: not UTF-8, fewer than nine fields, or a coordinate that is not a number.
    """
    words = []
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: not UTF-8 ({error.reason})") from None
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        fields = line.split(",", 8)
        try:
            quad = [float(value) for value in fields[:8]]
        except ValueError:
            quad = []
        if len(fields) < 9 or len(quad) < 8:
            raise DataError(f"{where}:{number}: expected x1,y1,...,x4,y4,text; found {line!r}")
        words.append(make_word(fields[8], quad, fields[8] == "###", f"{where}:{number}"))
    return words


def _by_stem(store: FileStore, names: list[str], suffixes: set[str], prefix: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in names:
        path = PurePosixPath(name)
        if path.suffix.lower() not in suffixes or not path.name.startswith(prefix):
            continue
        stem = path.stem.removeprefix(prefix)
        if stem in found:
            raise DataError(
                f"{store.root}: two files are named {stem!r}; keep train and test in two folders"
            )
        found[stem] = name
    return found


def _natural(stem: str) -> tuple[int, str]:
    digits = "".join(char for char in stem if char.isdigit())
    return int(digits or 0), stem
