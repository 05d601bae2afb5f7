"""Multi-head attention whose keys and values are projected once and used often.

Shapes: B batch, Q queries, L keys, D width, n heads, d channels per head.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

KeyValue = tuple[Tensor, Tensor]  # each (B, n, L, d)


class CachedAttention(nn.Module):
    """`nn.MultiheadAttention` (its parameters, names and initial values) in three steps.

    Args:
        width: channels (D).
        heads: attention heads.
        dropout: of the attention weights, in training.
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def queries(self, x_BQD: Tensor) -> Tensor:
        """(B, Q, D) -> (B, n, Q, d)."""
        width = x_BQD.shape[-1]
        return self._split(F.linear(x_BQD, self.in_proj_weight[:width], self.in_proj_bias[:width]))

    def keys(self, x_BLD: Tensor) -> KeyValue:
        """(B, L, D) -> keys and values."""
        width = x_BLD.shape[-1]
        both = F.linear(x_BLD, self.in_proj_weight[width:], self.in_proj_bias[width:])
        key, value = both.chunk(2, dim=-1)
        return self._split(key), self._split(value)

    def forward(self, q_BnQd: Tensor, kv: KeyValue, keep: Tensor | None = None) -> Tensor:
        """Projected queries, keys and values -> (B, Q, D).

        Args:
            q_BnQd: from `queries`; a batch of 1 serves all.
            kv: from `keys`.
            keep: broadcastable to (B, n, Q, L), True = may be looked at.
        """
        q_BnQd = q_BnQd.expand(len(kv[0]), -1, -1, -1)
        dropout = self.dropout if self.training else 0.0
        out = attend(q_BnQd, kv, keep, dropout=dropout)
        return self.out_proj(out.transpose(1, 2).flatten(2))

    def weights(self, q_BnQd: Tensor, kv: KeyValue, keep: Tensor | None = None) -> Tensor:
        """(B, Q, L) attention averaged over heads: the plain form, for pictures only."""
        return _weights(q_BnQd, kv[0], keep).mean(1)

    def _split(self, x_BLD: Tensor) -> Tensor:
        return x_BLD.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def attend(
    q_BnQd: Tensor,
    kv: KeyValue,
    keep: Tensor | None = None,
    causal: bool = False,
    dropout: float = 0.0,
) -> Tensor:
    """(B, n, Q, d) scaled attention, in torch's fused form where that is the faster one.

    Args:
        q_BnQd: queries.
        kv: keys and values.
        keep: broadcastable to (B, n, Q, L), True = may be looked at.
        causal: each query looks at the keys up to its own place; without `keep`.
        dropout: of the weights.
    """
    if not (q_BnQd.is_cpu and q_BnQd.dtype == torch.bfloat16 and torch.is_grad_enabled()):
        return F.scaled_dot_product_attention(
            q_BnQd, *kv, attn_mask=keep, dropout_p=dropout, is_causal=causal
        )
    # The fused backward is up to 7 times as slow there (benchmarks/attention.py).
    if causal:
        keep = torch.ones(q_BnQd.shape[2], kv[0].shape[2], dtype=torch.bool).tril()
    return F.dropout(_weights(q_BnQd, kv[0], keep), dropout) @ kv[1]


def _weights(q_BnQd: Tensor, k_BnLd: Tensor, keep: Tensor | None) -> Tensor:
    """(B, n, Q, L): the plain form."""
    score_BnQL = q_BnQd @ k_BnLd.mT * q_BnQd.shape[-1] ** -0.5
    if keep is not None:
        score_BnQL = score_BnQL.masked_fill(~keep, -torch.inf)
    return score_BnQL.softmax(-1)
