"""Setting type on a page: words in lines, paragraphs, tables and rules, in reading order."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import numpy as np

from ocrpretrain.data.synthesis.lettering import Face, Line, Mark, draw_line

Align = Literal["justified", "left", "centre"]


@lru_cache(maxsize=4096)
def _set(text: str, face: Face) -> Line:
    return draw_line([text], face)  # prose repeats its words


class Page:
    """A sheet that fills up.

    Attributes:
        ink: (H, W) uint8 coverage.
        marks: words in reading order.
    """

    def __init__(self, height: int, width: int) -> None:
        self.ink = np.zeros((height, width), np.uint8)
        self.marks: list[Mark] = []

    @property
    def size(self) -> tuple[int, int]:
        return self.ink.shape[0], self.ink.shape[1]

    def write(self, text: str, face: Face, x: float, baseline: float) -> None:
        """Put one word; what does not fit on the sheet is left out of sheet and label."""
        line = _set(text, face)
        x0, y0 = round(x) - line.origin[0], round(baseline) - line.origin[1]
        h, w = line.mask.shape
        if x0 < 0 or y0 < 0 or y0 + h > self.size[0] or x0 + w > self.size[1]:
            return
        window = self.ink[y0 : y0 + h, x0 : x0 + w]
        np.maximum(window, line.mask, out=window)
        shift = np.array([x0, y0], np.float32)
        (mark,) = line.marks
        self.marks.append(Mark(text, mark.polygon + shift, mark.characters + shift))

    def paragraph(
        self,
        words: Sequence[str],
        face: Face,
        x: float,
        y: float,
        width: float,
        bottom: float,
        leading: float,
        align: Align = "justified",
        indent: float = 0.0,
    ) -> float:
        """Fill lines between x and x + width, from y down to `bottom`; words beyond are left out.

        Returns:
            y below the last line.
        """
        lines = break_lines(words, face, width, indent)
        for place, line in enumerate(lines):
            baseline = y + face.pixels
            if baseline + 0.3 * face.pixels > bottom:
                break
            lead = indent if not place else 0.0
            last = place == len(lines) - 1
            self._line(
                line,
                face,
                x + lead,
                width - lead,
                baseline,
                "left" if last and align == "justified" else align,
            )
            y += leading
        return y

    def _line(
        self,
        words: Sequence[str],
        face: Face,
        x: float,
        width: float,
        baseline: float,
        align: Align,
    ) -> None:
        blank = face.blank * face.pixels
        used = sum(_set(word, face).advance for word in words) + blank * (len(words) - 1)
        if align == "justified" and len(words) > 1:
            blank += (width - used) / (len(words) - 1)
        elif align == "centre":
            x += (width - used) / 2
        for word in words:
            self.write(word, face, x, baseline)
            x += _set(word, face).advance + blank

    def table(
        self,
        rows: Sequence[Sequence[str]],
        face: Face,
        x: float,
        y: float,
        width: float,
        bottom: float,
        rules: Literal["all", "rows", "none"],
    ) -> float:
        """Cells of one word or a few in equal columns, row by row.

        Returns:
            y below the last row that fits.
        """
        step = 1.7 * face.pixels
        pitch = width / len(rows[0])
        top = y
        for place, row in enumerate(rows):
            if y + step > bottom:
                break
            if rules == "all" or (rules == "rows" and place < 2):
                self.rule(x, y, x + width, y)
            for column, cell in enumerate(row):
                words = cell.split()
                fits = break_lines(words, face, pitch - 0.6 * face.pixels)[0]
                self._line(fits, face, x + column * pitch + 0.3 * face.pixels, pitch,
                           y + 1.2 * face.pixels, "left")  # fmt: skip
            y += step
        if rules != "none":
            self.rule(x, y, x + width, y)
        if rules == "all":
            for column in range(len(rows[0]) + 1):
                self.rule(x + column * pitch, top, x + column * pitch, y)
        return y + 0.5 * face.pixels

    def rule(self, x0: float, y0: float, x1: float, y1: float, thickness: int = 1) -> None:
        """A horizontal or vertical line."""
        xs, ys = sorted((round(x0), round(x1))), sorted((round(y0), round(y1)))
        self.ink[ys[0] : ys[1] + thickness, xs[0] : xs[1] + thickness] = 255


def break_lines(
    words: Sequence[str], face: Face, width: float, indent: float = 0.0
) -> list[list[str]]:
    """Words into lines, greedily; a word longer than a line stands alone."""
    blank = face.blank * face.pixels
    lines: list[list[str]] = [[]]
    room = width - indent
    for word in words:
        need = _set(word, face).advance + (blank if lines[-1] else 0.0)
        if lines[-1] and need > room:
            lines.append([])
            need, room = need - blank, width
        lines[-1].append(word)
        room -= need
    return lines
