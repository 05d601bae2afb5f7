"""A tokenizer of pages, learned from texts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ocrpretrain.data.page_tokenizer import PageTokenizer, train
from ocrpretrain.data.synthesis.texts import LEXICONS
from ocrpretrain.errors import ConfigError, DataError

PathLike = str | os.PathLike[str]


def write_tokenizer(source: PathLike | None, out: PathLike, size: int) -> str:
    """Learn byte pairs from the lines of a UTF-8 file, or of the packaged prose.

    Args:
        source: the file; None is the prose.
        out: the `tokenizer.json` to write.
        size: number of ids.

    Returns:
        A line that says what was written.

    Raises:
        DataError: no such file, or not UTF-8.
        ConfigError: fewer ids than bytes, or a file that is there: a reader may depend on its ids.
    """
    if Path(out).exists():
        raise ConfigError(f"{out}: is there already, and readers that were trained with it need it")
    path = Path(source or LEXICONS / "prose.txt")
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a readable UTF-8 file ({error})") from None
    train(_lines(text), size, out)
    tokenizer = PageTokenizer(out)
    ids = len(tokenizer.encode(text)) - 1
    return f"written: {out} ({len(tokenizer)} ids, {len(text) / max(1, ids):.2f} characters each)"


def _lines(text: str) -> Iterator[str]:
    yield from text.splitlines(keepends=True)
