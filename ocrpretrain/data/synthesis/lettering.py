"""Words drawn flat: a coverage mask, and where each word and character is in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ocrpretrain.data.synthesis.fonts import Font, hb, open_face, render_glyph

Glyph = tuple[np.ndarray, int, int, int]  # image, left, top (upwards), character of the word
BEND_POINTS = 5  # points along each long side of a bent word
# Optional ligatures would draw two letters as one shape; kerning stays, and so do Arabic's forms.
FEATURES = {"liga": False, "clig": False, "dlig": False}


@dataclass(slots=True)
class Mark:
    """One word of a line.

    Attributes:
        text: what is written.
        polygon: (N, 2) float32, pixels of the line's mask; the first half of the points runs along
            the top from the start of the text, the rest back along the bottom.
        characters: (characters, 4, 2) float32.
    """

    text: str
    polygon: np.ndarray
    characters: np.ndarray


@dataclass(slots=True)
class Line:
    """A line of text.

    Attributes:
        mask: (h, w) uint8 coverage.
        marks: its words.
        origin: x and y, in pixels of the mask, of the point where its baseline starts.
        advance: pixels from there to where a next word would start, without a blank.
    """

    mask: np.ndarray
    marks: list[Mark]
    origin: tuple[int, int] = (0, 0)
    advance: float = 0.0


@dataclass(frozen=True, slots=True)
class Face:
    """A font as one sign uses it: file, weight, size, slant and spacing.

    Attributes:
        path: font file.
        pixels: per em.
        weight: on the weight axis, where the font has one.
        tracking: extra space between letters, as a share of the em.
        blank: space between words, as a share of the em.
    """

    path: Path
    pixels: int
    weight: int | None = None
    tracking: float = 0.0
    blank: float = 0.3


def draw_face(font: Font, capital_pixels: float, rng: np.random.Generator) -> Face:
    """A random weight and spacing of a font whose capitals are about `capital_pixels` high."""
    weight = None if font.weights is None else 100 * round(rng.uniform(*font.weights) / 100)
    tracking = rng.uniform(0, 0.15) if rng.random() < 0.2 else max(-0.02, rng.normal(0, 0.01))
    pixels = max(6, round(capital_pixels / font.capital))
    return Face(font.path, pixels, weight, float(tracking), float(rng.uniform(0.22, 0.4)))


def draw_line(words: Sequence[str], face: Face) -> Line:
    """Draw words in a line, in the direction of their script; the mask has a margin of one pixel.

    Polygons start at the top left and run clockwise, whatever the direction of the script.
    """
    _, font = open_face(face.path, face.weight)
    font.scale = (face.pixels * 64, face.pixels * 64)
    buffers = [_shape(text, font) for text in words]
    backwards = buffers[0].direction == "rtl"
    pen, glyphs = 0.0, []  # of each glyph: image, left, top, character
    spans = [(0, 0)] * len(words)
    for place in reversed(range(len(words))) if backwards else range(len(words)):
        pen += face.blank * face.pixels if glyphs else 0.0
        start = len(glyphs)
        # Letters that join have no space between them.
        tracking = 0.0 if backwards else face.tracking * face.pixels
        pen = _set_word(buffers[place], pen, tracking, face, glyphs)
        spans[place] = (start, len(glyphs))
    left = min(x for _, x, _, _ in glyphs)
    top = max(y for _, _, y, _ in glyphs)
    right = max(x + image.shape[1] for image, x, _, _ in glyphs)
    bottom = min(y - image.shape[0] for image, _, y, _ in glyphs)
    mask = np.zeros((top - bottom + 2, right - left + 2), np.uint8)
    for image, x, y, _ in glyphs:
        x, y = x - left + 1, top - y + 1
        window = mask[y : y + image.shape[0], x : x + image.shape[1]]
        np.maximum(window, image, out=window)
    marks = [
        _mark(text, [(image.shape, x - left + 1, top - y + 1, c) for image, x, y, c in glyphs[a:b]])
        for text, (a, b) in zip(words, spans, strict=True)
    ]
    return Line(mask, marks, (1 - left, top + 1), pen)


def _shape(text: str, font: Any) -> Any:
    buffer = hb.Buffer()
    buffer.add_str(text)
    buffer.guess_segment_properties()
    hb.shape(font, buffer, FEATURES)
    return buffer


def _set_word(buffer: Any, pen: float, tracking: float, face: Face, glyphs: list[Glyph]) -> float:
    """Render a word's glyphs from the pen's position on; returns where the pen ends."""
    for info, position in zip(buffer.glyph_infos, buffer.glyph_positions, strict=True):
        image, left, top = _glyph(face.path, face.weight, face.pixels, info.codepoint)
        x = round(pen + position.x_offset / 64) + left
        y = round(position.y_offset / 64) + top
        if image.size:
            glyphs.append((image, x, y, info.cluster))
        pen += position.x_advance / 64 + tracking
    return pen


@lru_cache(maxsize=8192)
def _glyph(path: Path, weight: int | None, pixels: int, glyph: int) -> tuple[np.ndarray, int, int]:
    # Pages repeat their glyphs; everything else pays a microsecond.
    face, _ = open_face(path, weight)
    face.set_pixel_sizes(0, pixels)
    return render_glyph(face, glyph)


def _mark(text: str, glyphs: list[tuple[tuple[int, ...], int, int, int]]) -> Mark:
    """Boxes of ink of the word, and of each of its clusters, shared out to their characters."""
    boxes = np.array([(x, y, x + s[1], y + s[0]) for s, x, y, _ in glyphs], np.float32)
    corners = boxes[:, :2].min(0), boxes[:, 2:].max(0)
    clusters = [cluster for *_, cluster in glyphs]
    if clusters != list(range(len(text))):  # accents, joined letters, or from right to left
        boxes = _share_out(text, boxes, np.array(clusters))
    quads = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
    return Mark(text, _box(*corners[0], *corners[1]), quads)


def _share_out(text: str, boxes: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """One box per character: the glyphs of a cluster, cut into as many parts as it has."""
    starts = [*np.unique(clusters).tolist(), len(text)]
    step = -1 if clusters[0] > clusters[-1] else 1  # from right to left
    shared = []
    for start, stop in zip(starts[:-1], starts[1:], strict=True):
        ink = boxes[clusters == start]
        (x0, y0), (x1, y1) = ink[:, :2].min(0), ink[:, 2:].max(0)
        cuts = np.linspace(x0, x1, len(text[start:stop].replace(" ", "")) + 1)
        parts = [(a, y0, b, y1) for a, b in zip(cuts[:-1], cuts[1:], strict=True)]
        shared += parts[::step]
    return np.array(shared, np.float32).reshape(-1, 4)


def _box(x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)


def bend(line: Line, angle: float) -> Line:
    """Bend a line along an arc.

    Args:
        line: flat.
        angle: of the arc in radians; positive is higher in the middle, negative lower.
    """
    height, width = line.mask.shape
    radius = width / abs(angle)
    middle = np.array([width / 2, height / 2])

    def forward(points: np.ndarray) -> np.ndarray:
        """From the flat line to the arc, whose top (or bottom) is at the line's middle."""
        theta = (points[..., 0] - middle[0]) / radius
        out = middle[1] - points[..., 1]  # away from the line, upwards
        r = radius + (out if angle > 0 else -out)
        y = np.cos(theta) * r - radius
        return np.stack([np.sin(theta) * r, -y if angle > 0 else y], -1)

    def inverse(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        y = (-y if angle > 0 else y) + radius
        r = np.sqrt(x * x + y * y) - radius
        u = np.arctan2(x, y) * radius + middle[0]
        return u, middle[1] - (r if angle > 0 else -r)

    edge = np.linspace(0, width, 33)
    border = np.concatenate([forward(np.stack([edge, np.full(33, v)], -1)) for v in (0, height)])
    (x0, y0), (x1, y1) = np.floor(border.min(0)), np.ceil(border.max(0))
    x, y = np.meshgrid(
        np.arange(x0, x1 + 1, dtype=np.float32), np.arange(y0, y1 + 1, dtype=np.float32)
    )
    u, v = inverse(x, y)
    mask = cv2.remap(line.mask, u.astype(np.float32), v.astype(np.float32), cv2.INTER_LINEAR)
    shift = np.array([x0, y0])
    marks = [
        Mark(
            mark.text,
            (forward(_densify(mark.polygon)) - shift).astype(np.float32),
            (forward(mark.characters) - shift).astype(np.float32),
        )
        for mark in line.marks
    ]
    return Line(mask, marks)


def _densify(quad: np.ndarray) -> np.ndarray:
    """(4, 2) -> (2 * BEND_POINTS, 2): more points along both long sides."""
    share = np.linspace(0, 1, BEND_POINTS)[:, None]
    top = quad[0] * (1 - share) + quad[1] * share
    bottom = quad[2] * (1 - share) + quad[3] * share
    return np.concatenate([top, bottom])
