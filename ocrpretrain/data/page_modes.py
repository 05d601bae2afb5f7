"""How DeepSeek-OCR shows a page to its encoder: sizes, tiles, and how many positions they take.

Vision tokens are counted in three ways: nominal (cells of stride 64), valid (the share of a padded
view that the page fills), and positions (what the decoder's sequence really holds: cells, a newline
behind each row and a separator at the end).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image, ImageOps

STRIDE = 64
GREY = (127, 127, 127)


class Views(NamedTuple):
    """What the encoder sees of a page.

    Attributes:
        whole: (S, S, 3) uint8, the page in one view.
        tiles: (rows * columns, T, T, 3) uint8, row by row; None where there are none.
        grid: columns and rows of the tiles; (0, 0) where there are none.
    """

    whole: np.ndarray
    tiles: np.ndarray | None
    grid: tuple[int, int]


@dataclass(frozen=True)
class PageMode:
    """One way to show a page.

    Attributes:
        size: side of the view of the whole page, in pixels.
        resize: 'squash' stretches the page to a square; 'pad' keeps its aspect on grey.
        tile: side of the tiles of larger pages; 0 is none.
        most: tiles of a page.
        uncut: pages whose sides are no longer than this are not cut; 640 also for larger tiles.
    """

    size: int
    resize: Literal["squash", "pad"]
    tile: int = 0
    most: int = 6
    uncut: int = 640

    def grid(self, width: int, height: int) -> tuple[int, int]:
        """Columns and rows of tiles for a page, (0, 0) where it is not cut.

        That of 2 to `most` tiles whose aspect is nearest to the page's; of equal ones the larger,
        if the page has more than half its pixels (InternVL's rule).
        """
        if not self.tile or max(width, height) <= self.uncut:
            return 0, 0
        sides = range(1, self.most + 1)
        grids = [(i, j) for i in sides for j in sides if 2 <= i * j <= self.most]
        best, least = (1, 1), math.inf
        for columns, rows in sorted(grids, key=lambda grid: grid[0] * grid[1]):
            distance = abs(width / height - columns / rows)
            large = width * height > 0.5 * self.tile**2 * columns * rows
            if distance < least or (distance == least and large):
                best, least = (columns, rows), distance
        return best

    def nominal(self, width: int, height: int) -> int:
        """Cells of all views, as papers count them."""
        columns, rows = self.grid(width, height)
        return (self.size // STRIDE) ** 2 + columns * rows * (self.tile // STRIDE) ** 2

    def valid(self, width: int, height: int, rounded: Callable[[float], int] = math.ceil) -> int:
        """Cells that show something of the page: padding is left out.

        Args:
            width: of the page.
            height: of the page.
            rounded: up in the paper (equation 1), down (`int`) in the published code.
        """
        whole = (self.size // STRIDE) ** 2
        nominal = self.nominal(width, height)
        if self.resize == "squash":
            return nominal
        share = 1 - (max(width, height) - min(width, height)) / max(width, height)
        return nominal - whole + rounded(whole * share)

    def positions(self, width: int, height: int) -> int:
        """Positions of the decoder's sequence."""
        cells, small = self.size // STRIDE, self.tile // STRIDE
        columns, rows = self.grid(width, height)
        return cells * (cells + 1) + 1 + rows * small * (columns * small + 1) * bool(rows)

    def show(self, image: np.ndarray) -> Views:
        """The views of a page, (H, W, 3) uint8."""
        page = Image.fromarray(image)
        square = (self.size, self.size)
        if self.resize == "pad":
            whole = np.array(ImageOps.pad(page, square, color=GREY))
        else:
            whole = np.array(page.resize(square))
        columns, rows = grid = self.grid(*page.size)
        if not rows:
            return Views(whole, None, grid)
        large = np.array(page.resize((columns * self.tile, rows * self.tile)))
        tiles = large.reshape(rows, self.tile, columns, self.tile, 3).swapaxes(1, 2)
        return Views(whole, tiles.reshape(-1, self.tile, self.tile, 3), grid)


MODES = {
    "tiny": PageMode(512, "squash"),
    "small": PageMode(640, "squash"),
    "base": PageMode(1024, "pad"),
    "large": PageMode(1280, "pad"),
    "gundam": PageMode(1024, "pad", 640),
    "gundam-m": PageMode(1280, "pad", 1024),
}
