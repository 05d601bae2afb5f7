"""Surfaces: procedural textures, and the photographs of a user's folder.

A texture is a grey field that a palette colours. Drawing a field takes some ten milliseconds, so
that each process draws a fixed pool of them once and cuts, turns and colours pieces of it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from ocrpretrain.data.sources.files import decode
from ocrpretrain.errors import DataError

SIDE = 640  # pixels of a field
POOL = 96  # fields: several of each kind
PHOTOS = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


def noise(rng: np.random.Generator, cells_y: float, cells_x: float, side: int = SIDE) -> np.ndarray:
    """(side, side) float32 smooth noise of mean 0 with about that many cells along each side."""
    shape = (max(2, round(cells_y)), max(2, round(cells_x)))
    coarse = rng.standard_normal(shape, dtype=np.float32)
    return cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)


def clouds(rng: np.random.Generator, stretch: float = 1.0, first: float = 3.0) -> np.ndarray:
    """Octaves of noise; `stretch` makes grain along x, as on wood and brushed metal."""
    field = np.zeros((SIDE, SIDE), np.float32)
    cells, weight, fall = first, 1.0, rng.uniform(0.45, 0.75)
    while cells < SIDE:
        field += weight * noise(rng, cells * stretch, cells)
        cells, weight = cells * 2, weight * fall
    return field


def plaster(rng: np.random.Generator) -> np.ndarray:
    return clouds(rng, first=rng.uniform(2, 8)) + 0.4 * noise(rng, 320, 320)


def wood(rng: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32) / SIDE
    warp = noise(rng, 4, 2) * 0.04 + noise(rng, 12, 3) * 0.01
    rings = np.sin((y + warp) * rng.uniform(30, 90)) + 0.6 * clouds(rng, 8.0)
    boards = np.floor(y * rng.integers(1, 7))
    return rings * 0.5 + boards % 2 * rng.uniform(0, 1) + _grooves(y, int(rng.integers(1, 7))) * 2


def bricks(rng: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32) / SIDE
    rows, columns = int(rng.integers(6, 24)), int(rng.integers(3, 10))
    row = np.floor(y * rows)
    shifted = x + (row % 2) * 0.5 / columns * rng.integers(0, 2)
    tone = rng.standard_normal((rows + 1, columns * 2 + 2)).astype(np.float32)
    column = np.floor(shifted * columns)
    tones = tone[row.astype(int) % rows, column.astype(int)]
    mortar = _grooves(y, rows) + _grooves(shifted, columns)
    return 0.5 * tones + rng.choice([-3, 3]) * np.clip(mortar, 0, 1) + 0.4 * clouds(rng, first=20)


def _grooves(position: np.ndarray, count: int) -> np.ndarray:
    """1 in narrow lines at `count` equal steps, 0 elsewhere, with soft borders."""
    phase = (position * count) % 1
    return np.clip(1 - np.minimum(phase, 1 - phase) * 14, 0, 1)


def stripes(rng: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32) / SIDE
    angle, count = rng.uniform(0, np.pi), rng.uniform(4, 60)
    wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * count * 2 * np.pi)
    sharp = np.tanh(wave * rng.uniform(0.5, 8))
    return sharp * rng.uniform(0.3, 1.5) + 0.4 * clouds(rng)


def facade(rng: np.random.Generator) -> np.ndarray:
    """Windows in rows on a wall."""
    field = 0.25 * clouds(rng)
    rows, columns = rng.integers(2, 7, 2)
    height, width = SIDE // rows, SIDE // columns
    share_y, share_x = rng.uniform(0.35, 0.8, 2)
    for r in range(rows):
        for c in range(columns):
            y, x = round((r + 0.1) * height), round((c + 0.1) * width)
            window = field[y : y + round(height * share_y), x : x + round(width * share_x)]
            window += rng.normal(-1.5, 0.6) + np.linspace(0, rng.normal(), len(window))[:, None]
            window[:3] += 1.5
            window[:, :3] += 1.5
    return field


def foliage(rng: np.random.Generator) -> np.ndarray:
    """Many small overlapping blades and leaves, lighter towards the front."""
    field = np.zeros((SIDE, SIDE), np.float32)
    size = rng.uniform(6, 24)
    for depth in np.sort(rng.normal(0, 1, 900)):
        centre = tuple(rng.integers(0, SIDE, 2).tolist())
        axes = (
            max(2, int(size * rng.uniform(0.6, 1.6))),
            max(1, int(size * rng.uniform(0.15, 0.6))),
        )
        cv2.ellipse(field, centre, axes, rng.uniform(0, 360), 0, 360, float(depth), -1)
    return field + 0.3 * noise(rng, 80, 80)


def gravel(rng: np.random.Generator) -> np.ndarray:
    cells = rng.uniform(20, 120)
    return np.abs(noise(rng, cells, cells)) + 0.5 * noise(rng, 3, 3) + 0.3 * noise(rng, 300, 300)


def weave(rng: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    step = rng.uniform(4, 14)
    return np.sin(x * np.pi / step) * np.sin(y * np.pi / step) * 0.6 + 0.5 * clouds(rng)


def clutter(rng: np.random.Generator) -> np.ndarray:
    """Boxes, discs and poles of any size: a street or a shelf seen from afar."""
    field = 0.3 * clouds(rng)
    for _ in range(rng.integers(20, 90)):
        tone = float(rng.normal(0, 1.2))
        x, y = rng.integers(-40, SIDE, 2).tolist()
        w, h = (SIDE * rng.beta(1, 6, 2)).astype(int).tolist()
        if rng.random() < 0.75:
            cv2.rectangle(field, (x, y), (x + w, y + h), tone, -1)
        else:
            cv2.circle(field, (x, y), max(2, w // 2), tone, -1, cv2.LINE_AA)
    return cv2.GaussianBlur(field, (0, 0), rng.uniform(0.5, 3)) + 0.15 * noise(rng, 200, 200)


KINDS: tuple[Callable[[np.random.Generator], np.ndarray], ...] = (
    clouds, plaster, wood, bricks, stripes, facade, foliage, gravel, weave, clutter, clutter,
    plaster,
)  # fmt: skip


@lru_cache(maxsize=POOL)
def pool_field(place: int) -> np.ndarray:
    """(SIDE, SIDE) uint8; the pool is the same in every process, whatever is drawn first."""
    rng = np.random.default_rng([2**20, place])
    field = KINDS[place % len(KINDS)](rng)
    low, high = np.percentile(field, (1, 99))
    return np.clip((field - low) * (255 / (high - low + 1e-6)), 0, 255).astype(np.uint8)


def texture(height: int, width: int, colours: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A piece of a procedural surface.

    Args:
        height: in pixels.
        width: in pixels.
        colours: (K, 3), from the darkest grey of the field to the lightest.
        rng: source of randomness.

    Returns:
        (H, W, 3) uint8.
    """
    grey = _cut(pool_field(int(rng.integers(POOL))), height, width, rng)
    steps = np.linspace(0, 255, len(colours))
    ramp = np.stack([np.interp(np.arange(256), steps, colours[:, c]) for c in range(3)], -1)
    return cv2.LUT(cv2.merge([grey] * 3), np.clip(ramp, 0, 255).astype(np.uint8)[None])


def _cut(field: np.ndarray, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """A random window of any scale, perhaps turned, at the wanted size."""
    if rng.random() < 0.3:
        field = np.rot90(field)
    if rng.random() < 0.5:
        field = field[:, ::-1]
    sides = np.array(field.shape[:2])
    largest = min(sides[0] / height, sides[1] / width, 3.0)
    zoom = largest * rng.uniform(0.35, 1.0)
    h, w = max(2, int(height * zoom)), max(2, int(width * zoom))
    y, x = (int(rng.integers(0, free + 1)) for free in sides - (h, w))
    window = np.ascontiguousarray(field[y : y + h, x : x + w])
    method = cv2.INTER_AREA if zoom > 1 else cv2.INTER_LINEAR
    return cv2.resize(window, (width, height), interpolation=method)


@lru_cache
def list_photos(folder: str) -> tuple[Path, ...]:
    """The pictures of a folder, sorted.

    Raises:
        DataError: there is none.
    """
    files = sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in PHOTOS)
    if not files:
        raise DataError(f"backgrounds: {folder} holds no picture ({', '.join(PHOTOS)})")
    return tuple(files)


@lru_cache(maxsize=64)
def _photo(path: Path) -> np.ndarray:
    image, _, _ = decode(path.read_bytes(), str(path), lambda h, w: (min(h, SIDE), min(w, SIDE)))
    scale = SIDE / min(image.shape[:2])
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale < 1 else image


def photo_piece(height: int, width: int, folder: str, rng: np.random.Generator) -> np.ndarray:
    """(H, W, 3) uint8: a piece of one of the folder's pictures."""
    files = list_photos(folder)
    return _cut(_photo(files[rng.integers(len(files))]), height, width, rng)
