"""Text encoders: CLIP's transformer on any vocabulary and context length, and a bag of ids.

Shapes: N texts, L tokens, W width.
"""

from __future__ import annotations

import torch
from open_clip.transformer import QuickGELU, Transformer
from torch import Tensor, nn


class TextTower(nn.Module):
    """Pre-norm causal transformer with learned positions (open_clip's blocks and names).

    Args:
        vocab_size: number of ids.
        width: channels (W).
        heads: attention heads.
        layers: blocks.
        context_length: rows of the position table; shorter inputs use its first rows.
        quick_gelu: CLIP's first activation in place of the exact GELU.
    """

    def __init__(
        self,
        vocab_size: int,
        width: int,
        heads: int,
        layers: int,
        context_length: int,
        quick_gelu: bool = True,
    ) -> None:
        super().__init__()
        self.context_length = context_length
        self.token_embedding = nn.Embedding(vocab_size, width)
        self.positional_embedding = nn.Parameter(torch.empty(context_length, width))
        activation = QuickGELU if quick_gelu else nn.GELU
        self.transformer = Transformer(width, layers, heads, act_layer=activation)
        self.ln_final = nn.LayerNorm(width)
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        nn.init.normal_(self.positional_embedding, std=0.01)
        init_transformer(self.transformer, width, layers)

    def forward(self, ids_NL: Tensor) -> Tensor:
        """(N, L) ids -> (N, L, W), every token after the final norm.

        The mask is causal, so tokens after a position never change it: padding needs no mask.
        """
        length = ids_NL.shape[1]
        x_NLW = self.token_embedding(ids_NL) + self.positional_embedding[:length]
        mask = torch.full((length, length), float("-inf"), device=x_NLW.device).triu(1)
        return self.ln_final(self.transformer(x_NLW, attn_mask=mask))


class CharacterBag(nn.Module):
    """A word as its unordered characters: the mean of their embeddings, then an MLP.

    Args:
        vocab_size: number of ids; 0 is padding.
        width: channels (W).
    """

    def __init__(self, vocab_size: int, width: int) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(vocab_size, width)
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), QuickGELU(), nn.Linear(4 * width, width)
        )
        self.ln_final = nn.LayerNorm(width)

    def forward(self, ids_NL: Tensor) -> Tensor:
        """(N, L) ids -> (N, L, W), the same vector at each position of a word."""
        real_NL1 = (ids_NL > 0).unsqueeze(-1)
        total_NW = (self.token_embedding(ids_NL) * real_NL1).sum(1)
        mean_NW = total_NW / real_NL1.sum(1).clamp(min=1)
        state_NW = self.ln_final(self.mlp(mean_NW))
        return state_NW.unsqueeze(1).expand(-1, ids_NL.shape[1], -1)


def init_transformer(blocks: nn.Module, width: int, layers: int) -> None:
    """CLIP's initialisation: residual projections are scaled down with the depth."""
    residual_std = width**-0.5 * (2 * layers) ** -0.5
    for name, parameter in blocks.named_parameters():
        if name.endswith("in_proj_weight"):
            nn.init.normal_(parameter, std=width**-0.5)
        elif name.endswith(("out_proj.weight", "c_proj.weight")):
            nn.init.normal_(parameter, std=residual_std)
        elif name.endswith("c_fc.weight"):
            nn.init.normal_(parameter, std=(2 * width) ** -0.5)
