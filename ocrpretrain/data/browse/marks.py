"""Words drawn on pictures: polygons, reading directions, texts that do not cover one another."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ocrpretrain.data.browse.captions import below, visible
from ocrpretrain.data.sources.base import AnnotatedImage, Word
from ocrpretrain.drawing import IGNORED, TRUTH, draw_polygons

DIRECTION = (255, 140, 0)
FAR = 5000  # pixels from a cell, beyond which points are moved nearer
LABEL, MARGIN = 13, 6  # font size, and distance from the sides of a cell, in pixels


@lru_cache
def load_font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which has many scripts, at a size in pixels."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(folder / "DejaVuSans.ttf", size)


def draw_marks(cell: np.ndarray, item: AnnotatedImage, x: int, y: int) -> list[Word]:
    """Draw the words of a picture in place, each with its text above or under it.

    Args:
        cell: (H, W, 3) uint8 canvas on which the picture lies.
        item: the picture and its words, in its own pixels.
        x: left side of the picture on the canvas.
        y: upper side.

    Returns:
        The legible words for whose text there is no room.
    """
    # OpenCV walks through every row of a polygon, also of one that reaches out of all pictures.
    placed = [
        (word, np.clip(word.polygon + (x, y), -FAR, FAR))
        for word in item.words
        if word.polygon is not None
    ]
    legible = [(word, polygon) for word, polygon in placed if not word.ignore]
    outlines = [polygon for _, polygon in legible]
    ignored = [polygon for word, polygon in placed if word.ignore]
    cell[:] = draw_polygons(cell, ignored, IGNORED, thickness=1)
    cell[:] = draw_polygons(cell, outlines, TRUTH, thickness=1)
    taken = np.ones(cell.shape[:2], np.uint8)
    taken[y : y + item.image.shape[0], x : x + item.image.shape[1]] = 0
    for polygon in outlines:
        start, end = np.round(polygon[:2]).astype(int).tolist()
        cv2.line(cell, start, end, DIRECTION, 1, cv2.LINE_AA)
        cv2.circle(cell, start, 2, DIRECTION, cv2.FILLED, cv2.LINE_AA)
        cv2.fillPoly(taken, [np.round(polygon).astype(np.int32)], (1,))
    picture = Image.fromarray(cell)
    pen = ImageDraw.Draw(picture)
    full = {id(word) for word in below(item)}
    crowded = [
        word
        for word, polygon in legible
        if id(word) not in full and not _label(pen, visible(word.text), polygon, taken)
    ]
    cell[:] = np.asarray(picture)
    return crowded


def _label(pen: ImageDraw.ImageDraw, text: str, polygon: np.ndarray, taken: np.ndarray) -> bool:
    """Write a text above or under its polygon, where nothing is yet; False without such a place."""
    width, height = round(load_font(LABEL).getlength(text)) + 2, LABEL + 3
    x = int(np.clip(polygon[:, 0].min(), MARGIN, max(MARGIN, taken.shape[1] - MARGIN - width)))
    for y in (int(polygon[:, 1].min()) - height, int(polygon[:, 1].max()) + 2):
        place = taken[max(y, 0) : y + height, x : x + width]
        if place.shape == (height, width) and not place.any():
            place[:] = 1
            style = {"font": load_font(LABEL), "stroke_width": 2, "stroke_fill": (0, 80, 0)}
            pen.text((x + 1, y), text, "white", **style)
            return True
    return False
