"""Attention on a grid with decomposed relative positions (SAM, Kirillov et al. 2023; MViTv2).

The logit of a query in row i, column j for a key in row i', column j' is the scaled q k, plus
q Rh[i - i'] + q Rw[j - j']. The sum of these two over all pairs is never stored: a few queries at a
time are computed, and again in the backward, as flash attention does.
Shapes: N images times heads, H, W rows and columns, L = H * W cells, d channels of a head.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

LOGITS = 2**24  # at a time: 64 MiB in float32


def relative_attention(
    q_NLd: Tensor, k_NLd: Tensor, v_NLd: Tensor, rel: tuple[Tensor, Tensor]
) -> Tensor:
    """(N, L, d) attention.

    Args:
        q_NLd: queries, not scaled.
        k_NLd: keys.
        v_NLd: values.
        rel: what each query adds for each row, (N, L, H), and for each column of keys, (N, L, W).
    """
    return _Chunked.apply(q_NLd, k_NLd, v_NLd, *rel)


def relative_terms(q_NLd: Tensor, tables: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """(N, L, H) and (N, L, W): what each query adds for each row and column of keys.

    Args:
        q_NLd: queries, not scaled.
        tables: (2H - 1, d) and (2W - 1, d), from the farthest key behind to the farthest ahead.
    """
    height, width = ((len(table) + 1) // 2 for table in tables)
    rows, columns = (_unrolled(table) for table in tables)
    q_NHWd = q_NLd.unflatten(1, (height, width))
    rel_h = torch.einsum("nhwd,hkd->nhwk", q_NHWd, rows.to(q_NLd.dtype))
    rel_w = torch.einsum("nhwd,wkd->nhwk", q_NHWd, columns.to(q_NLd.dtype))
    return rel_h.flatten(1, 2), rel_w.flatten(1, 2)


def resize_table(table: Tensor, cells: int) -> Tensor:
    """A table of relative positions for another number of cells, (2 * cells - 1, d), by lines."""
    rows = 2 * cells - 1
    if len(table) == rows:
        return table
    resized = F.interpolate(table.float().T[None], rows, mode="linear")
    return resized[0].T.to(table.dtype)


def _unrolled(table: Tensor) -> Tensor:
    """(2g - 1, d) -> (g, g, d): the entry of query and key."""
    cells = torch.arange((len(table) + 1) // 2, device=table.device)
    return table[cells[:, None] - cells + len(cells) - 1]


class _Chunked(torch.autograd.Function):
    """Keeps inputs, output and the logarithm of the softmax's sum."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, rel_h: Tensor, rel_w: Tensor) -> Tensor:
        out, total = torch.empty_like(q), q.new_empty(q.shape[:2], dtype=_wide(q))
        with torch.autocast(q.device.type, enabled=False):
            for part in _parts(q):
                logits = _logits(q, k, rel_h, rel_w, part)
                total[:, part] = logits.logsumexp(-1)
                out[:, part] = (logits - total[:, part, None]).exp().to(v.dtype) @ v
        ctx.save_for_backward(q, k, v, rel_h, rel_w, out, total)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:  # pyright: ignore
        q, k, v, rel_h, rel_w, out, total = ctx.saved_tensors
        scale = q.shape[-1] ** -0.5
        dq, dk, dv = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        drel_h, drel_w = torch.empty_like(rel_h), torch.empty_like(rel_w)
        grad = grad.to(q.dtype)
        mean = (grad.to(total.dtype) * out.to(total.dtype)).sum(-1)
        with torch.autocast(q.device.type, enabled=False):
            for part in _parts(q):
                weight = (_logits(q, k, rel_h, rel_w, part) - total[:, part, None]).exp()
                dv += weight.to(v.dtype).mT @ grad[:, part]
                dweight = (grad[:, part] @ v.mT).to(total.dtype)
                dlogits = weight * (dweight - mean[:, part, None])
                grid = dlogits.unflatten(2, (rel_h.shape[2], rel_w.shape[2]))
                drel_h[:, part], drel_w[:, part] = grid.sum(3), grid.sum(2)
                dlogits = dlogits.to(q.dtype)
                dq[:, part] = dlogits @ k * scale
                dk += dlogits.mT @ q[:, part] * scale
        return dq, dk, dv, drel_h, drel_w


def _parts(q: Tensor) -> list[slice]:
    """Runs of queries with at most `LOGITS` logits, at least one query each."""
    step = max(1, LOGITS // (q.shape[0] * q.shape[1]))
    return [slice(start, start + step) for start in range(0, q.shape[1], step)]


def _logits(q: Tensor, k: Tensor, rel_h: Tensor, rel_w: Tensor, part: slice) -> Tensor:
    """(N, queries, L) in at least float32."""
    logits = (q[:, part] * q.shape[-1] ** -0.5 @ k.mT).to(_wide(q))
    grid = logits.unflatten(2, (rel_h.shape[2], rel_w.shape[2]))
    grid += rel_h[:, part, :, None]
    grid += rel_w[:, part, None]
    return logits


def _wide(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)
