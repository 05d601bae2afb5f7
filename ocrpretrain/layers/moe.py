"""Mixture of experts as in DeepSeek-V2 (Dai et al. 2024): a few routed experts, and shared ones.

Shapes: B texts, S positions, T tokens of all texts, W channels, H hidden channels of an expert,
E experts.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ocrpretrain.errors import ConfigError


class SwiGLU(nn.Module):
    """(..., W) -> (..., W): a gated MLP without biases (Shazeer 2020).

    Args:
        width: channels (W).
        hidden: channels of the gate (H).
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate, self.up = (nn.Linear(width, hidden, bias=False) for _ in range(2))
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.silu(self.gate(x)) * self.up(x))


class MixtureOfExperts(nn.Module):
    """Each token passes its `top` experts, weighted by the gate's softmax, and the shared ones.

    The weights are not normalised again: those of a token sum to less than one.

    Args:
        width: channels (W).
        hidden: channels of one expert (H).
        experts: routed ones (E).
        top: of them for each token.
        shared: that every token passes; one MLP of so many times the channels.

    Raises:
        ConfigError: `top` is none of 1 to `experts`.
    """

    def __init__(self, width: int, hidden: int, experts: int, top: int, shared: int) -> None:
        super().__init__()
        if not 0 < top <= experts:
            raise ConfigError(f"decoder: top {top} of {experts} experts")
        self.top = top
        self.router = nn.Parameter(torch.empty(experts, width))
        self.gate, self.up = (nn.Parameter(torch.empty(experts, hidden, width)) for _ in range(2))
        self.down = nn.Parameter(torch.empty(experts, width, hidden))
        self.shared = SwiGLU(width, hidden * shared)
        for table in (self.router, self.gate, self.up, self.down):
            nn.init.normal_(table, std=0.02)

    def forward(self, x_BSW: Tensor) -> tuple[Tensor, Tensor]:
        """(B, S, W) -> (B, S, W), and the balance loss: 1 where all experts have equal work.

        All positions count in it, also those that only fill up shorter texts of a batch.
        """
        with torch.autocast(x_BSW.device.type, enabled=False):  # near ties are many
            scores_BSE = F.linear(x_BSW.float(), self.router.float()).softmax(-1)
        weight_BSk, expert_BSk = scores_BSE.topk(self.top, sorted=False)
        x_TW = x_BSW.flatten(0, 1)
        routed = self._route(x_TW, weight_BSk.flatten(0, 1), expert_BSk.flatten(0, 1))
        balance = _balance(scores_BSE, expert_BSk)
        return routed.view_as(x_BSW) + self.shared(x_BSW), balance

    def _route(self, x_TW: Tensor, weight_Tk: Tensor, expert_Tk: Tensor) -> Tensor:
        """Tokens sorted by expert, so that each expert is one product."""
        order = expert_Tk.flatten().argsort(stable=True)
        token = order // self.top
        counts = expert_Tk.flatten().bincount(minlength=len(self.router)).tolist()
        # Taken apart once: an index in the loop would give each expert a gradient of all tables.
        experts = zip(
            x_TW[token].split(counts), self.gate.unbind(), self.up.unbind(), self.down.unbind(),
            strict=True,
        )  # fmt: skip
        parts = [
            F.linear(F.silu(F.linear(part_NW, gate)) * F.linear(part_NW, up), down)
            for part_NW, gate, up, down in experts
        ]
        weighted = torch.cat(parts).float() * weight_Tk.flatten()[order, None].float()
        total = torch.zeros_like(weighted[: len(x_TW)]).index_add(0, token, weighted)
        return total.to(x_TW.dtype)


def _balance(scores_BSE: Tensor, expert_BSk: Tensor) -> Tensor:
    """Mean over texts of the sum over experts of share of the work x mean score, times E."""
    experts, choices = scores_BSE.shape[2], expert_BSk.flatten(1)
    work_BE = torch.zeros_like(scores_BSE[:, 0]).scatter_add(
        1, choices, torch.ones_like(choices, dtype=scores_BSE.dtype)
    )
    share_BE = work_BE * experts / choices.shape[1]
    return (share_BE * scores_BSE.mean(1)).sum(1).mean()
