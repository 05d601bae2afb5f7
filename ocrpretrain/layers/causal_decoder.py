"""DeepSeek-OCR's language decoder: attention with rotary positions, one dense layer, then experts.

Shapes: B texts, S positions, P positions seen before, W channels, V ids, n heads, d channels of a
head.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ocrpretrain.errors import ConfigError
from ocrpretrain.layers.attention import attend
from ocrpretrain.layers.moe import MixtureOfExperts, SwiGLU


class Past(NamedTuple):
    """Keys and values of the positions that a layer has seen, (B, n, P, d) each."""

    key: Tensor
    value: Tensor


class RotaryAttention(nn.Module):
    """Causal multi-head attention with rotary positions (Su et al. 2021), without biases.

    Args:
        width: channels (W).
        heads: attention heads.
        theta: base of the wavelengths.
    """

    def __init__(self, width: int, heads: int, theta: float) -> None:
        super().__init__()
        self.heads, self.theta = heads, theta
        self.q, self.k, self.v, self.o = (nn.Linear(width, width, bias=False) for _ in range(4))

    def forward(
        self, x_BSW: Tensor, positions_BS: Tensor, keep: Tensor | None, past: Past | None
    ) -> tuple[Tensor, Past]:
        """(B, S, W), and keys and values with those of the past.

        Args:
            x_BSW: the stream.
            positions_BS: of its tokens.
            keep: (B, 1, S, P + S) bool, True = may be looked at; None is causal without padding.
            past: of the positions before, if any.
        """
        query, key, value = (
            layer(x_BSW).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.q, self.k, self.v)
        )
        query, key = (rotate(x, positions_BS, self.theta) for x in (query, key))
        if past is not None:
            key, value = torch.cat([past.key, key], 2), torch.cat([past.value, value], 2)
        causal = keep is None and past is None
        out = attend(query, (key, value), keep, causal)
        return self.o(out.transpose(1, 2).flatten(2)), Past(key, value)


class CausalLayer(nn.Module):
    """Pre-norm attention and MLP, dense or of experts.

    Args:
        width: channels (W).
        heads: attention heads.
        theta: see `RotaryAttention`.
        mlp: what follows the attention.
    """

    def __init__(self, width: int, heads: int, theta: float, mlp: nn.Module) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.RMSNorm(width, 1e-6), nn.RMSNorm(width, 1e-6)
        self.attention, self.mlp = RotaryAttention(width, heads, theta), mlp

    def forward(
        self, x_BSW: Tensor, positions_BS: Tensor, keep: Tensor | None, past: Past | None
    ) -> tuple[Tensor, Past, Tensor | None]:
        """The stream, keys and values, and the balance loss of experts."""
        seen, now = self.attention(self.norm1(x_BSW), positions_BS, keep, past)
        x_BSW, balance = x_BSW + seen, None
        out = self.mlp(self.norm2(x_BSW))
        if isinstance(self.mlp, MixtureOfExperts):
            out, balance = out
        return x_BSW + out, now, balance


class CausalDecoder(nn.Module):
    """A causal language model over embeddings, of tokens or of images.

    Args:
        vocab_size: ids (V).
        width: channels (W).
        layers: blocks.
        heads: attention heads.
        hidden: channels of a dense MLP.
        experts: routed experts of a layer; 0 makes all layers dense.
        expert_hidden: channels of one expert.
        top: experts of a token.
        shared: experts that every token passes.
        dense_layers: how many of the first layers are dense.
        theta: see `RotaryAttention`.

    Raises:
        ConfigError: heads that do not divide the width, experts without size or choice.
    """

    def __init__(
        self,
        vocab_size: int,
        width: int,
        layers: int,
        heads: int,
        hidden: int,
        experts: int = 0,
        expert_hidden: int = 0,
        top: int = 0,
        shared: int = 0,
        dense_layers: int = 1,
        theta: float = 10000.0,
    ) -> None:
        super().__init__()
        rules = [
            (width % (2 * heads) == 0, f"{heads} heads of an even width, found {width} in all"),
            (not experts or 1 <= top <= experts, f"top: 1 to {experts} experts, found {top}"),
            (not experts or expert_hidden > 0, f"expert_hidden: 1 or more, found {expert_hidden}"),
        ]
        if wrong := [f"decoder: {message}" for holds, message in rules if not holds]:
            raise ConfigError("\n".join(wrong))
        self.embedding = nn.Embedding(vocab_size, width)
        self.layers = nn.ModuleList()
        for place in range(layers):
            dense = not experts or place < dense_layers
            mlp = (
                SwiGLU(width, hidden)
                if dense
                else MixtureOfExperts(width, expert_hidden, experts, top, shared)
            )
            self.layers.append(CausalLayer(width, heads, theta, mlp))
        self.norm = nn.RMSNorm(width, 1e-6)
        self.head = nn.Linear(width, vocab_size, bias=False)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)

    def forward(
        self,
        x_BSW: Tensor,
        padding_BS: Tensor | None = None,
        positions_BS: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Embeddings -> (B, S, W) states for `head`, and the sum of the balance losses.

        Args:
            x_BSW: of tokens (`embedding`) or images.
            padding_BS: True = nobody looks at it; its own states carry no meaning.
            positions_BS: of the embeddings; 0, 1, 2, ... by default. What counts is the
                difference of two, so that padding on the left does no harm.
        """
        if positions_BS is None:
            positions_BS = _count(x_BSW)
        keep = _visible(padding_BS)
        total = x_BSW.new_zeros((), dtype=torch.float32)
        for layer in self._layers():
            x_BSW, _, balance = layer(x_BSW, positions_BS, keep, None)
            total = total if balance is None else total + balance
        return self.norm(x_BSW), total

    @torch.no_grad()
    def generate(
        self, x_BSW: Tensor, eos_id: int, most: int, padding_BS: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The likeliest ids after embeddings, (B, up to `most`): ends when all texts have ended.

        Ids behind a text's EOS are EOS.

        Args:
            x_BSW: of tokens or images.
            eos_id: ends a text.
            most: ids.
            padding_BS: True = padding, on the left alone.

        Returns:
            The ids, and (B,) the mean logarithm of their probabilities, EOS included.
        """
        batch = len(x_BSW)
        pasts: list[Past | None] = [None] * len(self.layers)
        ended = torch.zeros(batch, dtype=torch.bool, device=x_BSW.device)
        total_B, count_B = (
            x_BSW.new_zeros(batch, dtype=torch.float32),
            torch.zeros_like(ended).long(),
        )
        found: list[Tensor] = []
        positions, keep = _count(x_BSW), _visible(padding_BS)
        seen_BP = None if padding_BS is None else ~padding_BS
        for _ in range(most):
            for place, layer in enumerate(self._layers()):
                x_BSW, pasts[place], _ = layer(x_BSW, positions, keep, pasts[place])
            logits_BV = self.head(self.norm(x_BSW[:, -1])).float()
            best_B, ids_B = logits_BV.log_softmax(-1).max(-1)
            total_B += best_B.masked_fill(ended, 0.0)
            count_B += ~ended
            ids_B = ids_B.masked_fill(ended, eos_id)
            found.append(ids_B)
            ended |= ids_B == eos_id
            if ended.all():
                break
            x_BSW = self.embedding(ids_B[:, None])
            positions = positions[:, -1:] + 1
            if seen_BP is not None:
                seen_BP = F.pad(seen_BP, (0, 1), value=True)
                keep = seen_BP[:, None, None]
        return torch.stack(found, 1), total_B / count_B

    def _layers(self) -> list[CausalLayer]:
        return [cast(CausalLayer, layer) for layer in self.layers]


def _count(x_BSW: Tensor) -> Tensor:
    """(B, S): 0, 1, 2, ..."""
    return torch.arange(x_BSW.shape[1], device=x_BSW.device).expand(len(x_BSW), -1)


def _visible(padding_BS: Tensor | None) -> Tensor | None:
    """(B, 1, S, S): who may look at what; None where all that came before."""
    if padding_BS is None:
        return None
    steps = padding_BS.shape[1]
    causal = torch.ones(steps, steps, dtype=torch.bool, device=padding_BS.device).tril()
    # A padded query looks at itself, so that its softmax has something to sum.
    own = torch.eye(steps, dtype=torch.bool, device=padding_BS.device)
    return causal & (~padding_BS[:, None, None] | own)


def rotate(x_BnSd: Tensor, positions_BS: Tensor, theta: float) -> Tensor:
    """Pairs of channels i, i + d/2 turned by position x theta^(-2i/d)."""
    half = x_BnSd.shape[-1] // 2
    rate = theta ** -(torch.arange(half, device=x_BnSd.device) / half)
    angle = (positions_BS[..., None].float() * rate)[:, None]
    cos, sin = angle.cos().to(x_BnSd.dtype), angle.sin().to(x_BnSd.dtype)
    first, second = x_BnSd.chunk(2, -1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)
