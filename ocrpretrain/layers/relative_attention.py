"""Attention on a grid with decomposed relative positions (SAM, Kirillov et al. 2023; MViTv2).

The logit of a query in row i, column j for a key in row i', column j' is the scaled q k, plus
q Rh[i - i'] + q Rw[j - j']. The sum of these two over all pairs is never stored. On a CPU a few
queries at a time are computed, and again in the backward, as flash attention does. On a GPU the
sum is part of the product: queries are lengthened by what they add for each row and column, keys by
the one-hot places of theirs, and torch's fused attention does the rest.
Shapes: N images or windows, n heads, H, W rows and columns, L = H * W cells, d channels of a head.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.attention import SDPBackend, sdpa_kernel

# At a time: 4 MiB in float32, which stay in a CPU's cache; elsewhere few launches count for more.
LOGITS = {"cpu": 2**20, "cuda": 2**26}
LONGEST = 256  # channels of a head that fused attention takes
# That take values that are shorter than keys.
FUSED = [SDPBackend.CUDNN_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


def relative_attention(
    q_NnLd: Tensor, k_NnLd: Tensor, v_NnLd: Tensor, rel: tuple[Tensor, Tensor]
) -> Tensor:
    """(N, n, L, d) attention.

    Args:
        q_NnLd: queries, not scaled.
        k_NnLd: keys.
        v_NnLd: values.
        rel: what each query adds for each row, (N, n, L, H), and each column of keys, (N, n, L, W).
    """
    if q_NnLd.is_cuda and sum(x.shape[-1] for x in (q_NnLd, *rel)) <= LONGEST:
        return lengthened(q_NnLd, k_NnLd, v_NnLd, rel)
    parts = (x.flatten(0, 1) for x in (q_NnLd, k_NnLd, v_NnLd, *rel))
    return _Chunked.apply(*parts).unflatten(0, q_NnLd.shape[:2])


def lengthened(
    q_NnLd: Tensor,
    k_NnLd: Tensor,
    v_NnLd: Tensor,
    rel: tuple[Tensor, Tensor],
    kernels: list[SDPBackend] = FUSED,
) -> Tensor:
    """`relative_attention` as one product of longer queries and keys, by the first kernel."""
    rows, columns, room = rel[0].shape[-1], rel[1].shape[-1], q_NnLd.shape[:2]
    zeros = -(q_NnLd.shape[-1] + rows + columns) % 8  # lengths that the kernels take
    row, column = (torch.eye(cells, device=k_NnLd.device) for cells in (rows, columns))
    places = [row.repeat_interleave(columns, 0), column.repeat(rows, 1)]
    place_LP = F.pad(torch.cat(places, 1), (0, zeros)).to(k_NnLd.dtype)
    nothing = q_NnLd.new_zeros(zeros).expand(*q_NnLd.shape[:-1], -1)
    query = torch.cat([q_NnLd * q_NnLd.shape[-1] ** -0.5, *rel, nothing], -1)
    key = torch.cat([k_NnLd, place_LP.expand(*room, -1, -1)], -1)
    with sdpa_kernel(kernels, set_priority=True):
        return F.scaled_dot_product_attention(query, key, v_NnLd, scale=1.0)


def relative_terms(q_NnLd: Tensor, tables: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """(N, n, L, H) and (N, n, L, W): what each query adds for each row and column of keys.

    Args:
        q_NnLd: queries, not scaled.
        tables: (2H - 1, d) and (2W - 1, d), from the farthest key behind to the farthest ahead.
    """
    height, width = ((len(table) + 1) // 2 for table in tables)
    rows, columns = (_unrolled(table) for table in tables)
    q_NnHWd = q_NnLd.unflatten(2, (height, width))
    rel_h = torch.einsum("mnhwd,hkd->mnhwk", q_NnHWd, rows.to(q_NnLd.dtype))
    rel_w = torch.einsum("mnhwd,wkd->mnhwk", q_NnHWd, columns.to(q_NnLd.dtype))
    return rel_h.flatten(2, 3), rel_w.flatten(2, 3)


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
    """Of (N * n, L, ...): keeps inputs and output; the backward computes weights again."""

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
