"""One annotated image as a line of JSON: in `labels.jsonl`, and beside each image of a shard."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from ocrpretrain.data.sources.base import AnnotatedImage, Word, make_word
from ocrpretrain.errors import DataError


def parse_row(
    line: bytes, where: str, text: str = "text"
) -> tuple[dict[str, Any], list[Word] | str]:
    """Check one line; its words, or the one text that the whole image shows.

    Args:
        line: a JSON object with `words` (a list of `{text, polygon | quad | box?, ignore?,
            language?, order?, characters?}`), or with `text` where the image is the crop of a word
            or a page.
        where: file and line, for the error message.
        text: the name under which the text of a whole image stands.

    Raises:
        DataError: anything else.
    """
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: not UTF-8 ({error.reason})") from None
    except (json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"{where}: not JSON ({error})") from None
    if not isinstance(row, dict):
        raise DataError(f"{where}: needs a JSON object")
    if "words" not in row and isinstance(row.get(text), str):
        return row, row[text]
    if not isinstance(row.get("words"), list):
        raise DataError(f"{where}: needs a list 'words' (it may be empty) or a string {text!r}")
    return row, [_parse_word(word, where) for word in row["words"]]


def _parse_word(entry: Any, where: str) -> Word:
    if not isinstance(entry, dict):
        raise DataError(f"{where}: each word must be an object, found {entry!r}")
    polygon = entry.get("polygon", entry.get("quad"))
    if polygon is None and entry.get("box") is not None:
        polygon = _from_box(entry["box"], where)
    word = make_word(entry.get("text"), polygon, bool(entry.get("ignore")), where)
    word.language, word.order = entry.get("language"), entry.get("order")
    if not isinstance(word.language, str | None) or not isinstance(word.order, int | None):
        raise DataError(f"{where}: language must be a string and order an integer")
    if entry.get("characters") is not None:
        quads = [make_word("", quad, False, where).outline for quad in entry["characters"]]
        if any(quad.shape != (4, 2) for quad in quads):
            raise DataError(f"{where}: each of the characters needs four points")
        word.characters = np.array(quads, np.float32).reshape(-1, 4, 2)
    return word


def _from_box(box: Any, where: str) -> list[float]:
    if not isinstance(box, list) or len(box) != 4:
        raise DataError(f"{where}: box must be [x0, y0, x1, y1], found {box!r}")
    x0, y0, x1, y1 = box
    return [x0, y0, x1, y0, x1, y1, x0, y1]


def format_row(item: AnnotatedImage, file: str) -> dict[str, Any]:
    """The JSON object of an annotated image that is stored as `file`."""
    height, width = item.image.shape[:2]
    words = [_format_word(word) for word in item.words]
    return {"file": file, "width": width, "height": height, "words": words}


def _format_word(word: Word) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "polygon": None if word.polygon is None else _flat(word.polygon),
        "text": word.text,
        "ignore": word.ignore,
    }
    if word.language is not None:
        entry["language"] = word.language
    if word.order is not None:
        entry["order"] = word.order
    if word.characters is not None:
        entry["characters"] = [_flat(quad) for quad in word.characters]
    return entry


def _flat(points: np.ndarray) -> list[float]:
    return [round(float(value), 2) for value in points.ravel()]
