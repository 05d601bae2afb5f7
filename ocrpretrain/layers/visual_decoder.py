"""oCLIP's visual-textual decoder: each word queries the image (oCLIP, section 3.3).

Words are packed: everything but the attention product runs on N real words.
Shapes: N words, B images, S slots, L image tokens, D width, n heads, d channels per head.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import cast

import torch
import torch.nn.functional as F
from open_clip.transformer import QuickGELU
from torch import Tensor, nn

from ocrpretrain.layers.packing import Packed
from ocrpretrain.layers.text_tower import init_transformer


class PackedCrossAttention(nn.Module):
    """`nn.MultiheadAttention` (its parameters and names) from packed words to image tokens.

    Args:
        width: channels (D).
        heads: attention heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.zeros_(self.out_proj.bias)

    def forward(
        self,
        query_ND: Tensor,
        key_BLD: Tensor,
        value_BLD: Tensor,
        packed: Packed,
        padding_BL: Tensor | None,
    ) -> Tensor:
        """(N, D) words and (B, L, D) image tokens -> (N, D); padding is True where masked."""
        q_BnSd, k_BnLd, v_BnLd = self._project(query_ND, key_BLD, value_BLD, packed)
        keep = None if padding_BL is None else ~padding_BL[:, None, None]
        out_BnSd = F.scaled_dot_product_attention(q_BnSd, k_BnLd, v_BnLd, attn_mask=keep)
        return self.out_proj(packed.unpad(out_BnSd.transpose(1, 2).flatten(2)))

    def attention(
        self, query_ND: Tensor, key_BLD: Tensor, packed: Packed, padding_BL: Tensor | None
    ) -> Tensor:
        """(N, L) attention averaged over heads: the plain form, for pictures only."""
        q_BnSd, k_BnLd, _ = self._project(query_ND, key_BLD, key_BLD, packed)
        score_BnSL = q_BnSd @ k_BnLd.transpose(-2, -1) * q_BnSd.shape[-1] ** -0.5
        if padding_BL is not None:
            score_BnSL = score_BnSL.masked_fill(padding_BL[:, None, None], float("-inf"))
        return packed.unpad(score_BnSL.softmax(-1).mean(1))

    def _project(
        self, query_ND: Tensor, key_BLD: Tensor, value_BLD: Tensor, packed: Packed
    ) -> tuple[Tensor, Tensor, Tensor]:
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        q_BSD = packed.pad(F.linear(query_ND, weights[0], biases[0]))
        k_BLD = F.linear(key_BLD, weights[1], biases[1])
        v_BLD = F.linear(value_BLD, weights[2], biases[2])
        q, k, v = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in (q_BSD, k_BLD, v_BLD))
        return q, k, v


class DecoderBlock(nn.Module):
    """Post-norm cross-attention and pre-norm MLP; no attention among words (official code)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attn = PackedCrossAttention(width, heads)
        self.ln_1 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            OrderedDict(
                c_fc=nn.Linear(width, width * 4),
                gelu=QuickGELU(),
                c_proj=nn.Linear(width * 4, width),
            )
        )
        self.ln_2 = nn.LayerNorm(width)

    def forward(
        self,
        query_ND: Tensor,
        key_BLD: Tensor,
        value_BLD: Tensor,
        packed: Packed,
        padding_BL: Tensor | None,
    ) -> Tensor:
        """See `PackedCrossAttention.forward`."""
        attended_ND = self.attn(query_ND, key_BLD, value_BLD, packed, padding_BL)
        query_ND = query_ND + self.ln_1(attended_ND)
        return query_ND + self.mlp(self.ln_2(query_ND))


class VisualTextualDecoder(nn.Module):
    """A stack of blocks and a final norm; keys carry positions, values do not.

    Args:
        width: channels (D).
        heads: attention heads.
        layers: blocks.
    """

    def __init__(self, width: int, heads: int, layers: int) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(DecoderBlock(width, heads) for _ in range(layers))
        self.ln_final = nn.LayerNorm(width)
        init_transformer(self.resblocks, width, layers)

    def forward(
        self,
        word_ND: Tensor,
        image_BLD: Tensor,
        position_LD: Tensor,
        packed: Packed,
        padding_BL: Tensor | None,
    ) -> Tensor:
        """Words (N, D) read the image tokens (B, L, D) with positions (L, D) -> (N, D)."""
        key_BLD = image_BLD + position_LD
        for block in self.resblocks:
            word_ND = block(word_ND, key_BLD, image_BLD, packed, padding_BL)
        return self.ln_final(word_ND)

    def attention(
        self,
        word_ND: Tensor,
        image_BLD: Tensor,
        position_LD: Tensor,
        packed: Packed,
        padding_BL: Tensor | None,
    ) -> Tensor:
        """(N, L) attention of the last block, averaged over heads."""
        key_BLD = image_BLD + position_LD
        for block in self.resblocks[:-1]:
            word_ND = block(word_ND, key_BLD, image_BLD, packed, padding_BL)
        last = cast(DecoderBlock, self.resblocks[-1])
        return last.attn.attention(word_ND, key_BLD, packed, padding_BL)
