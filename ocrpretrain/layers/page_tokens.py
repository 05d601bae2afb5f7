"""Encoded views of a page -> the sequence that a decoder reads, as in DeepSeek-OCR.

Shapes: B pages, C channels of the map, h, w cells, W channels of the decoder, P positions.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class PageTokens(nn.Module):
    """Projects cells; a newline ends each row, a separator the page; tiles come before the whole.

    Tiles are laid out as the large picture that they are cut from, and its rows are read.

    Args:
        in_channels: of the encoder's last map (C); None takes maps that have the decoder's width.
        width: channels of the decoder (W).
    """

    def __init__(self, in_channels: int | None, width: int) -> None:
        super().__init__()
        self.projector = nn.Identity() if in_channels is None else nn.Linear(in_channels, width)
        self.image_newline = nn.Parameter(torch.randn(width) * width**-0.5)
        self.view_separator = nn.Parameter(torch.randn(width) * width**-0.5)

    def forward(
        self,
        whole_BChw: Tensor,
        tiles_TChw: Tensor | None = None,
        grids: Sequence[tuple[int, int]] = (),
    ) -> list[Tensor]:
        """One (P, W) sequence per page.

        Args:
            whole_BChw: maps of the whole pages.
            tiles_TChw: maps of all pages' tiles, page by page and row by row.
            grids: columns and rows of each page's tiles, (0, 0) where it has none.
        """
        counts = [columns * rows for columns, rows in grids] or [0] * len(whole_BChw)
        assert len(counts) == len(whole_BChw)
        assert sum(counts) == (0 if tiles_TChw is None else len(tiles_TChw))
        whole_BhwW = self.projector(whole_BChw.movedim(1, -1))
        separator = self.view_separator.expand(len(whole_BhwW), 1, -1)
        pages = list(torch.cat([self._rows(whole_BhwW), separator], 1))
        if tiles_TChw is None:
            return pages
        tiles = self.projector(tiles_TChw.movedim(1, -1)).split(counts)
        for place, (columns, rows) in enumerate(grids):
            if counts[place]:
                grid = tiles[place].unflatten(0, (rows, columns)).transpose(1, 2)
                large = self._rows(grid.flatten(2, 3).flatten(0, 1))
                pages[place] = torch.cat([large, pages[place]])
        return pages

    def _rows(self, x_hwW: Tensor) -> Tensor:
        """(..., h * (w + 1), W)."""
        newline = self.image_newline.expand(*x_hwW.shape[:-2], 1, -1)
        return torch.cat([x_hwW, newline], -2).flatten(-3, -2)
