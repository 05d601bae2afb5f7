"""CLIP's text encoder on words: all tokens of each, every distinct word once.

Shapes: N words, U distinct ones, T tokens, W width of the tower, D embedding channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ocrpretrain.data.tokenizer import clip_ids
from ocrpretrain.layers.text_tower import TextTower

CLIP_VOCABULARY, CLIP_CONTEXT = 49408, 77


class CLIPText(nn.Module):
    """CLIP's text tower and projection (its names) with a short context.

    Args:
        width: channels of the tower (W).
        heads: attention heads.
        layers: blocks.
        embed_dim: channels of the output (D).
        context: tokens of a word (T), <start> and <end> included; longer words are cut.
        quick_gelu: CLIP's first activation in place of the exact GELU.
    """

    def __init__(
        self, width: int, heads: int, layers: int, embed_dim: int, context: int, quick_gelu: bool
    ) -> None:
        super().__init__()
        self.context = context
        self.tower = TextTower(CLIP_VOCABULARY, width, heads, layers, CLIP_CONTEXT, quick_gelu)
        self.text_projection = nn.Parameter(torch.randn(width, embed_dim) * width**-0.5)

    def forward(self, words: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
        """N words -> (U, T, D) tokens, (U, T) whether each is none, and (N,) place of each word.

        Equal words have equal tokens, so each is encoded once.
        """
        places = {word: place for place, word in enumerate(dict.fromkeys(words))}
        device = self.text_projection.device
        ids_UT = torch.tensor([clip_ids(word, self.context) for word in places], device=device)
        tokens_UTD = self.tower(ids_UT) @ self.text_projection
        ended_UT = ids_UT == ids_UT.amax(1, keepdim=True)  # <end> has the largest id
        padding_UT = (ended_UT.cumsum(1) - ended_UT.long()) > 0
        return tokens_UTD, padding_UT, torch.tensor([places[w] for w in words], device=device)
