"""A text is set on pages, which a reader file reads back: what optical compression loses."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ocrpretrain.config import build
from ocrpretrain.data import SyntheticPages
from ocrpretrain.data.sources.base import AnnotatedImage, Word
from ocrpretrain.data.synthesis.fonts import load_fonts
from ocrpretrain.data.synthesis.lettering import Face
from ocrpretrain.data.synthesis.page import BODY
from ocrpretrain.data.synthesis.typesetting import Page, break_lines
from ocrpretrain.data.views import PageView
from ocrpretrain.errors import CheckpointMismatchError, ConfigError, DataError
from ocrpretrain.evaluation.pages import score_page
from ocrpretrain.reading.page_sets import page_generators
from ocrpretrain.reading.pages import PageFileReader
from ocrpretrain.reading.record import training_record

PathLike = str | os.PathLike[str]
MARGIN = 0.06  # of a page's shorter side
NAMES = ("tokens", "cells")
SIZES = ("type", "length", "size", "body")  # of pages in a config
LEADING = 1.35  # of the size of the type


def round_trip(
    weights: PathLike, file: PathLike, body: int | None = None, fonts: str | None = None
) -> Iterator[str]:
    """Render a text, read it, and compare.

    Args:
        weights: a reader file of a head that reads pages.
        file: UTF-8 text.
        body: size of the type in pixels per em, on pages of the size that the reader sees; by
            default the middle of what the reader was validated on, as it was shown, where that is
            known, else 20.
        fonts: folder of fonts, see `load_fonts`; by default the packaged ones.

    Yields:
        Lines to print: per page what was read, text tokens, vision tokens, 1-NED; and totals.

    Raises:
        CheckpointMismatchError: a reader that is given a part of the text.
        ConfigError: a size below 1.
        DataError: no UTF-8 text, or a word that is wider than a page.
    """
    reader = PageFileReader(weights)
    if reader.head.sees != "page":
        raise CheckpointMismatchError(f"{weights}: is a control that sees no page")
    if reader.view.optical_share < 1:
        raise CheckpointMismatchError(f"{weights}: was trained with a part of the text as tokens")
    try:
        text = Path(file).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: {error}") from None
    config = training_record(weights).get("config", {})
    known = next(page_generators(config.get("data", {}).get("val")), None)
    if body is None:
        body = 20 if known is None else _shown_body(known, reader.view)
    if body < 1:
        raise ConfigError(f"--body: 1 or more, found {body}")
    pages = list(render(text, reader.view.size, body, (known or {}).get("families"), fonts))
    answers = list(reader.read(pages))
    for answer in answers:
        ned = score_page(answer.text, answer.truth).one_minus_ned
        yield (
            f"{answer.text}\n--- {answer.id}: {_counts(answer.tokens, answer.cells)}, "
            f"{answer.positions} positions, 1-NED {ned:.3f}"
        )
    tokens, cells = (sum(getattr(answer, name) for answer in answers) for name in NAMES)
    read, truth = ("\n".join(x) for x in zip(*((a.text, a.truth) for a in answers), strict=True))
    ned = score_page(read, truth).one_minus_ned
    left_out = "".join(f", {number} {name}" for name, number in reader.counts.items())
    yield f"{len(answers)} pages: {_counts(tokens, cells)}, 1-NED {ned:.3f}{left_out}"


def render(
    text: str,
    size: tuple[int, int],
    body: int,
    families: Sequence[str] | None = None,
    folder: str | None = None,
) -> Iterator[AnnotatedImage]:
    """Pages of upright black type on white, line by line; an empty text is one blank page.

    Args:
        text: what to set.
        size: height and width of a page.
        body: size of the type in pixels per em.
        families: of fonts, the first that draws the text counts; by default those of body text.
        folder: of fonts, see `load_fonts`.

    Raises:
        DataError: no font draws the text, or a word that is wider than a page.
    """
    height, width = size
    margin = MARGIN * min(size)
    fonts = load_fonts("".join(sorted(set(text) - set(" \t\r\n"))), folder)
    upright = [font for font in fonts if "Italic" not in font.path.stem] or list(fonts)
    wanted = BODY if families is None else families
    font = next((font for font in upright if font.family in wanted), upright[0])
    face = Face(font.path, body, None if font.weights is None else 400)
    lines = [
        line
        for paragraph in text.splitlines()
        for line in break_lines(paragraph.split(), face, width - 2 * margin)
    ]
    fit = max(1, int((height - 2 * margin) / (LEADING * body)))
    for start in range(0, max(1, len(lines)), fit):
        page, y, chunk = Page(height, width), margin, lines[start : start + fit]
        for line in chunk:
            page.paragraph(line, face, margin, y, width, height, LEADING * body, "left")
            y += LEADING * body
        words = [word for line in chunk for word in line]
        if len(page.marks) < len(words):
            longest = max(words, key=len)
            raise DataError(f"{longest!r} is wider than {width} pixels in type of {body}: --body")
        grey = np.repeat((255 - page.ink)[..., None], 3, 2)
        marks = enumerate(page.marks)
        yield AnnotatedImage(
            grey, [Word(m.text, m.polygon, order=i) for i, m in marks], f"page {start // fit + 1}"
        )


def _shown_body(spec: Mapping[str, Any], view: PageView) -> int:
    """The middle size of a generator's type, on its pages as a view shows them."""
    # Its fonts and texts may be on another machine.
    pages: SyntheticPages = build({key: spec[key] for key in SIZES if key in spec})
    scale = view.fitted(*pages.size)[0] / pages.size[0]
    return max(1, round(scale * math.sqrt(math.prod(pages.body))))


def _counts(tokens: int, cells: int) -> str:
    return f"{tokens} text tokens -> {cells} vision tokens ({tokens / max(cells, 1):.2f} x)"
