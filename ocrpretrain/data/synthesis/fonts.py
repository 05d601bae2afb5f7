"""Fonts of the generator: the families of the `fonts` extra, else matplotlib's text faces.

A font is only used if it draws every printable ASCII character with ink of its own.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ocrpretrain.errors import DataError

PRINTABLE = "".join(map(chr, range(33, 127)))
PROBE_SIZE = 64
UNICASE_OVERLAP = 0.8  # ordinary faces reach 0.73 between a/A, b/B, ...; unicase faces 0.83 to 1


@lru_cache
def load_fonts(folder: str | None = None) -> tuple[tuple[Path, bool], ...]:
    """All usable fonts, sorted by name: (file, unicase).

    A unicase face draws capitals for small letters, so that its labels must be upper-cased.

    Args:
        folder: where to look for .ttf and .otf files instead of the installed packages.

    Raises:
        DataError: no usable font.
    """
    if folder is not None:
        files = [p for p in Path(folder).rglob("*") if p.suffix.lower() in (".ttf", ".otf")]
    else:
        files = _packaged() or _matplotlib()
    fonts = []
    for path in sorted(files, key=lambda path: path.name):
        font = ImageFont.truetype(str(path), PROBE_SIZE)
        if draws_all(font):
            fonts.append((path, is_unicase(font)))
    if not fonts:
        raise DataError(f"no usable font in {folder or 'the fonts extra and matplotlib'}")
    return tuple(fonts)


def _packaged() -> list[Path]:
    roots = {Path(entry) for entry in sys.path if entry}
    return [file for root in sorted(roots) for file in root.glob("fontpkg_*/files/*.ttf")]


def _matplotlib() -> list[Path]:
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    # The Computer Modern files have encodings of their own; LastResort draws boxes.
    return [*folder.glob("DejaVu*.ttf"), *folder.glob("STIXGeneral*.ttf")]


def draws_all(font: ImageFont.FreeTypeFont) -> bool:
    """Whether each printable character has ink and is not the box for a missing glyph."""
    missing = _draw(font, "\uffff").tobytes()
    images = [_draw(font, char) for char in PRINTABLE]
    return all(image.getbbox() and image.tobytes() != missing for image in images)


def is_unicase(font: ImageFont.FreeTypeFont) -> bool:
    """Whether small letters are drawn as capitals, by the overlap of their shapes."""
    overlaps = []
    for char in "abdeghqrt":
        low, high = (_shape(font, text) for text in (char, char.upper()))
        overlaps.append((low & high).sum() / max((low | high).sum(), 1))
    return float(np.mean(overlaps)) > UNICASE_OVERLAP


def _draw(font: ImageFont.FreeTypeFont, char: str) -> Image.Image:
    image = Image.new("L", (4 * PROBE_SIZE, 4 * PROBE_SIZE))
    ImageDraw.Draw(image).text((PROBE_SIZE, PROBE_SIZE), char, font=font, fill=255)
    return image


def _shape(font: ImageFont.FreeTypeFont, char: str) -> np.ndarray:
    """(32, 32) bool: the ink of one character, stretched to a square."""
    image = _draw(font, char)
    return np.asarray(image.crop(image.getbbox()).resize((32, 32), Image.Resampling.BOX)) > 127
