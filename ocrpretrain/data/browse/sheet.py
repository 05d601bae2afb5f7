"""A contact sheet: many annotated images in one picture."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from ocrpretrain.data.browse.captions import below, visible
from ocrpretrain.data.browse.marks import draw_marks, load_font
from ocrpretrain.data.sources.base import AnnotatedImage, Word
from ocrpretrain.data.transforms import letterbox_size, resize
from ocrpretrain.drawing import tile

PAPER, INK, PALE, WEAK = (248, 248, 248), (20, 20, 20), (120, 120, 120), (170, 60, 0)
GAP = 6  # pixels around a picture
NAME, CAPTION = 12, 16  # font sizes in pixels
MAX_LINES = 3  # of words below an image


class Line(NamedTuple):
    """A line of text below a picture."""

    text: str
    size: int
    colour: tuple[int, int, int]


def contact_sheet(
    items: Sequence[AnnotatedImage], columns: int = 4, width: int = 480, marks: bool = True
) -> np.ndarray:
    """Images in rows, each fitted into a cell with its aspect kept; small ones are enlarged.

    Polygons are green, their first edge (the reading direction, from the dot on) orange, ignored
    words grey. A word stands above or under its polygon where there is room. The others stand below
    the image, weak labels in brown.

    Args:
        items: at least one image.
        columns: images in a row.
        width: of a picture in pixels; its height follows from the images' median aspect.
        marks: whether to draw and write anything at all.

    Returns:
        (H, W, 3) uint8.
    """
    aspects = [item.image.shape[0] / item.image.shape[1] for item in items]
    height = round(width * float(np.clip(np.median(aspects), 0.25, 1.4)))
    cells, captions = [], []
    for item in items:
        cell, (x, y), item = _mount(item, height, width)
        crowded = draw_marks(cell, item, x, y) if marks else []
        cells.append(cell)
        captions.append(_caption(item, crowded, width) if marks else [])
    deepest = max(sum(line.size + 4 for line in lines) for lines in captions)
    return tile([_write(*pair, deepest) for pair in zip(cells, captions, strict=True)], columns)


def _mount(
    item: AnnotatedImage, height: int, width: int
) -> tuple[np.ndarray, tuple[int, int], AnnotatedImage]:
    """An empty cell with the picture in its middle, its place (x, y), and the words at its size."""
    shape = item.image.shape[0], item.image.shape[1]
    high, wide = letterbox_size(shape, (height, width))
    item = item.scaled(*shape, resize(item.image, high, wide))
    cell = np.full((height + 2 * GAP, width + 2 * GAP, 3), PAPER, np.uint8)
    x, y = GAP + (width - wide) // 2, GAP + (height - high) // 2
    cell[y : y + high, x : x + wide] = item.image
    return cell, (x, y), item


def _caption(item: AnnotatedImage, crowded: Sequence[Word], width: int) -> list[Line]:
    """The image's name, its weak labels, and the words that have no room on it."""
    name = textwrap.shorten(visible(item.id), int(width / (0.6 * NAME)), placeholder="…")
    lines = [Line(name, NAME, PALE)]
    words = [word for word in item.words if not word.ignore]
    full = {id(word) for word in [*below(item), *crowded]}
    weak = [word.text for word in words if word.polygon is None]
    others = [word.text for word in words if word.polygon is not None and id(word) in full]
    for texts, colour in ((weak, WEAK), (others, INK)):
        lines += [Line(line, CAPTION, colour) for line in _wrap(visible("  ".join(texts)), width)]
    return lines


def _wrap(text: str, width: int) -> list[str]:
    if not text:
        return []
    characters = int(0.9 * width * len(text) / load_font(CAPTION).getlength(text))
    return textwrap.wrap(text, max(1, characters), max_lines=MAX_LINES, placeholder=" …")


def _write(cell: np.ndarray, lines: Sequence[Line], height: int) -> np.ndarray:
    """A cell with a strip of this height below, and lines of text on it."""
    strip = np.full((height, cell.shape[1], 3), PAPER, np.uint8)
    picture = Image.fromarray(np.vstack([cell, strip]))
    pen, y = ImageDraw.Draw(picture), cell.shape[0] - GAP + 2
    for line in lines:
        pen.text((GAP, y), line.text, line.colour, load_font(line.size))
        y += line.size + 4
    return np.asarray(picture)
