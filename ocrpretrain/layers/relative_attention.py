"""Attention on a grid with decomposed relative positions (SAM, Kirillov et al. 2023; MViTv2).

The logit of a query in row i, column j for a key in row i', column j' is the scaled q k, plus
q Rh[i - i'] + q Rw[j - j']. The sum of these two over all pairs is never stored: a few queries at a
time are computed, and again in the backward, as flash attention does.
Shapes: N images times heads, H, W rows and columns, L = H * W cells, d channels of a head.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

# At a time: 4 MiB in float32, which stay in a CPU's cache; elsewhere few launches count for more.
LOGITS = {"cpu": 2**20, "cuda": 2**26}


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
    """Keeps its inputs and output; weights are computed again in the backward."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, rel_h: Tensor, rel_w: Tensor) -> Tensor:
        out = torch.empty_like(q)
        with torch.autocast(q.device.type, enabled=False):
            for head, part in _parts(q):
                bias = rel_h[head, part, :, None] + rel_w[head, part, None]
                inputs = (q[head, part], k[head], v[head])
                out[head, part] = F.scaled_dot_product_attention(
                    *(x.unsqueeze(0) for x in inputs), attn_mask=bias.flatten(2).unsqueeze(0)
                )[0]
        ctx.save_for_backward(q, k, v, rel_h, rel_w, out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:  # pyright: ignore
        q, k, v, rel_h, rel_w, out = ctx.saved_tensors
        scale, grid = q.shape[-1] ** -0.5, (rel_h.shape[2], rel_w.shape[2])
        dq, dk, dv = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        drel_h, drel_w = torch.empty_like(rel_h), torch.empty_like(rel_w)
        grad = grad.to(q.dtype)
        wide = torch.promote_types(q.dtype, torch.float32)
        mean = (grad.to(wide) * out.to(wide)).sum(-1, keepdim=True)
        with torch.autocast(q.device.type, enabled=False):
            for head, part in _parts(q):
                logits = (q[head, part] * scale @ k[head].mT).to(wide)
                logits.unflatten(2, grid).add_(rel_h[head, part, :, None])
                logits.unflatten(2, grid).add_(rel_w[head, part, None])
                weight = logits.softmax(-1)
                dv[head].baddbmm_(weight.to(v.dtype).mT, grad[head, part])
                dlogits = (grad[head, part] @ v[head].mT).to(wide)
                dlogits.sub_(mean[head, part]).mul_(weight)
                drel_h[head, part] = dlogits.unflatten(2, grid).sum(3)
                drel_w[head, part] = dlogits.unflatten(2, grid).sum(2)
                dlogits = dlogits.to(q.dtype)
                dq[head, part] = dlogits @ k[head] * scale
                dk[head].baddbmm_(dlogits.mT, q[head, part], alpha=scale)
        return dq, dk, dv, drel_h, drel_w


def _parts(q: Tensor) -> Iterator[tuple[slice, slice]]:
    """Heads and queries with at most `LOGITS` logits together, at least one query of one head."""
    count, length, _ = q.shape
    most = LOGITS.get(q.device.type, LOGITS["cuda"])
    queries = min(length, max(1, most // length))
    heads = max(1, most // (queries * length))
    for head in range(0, count, heads):
        for query in range(0, length, queries):
            yield slice(head, head + heads), slice(query, query + queries)
