"""Positions of a grid's cells: learned tables at another size, and sines at any."""

from __future__ import annotations

from collections.abc import Callable, Hashable

import torch
import torch.nn.functional as F
from torch import Tensor


class ResizedTables:
    """Tables at other sizes than their own, computed once per size where nothing learns.

    They are computed anew where gradients are asked for or a graph is compiled, and after the table
    has changed, in value, device or precision.
    """

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[object, Tensor]] = {}

    def __call__(self, key: Hashable, table: Tensor, resize: Callable[[], Tensor]) -> Tensor:
        """What `resize` makes of a table.

        Args:
            key: of the table and its new size.
            table: its own.
            resize: the function.
        """
        if torch.is_grad_enabled() or torch.compiler.is_compiling():
            return resize()
        state = (table._version, table.device, table.dtype)
        before, resized = self._known.get(key, (None, table))
        if before != state:
            resized = resize()
            self._known[key] = (state, resized)
        return resized


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


def sine_grid(size: tuple[int, int], channels: int, device: torch.device | None = None) -> Tensor:
    """(h*w, C): sines of the row in the first half of the channels, of the column in the second.

    Wavelengths grow from 2 pi to 10,000 * 2 pi cells (Vaswani et al. 2017), in each half.

    Args:
        size: (h, w).
        channels: C, a multiple of 4.
        device: of the table.
    """
    parts = []
    for cells in size:
        rate = 10000 ** -(torch.arange(channels // 4, device=device) * 4 / channels)
        angle = torch.arange(cells, device=device)[:, None] * rate
        parts.append(torch.cat([angle.sin(), angle.cos()], 1))
    rows, columns = parts
    both = torch.cat(
        [rows[:, None].expand(-1, size[1], -1), columns[None].expand(size[0], -1, -1)], 2
    )
    return both.flatten(0, 1)
