"""Learned position tables for grids of another size than they were trained with."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def resize_grid(table: Tensor, grid: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Resize a position table.

    Args:
        table: (h*w, C), rows first.
        grid: (h, w) of the table.
        size: (h', w') wanted; equal to `grid` returns the table itself.

    Returns:
        (h'*w', C), bicubic in float32, antialiased (which only acts when shrinking).
    """
    if grid == size:
        return table
    image = table.float().T.reshape(1, -1, *grid)
    image = F.interpolate(image, size, mode="bicubic", align_corners=False, antialias=True)
    return image.flatten(2)[0].T.to(table.dtype)
