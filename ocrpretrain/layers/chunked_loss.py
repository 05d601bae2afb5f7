"""Cross entropy over a large vocabulary whose logits never lie in memory all at once.

Shapes: N positions, W channels, V ids.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint


def chunked_cross_entropy(
    states_NW: Tensor,
    head_VW: Tensor,
    target_N: Tensor,
    ignore_index: int = -100,
    rows: int | None = None,
) -> Tensor:
    """Sum of the cross entropies of `states @ head.T`; the caller divides.

    Logits of some positions at a time, computed again in the backward.

    Args:
        states_NW: what the logits are made of.
        head_VW: the output matrix.
        target_N: ids.
        ignore_index: targets that do not count.
        rows: positions at a time; 1024 by default, or as many as 16 MiB hold where that is more.
    """
    rows = max(1024, 2**22 // len(head_VW)) if rows is None else rows

    def part(states: Tensor, target: Tensor) -> Tensor:
        logits = F.linear(states, head_VW).float()
        return F.cross_entropy(logits, target, ignore_index=ignore_index, reduction="sum")

    total = states_NW.new_zeros((), dtype=torch.float32)
    pairs = zip(states_NW.split(rows), target_N.split(rows), strict=True)
    for states, target in pairs:
        found = checkpoint(part, states, target, use_reentrant=False)
        assert isinstance(found, Tensor)
        total = total + found
    return total
