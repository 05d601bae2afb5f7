"""Fonts of the generator: the families of the `fonts` extra, a folder, or the system's.

A font is used only if it draws every character that is asked for with ink of its own, so that no
box for a missing glyph is ever labelled with the character that it stands for.
"""

from __future__ import annotations

import ctypes
import io
import re
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import freetype
import numpy as np
import uharfbuzz

from ocrpretrain.errors import DataError

PROBE = 64  # pixels per em at which fonts are looked at
UNICASE_OVERLAP = 0.8  # ordinary faces reach 0.73 between a/A, b/B, ...; unicase faces 0.83 to 1
hb: Any = uharfbuzz  # a compiled module, whose names type checkers do not see
ft: Any = freetype  # takes its constants from C
LOAD: int = ft.FT_LOAD_RENDER | ft.FT_LOAD_NO_HINTING  # hinting is most of the time
SUFFIXES = (".ttf", ".otf")


class Font(NamedTuple):
    """A usable font file.

    Attributes:
        path: the file.
        family: files of one family count as one when a font is drawn.
        unicase: whether it draws capitals for small letters; labels must then be in capitals.
        capital: height of an H as a share of the em.
        weights: least and most of the weight axis, or None.
    """

    path: Path
    family: str
    unicase: bool
    capital: float
    weights: tuple[float, float] | None


@lru_cache
def load_fonts(characters: str, folder: str | None = None) -> tuple[Font, ...]:
    """All fonts that draw all of `characters`, sorted by file name.

    Args:
        characters: every character that will be written, without blanks.
        folder: where to look for .ttf and .otf files instead of the installed packages;
            'system' for the operating system's folders.

    Raises:
        DataError: no font has them all.
    """
    if folder == "system":
        from matplotlib.font_manager import findSystemFonts

        files = [Path(name) for name in findSystemFonts()]
    elif folder is not None:
        files = list(Path(folder).rglob("*"))
    else:
        # matplotlib's faces have Greek and Arabic, and are there without the extra.
        files = _packaged() or _matplotlib()
        if all(missing(file, characters) for file in files):
            files = _matplotlib()
    files = sorted(filter(_is_font, files), key=lambda file: file.name)
    lacking = {file: missing(file, characters) for file in files}
    usable = [file for file in files if not lacking[file]]
    if not usable:
        where = folder or "the fonts extra and matplotlib"
        nearest = min(files, key=lambda file: len(lacking[file]), default=None)
        what = f"; {nearest.name} lacks {lacking[nearest][:20]!r}" if nearest else ""
        raise DataError(
            f"none of {len(files)} fonts in {where} draws all characters of the texts{what}. Give "
            "a folder of fonts that do (fonts=..., --fonts), or take these characters out"
        )
    return tuple(_inspect(file) for file in usable)


def _packaged() -> list[Path]:
    roots = {Path(entry) for entry in sys.path if entry}
    return [file for root in sorted(roots) for file in root.glob("fontpkg_*/files/*.ttf")]


def _matplotlib() -> list[Path]:
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    # The Computer Modern files have encodings of their own; LastResort draws boxes.
    return [*folder.glob("DejaVu*.ttf"), *folder.glob("STIXGeneral*.ttf")]


@lru_cache(maxsize=256)
def open_face(path: Path, weight: int | None = None) -> tuple[freetype.Face, Any]:
    """The rasteriser's and the shaper's view of a font file; one per process.

    Raises:
        DataError: not a font.
    """
    try:
        data = path.read_bytes()  # an open file would share its position with forked workers
        face = freetype.Face(io.BytesIO(data))
        font = hb.Font(hb.Face(hb.Blob(data)))
    except (freetype.FT_Exception, OSError, ValueError) as error:
        raise DataError(f"{path} is not a readable font ({error})") from None
    if weight is not None:
        font.set_variations({"wght": weight})
        axes = face.get_variation_info().axes
        face.set_var_design_coords(
            [weight if axis.tag == "wght" else axis.default for axis in axes]
        )
    return face, font


def render_glyph(face: freetype.Face, glyph: int) -> tuple[np.ndarray, int, int]:
    """(h, w) uint8 coverage of one glyph, and its left and top edge from the origin (y upwards)."""
    face.load_glyph(glyph, LOAD)
    bitmap = face.glyph.bitmap
    rows, pitch, width = bitmap.rows, bitmap.pitch, bitmap.width
    # `bitmap.buffer` would build a Python list of all pixels.
    data = ctypes.string_at(bitmap._FT_Bitmap.buffer, rows * pitch) if rows else b""
    pixels = np.frombuffer(data, np.uint8).reshape(rows, max(pitch, 1))[:, :width]
    return pixels, face.glyph.bitmap_left, face.glyph.bitmap_top


@lru_cache(maxsize=1024)
def missing(path: Path, characters: str) -> str:
    """Those characters that a font has not, or without ink, or as the box for a missing glyph."""
    face, _ = open_face(path)
    face.set_pixel_sizes(0, PROBE)
    box = render_glyph(face, 0)[0]

    def draws(char: str) -> bool:
        glyph = face.get_char_index(char)
        image = render_glyph(face, glyph)[0]
        return bool(glyph and image.any()) and not np.array_equal(image, box)

    return "".join(char for char in characters if not draws(char))


def _is_font(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def _inspect(path: Path) -> Font:
    face, _ = open_face(path)
    face.set_pixel_sizes(0, PROBE)
    capital = render_glyph(face, face.get_char_index("H"))[0].shape[0] / PROBE
    weights = None
    if face.has_multiple_masters:
        axes = {axis.tag: axis for axis in face.get_variation_info().axes}
        if "wght" in axes:
            weights = (axes["wght"].minimum, axes["wght"].maximum)
    return Font(path, re.split(r"[-\[]", path.stem)[0], is_unicase(face), capital, weights)


def is_unicase(face: freetype.Face) -> bool:
    """Whether small letters are drawn as capitals, by the overlap of their shapes."""
    overlaps = []
    for char in "abdeghqrt":
        low, high = (_shape(face, text) for text in (char, char.upper()))
        overlaps.append((low & high).sum() / max((low | high).sum(), 1))
    return float(np.mean(overlaps)) > UNICASE_OVERLAP


def _shape(face: freetype.Face, char: str) -> np.ndarray:
    """(32, 32) bool: the ink of one character, stretched to a square."""
    pixels = render_glyph(face, face.get_char_index(char))[0]
    return cv2.resize(pixels, (32, 32), interpolation=cv2.INTER_AREA) > 127
