"""Signs: lines of words laid out flat, painted on a plate or on what is there already."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ocrpretrain.data.synthesis import layers
from ocrpretrain.data.synthesis.colours import LUMA, draw_ink, draw_pair
from ocrpretrain.data.synthesis.fonts import Font
from ocrpretrain.data.synthesis.lettering import Face, Line, Mark, bend, draw_face, draw_line
from ocrpretrain.data.synthesis.textures import texture

MARGIN = 0.35  # around the text for shadows and outlines, in heights of a line


@dataclass(slots=True)
class Sign:
    """A laid out text: (h, w) uint8 coverage, words in its pixels, and their usual height."""

    mask: np.ndarray
    marks: list[Mark]
    letter_height: float


def lay_out(lines: Sequence[Line], letter_height: float, rng: np.random.Generator) -> Sign:
    """Lines below each other, aligned to one side or centred."""
    gap = rng.uniform(0.15, 0.7) * letter_height
    pad = round(MARGIN * letter_height) + 2
    width = max(line.mask.shape[1] for line in lines)
    height = sum(line.mask.shape[0] for line in lines) + round(gap) * (len(lines) - 1)
    mask = np.zeros((height + 2 * pad, width + 2 * pad), np.uint8)
    align, marks, y = rng.choice([0.0, 0.5, 0.5, 1.0]), [], pad
    for line in lines:
        h, w = line.mask.shape
        x = pad + round(align * (width - w))
        mask[y : y + h, x : x + w] = line.mask
        shift = np.array([x, y], np.float32)
        marks += [Mark(m.text, m.polygon + shift, m.characters + shift) for m in line.marks]
        y += h + round(gap)
    return Sign(mask, marks, letter_height)


def cut_out(sign: Sign, mark: Mark) -> tuple[Sign, Mark]:
    """The surroundings of one word, as far as a crop of it may show them."""
    reach = 0.8 * sign.letter_height
    low = np.maximum(np.floor(mark.polygon.min(0) - reach), 0).astype(int)
    high = np.ceil(mark.polygon.max(0) + reach).astype(int)
    mask = np.ascontiguousarray(sign.mask[low[1] : high[1], low[0] : high[0]])
    shift = low.astype(np.float32)
    mark = Mark(mark.text, mark.polygon - shift, mark.characters - shift)
    return Sign(mask, [mark], sign.letter_height), mark


def draw_sign(
    draw_text: Callable[[], str],
    counts: Sequence[int],
    fonts: Sequence[Font],
    letter_height: float,
    curved: float,
    rng: np.random.Generator,
) -> Sign:
    """Lines of words that look as if they belonged together.

    Args:
        draw_text: the next word.
        counts: words of each line.
        fonts: what to choose from; the lines share a font more often than not.
        letter_height: of capitals of the largest line, in pixels.
        curved: share of signs of one line that are bent.
        rng: source of randomness.
    """
    font = draw_font(fonts, rng)
    lines = []
    for place, count in enumerate(counts):
        if place and rng.random() < 0.25:
            font = draw_font(fonts, rng)
        size = letter_height * (rng.uniform(0.5, 1) if place and rng.random() < 0.5 else 1)
        face: Face = draw_face(font, size, rng)
        words = [draw_text() for _ in range(count)]
        lines.append(draw_line([w.upper() for w in words] if font.unicase else words, face))
    if len(lines) == 1 and rng.random() < curved:
        letters = sum(len(mark.text) for mark in lines[0].marks)
        if letters > 2:  # one letter turns by at most a quarter of a right angle
            most = min(2.8, 0.35 * letters)
            lines = [bend(lines[0], rng.choice([-1, 1, 1]) * rng.uniform(0.25, most))]
    return lay_out(lines, letter_height, rng)


def draw_font(fonts: Sequence[Font], rng: np.random.Generator) -> Font:
    """A family first, so that one with many files is no more frequent."""
    families = sorted({font.family for font in fonts})
    family = families[rng.integers(len(families))]
    files = [font for font in fonts if font.family == family]
    return files[rng.integers(len(files))]


def draw_pose(sign: Sign, angle: float, perspective: float, rng: np.random.Generator) -> np.ndarray:
    """(4, 2): where the corners of a sign come to lie around (0, 0), in pixels.

    Args:
        sign: laid out.
        angle: most degrees of turn; small turns are more frequent.
        perspective: corners move by up to this share of a line's height, or of the width / 5.
        rng: source of randomness.
    """
    height, width = sign.mask.shape
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], float)
    corners = (corners - corners.mean(0)) * [rng.uniform(0.8, 1.2), 1.0]
    corners[:, 0] += corners[:, 1] * np.clip(rng.normal(0, 0.08), -0.3, 0.3)  # slant
    reach = perspective * min(height, max(2 * sign.letter_height, width / 5))
    corners += rng.uniform(-0.5, 0.5, (4, 2)) * reach
    turn = np.deg2rad(np.clip(rng.normal(0, angle / 3), -angle, angle))
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return corners @ rotation.T


def homography(sign: Sign, corners: np.ndarray) -> np.ndarray:
    """(3, 3): from a sign's pixels to those of the picture where `corners` (4, 2) lie."""
    height, width = sign.mask.shape
    flat = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    return cv2.getPerspectiveTransform(flat, corners.astype(np.float32))


def move(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """(..., 2) points through a homography, float32."""
    flat = points.reshape(1, -1, 2).astype(np.float64)
    return cv2.perspectiveTransform(flat, matrix).reshape(points.shape).astype(np.float32)


def set_into(
    image: np.ndarray, sign: Sign, matrix: np.ndarray, plate: bool, rng: np.random.Generator
) -> np.ndarray | None:
    """Paint a sign into a window of a picture, in place.

    Args:
        image: (H, W, 3) uint8, the window.
        sign: laid out.
        matrix: from the sign's pixels to the window's.
        plate: whether it has a surface of its own.
        rng: source of randomness.

    Returns:
        (H, W) uint8 coverage of the text, or None (and an unchanged window) if it cannot be read.
    """
    size = image.shape[1::-1]
    ink_mask = cv2.warpPerspective(sign.mask, matrix, size)
    before = surface = image.copy()
    layer = layers.empty(*sign.mask.shape)
    if plate:
        ink = _draw_plate(layer, rng)
    else:
        area = cv2.dilate(ink_mask, np.ones((5, 5), np.uint8))
        colour = np.array(cv2.mean(image, area)[:3], np.float32)
        spread = cv2.meanStdDev(cv2.transform(image, LUMA[None]), mask=area)[1].item()
        ink = draw_ink(colour, rng, spread)
        layers.merge(image, layer, matrix)
        surface = image.copy()
        layer = layers.empty(*sign.mask.shape)
    layers.write(layer, sign.mask, ink, rng)
    layers.merge(image, layer, matrix)
    _, solid = cv2.threshold(ink_mask, 127, 255, cv2.THRESH_BINARY)
    if layers.contrast(image, surface, solid) < MIN_CONTRAST:
        image[:] = before
        return None
    return ink_mask


MIN_CONTRAST = 22  # mean grey levels between ink and what is under it


def _draw_plate(layer: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cover a layer with a plate, perhaps textured, rounded and with a border; returns the ink."""
    plate, ink = draw_pair(rng)
    height, width = layer.shape[1:]
    shape = np.zeros((height, width), np.uint8)
    radius = int(rng.uniform(0, 0.5) * min(height, width) / 2) if rng.random() < 0.4 else 0
    _rounded(shape, 0, radius, 255, -1)
    alpha = shape.astype(np.float32) / 255
    surface: np.ndarray = plate
    if rng.random() < 0.6:
        spread = rng.choice([6, 15, 30])
        shades = plate + np.linspace(-spread, spread, 3)[:, None]
        surface = np.moveaxis(texture(height, width, shades, rng), -1, 0).astype(np.float32)
    layers.cover(layer, surface, alpha * np.float32(rng.uniform(0.85, 1)))
    if rng.random() < 0.35:
        border = np.zeros((height, width), np.uint8)
        inset = int(rng.integers(0, 2 + min(height, width) // 20))
        thickness = int(rng.integers(1, 2 + min(height, width) // 25))
        _rounded(border, inset, max(0, radius - inset), 255, thickness)
        layers.cover(layer, ink, border.astype(np.float32) / 255)
    return ink


def _rounded(canvas: np.ndarray, inset: int, radius: int, value: int, thickness: int) -> None:
    """A rectangle with round corners, filled (-1) or drawn with lines."""
    height, width = canvas.shape
    x0, y0, x1, y1 = inset, inset, width - 1 - inset, height - 1 - inset
    quarter = np.linspace(0, np.pi / 2, 7)
    arcs = [
        np.stack([cx + radius * np.cos(quarter + turn), cy + radius * np.sin(quarter + turn)], -1)
        for cx, cy, turn in (
            (x1 - radius, y1 - radius, 0.0),
            (x0 + radius, y1 - radius, np.pi / 2),
            (x0 + radius, y0 + radius, np.pi),
            (x1 - radius, y0 + radius, 1.5 * np.pi),
        )
    ]
    points = [np.round(np.concatenate(arcs)).astype(np.int32)]
    if thickness < 0:
        cv2.fillPoly(canvas, points, value, cv2.LINE_AA)
    else:
        cv2.polylines(canvas, points, True, value, thickness, cv2.LINE_AA)
