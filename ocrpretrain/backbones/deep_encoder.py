"""DeepSeek-OCR's DeepEncoder (Wei et al. 2025): SAM, a 16-fold compressor, CLIP on what is left.

SAM's windows keep the memory of large images low, two convolutions of stride 2 leave a sixteenth of
its tokens, and only these see CLIP's dense attention.
Shapes: B images, h, w cells of stride 64, C channels of the CLIP part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from open_clip.transformer import QuickGELU, Transformer
from torch import Tensor, nn

from ocrpretrain.backbones.base import Backbone, Features
from ocrpretrain.errors import ConfigError
from ocrpretrain.layers.positions import ResizedTables, resize_grid
from ocrpretrain.layers.sam_vit import SAMViT
from ocrpretrain.layers.text_tower import init_transformer

HALF = (0.5, 0.5, 0.5)


class CompressedCLIP(nn.Module):
    """CLIP's vision transformer on a map in place of patches, without its last norm.

    Args:
        width: channels, also of the map (C).
        layers: blocks.
        heads: attention heads.
        grid: side of the grid that the position table is for (224 / 14 = 16).
        quick_gelu: OpenAI's activation, as published; False is GELU.
    """

    def __init__(
        self,
        width: int = 1024,
        layers: int = 24,
        heads: int = 16,
        grid: int = 16,
        quick_gelu: bool = True,
    ) -> None:
        super().__init__()
        self.grid = grid
        self.class_embedding = nn.Parameter(torch.randn(width) * width**-0.5)
        self.positional_embedding = nn.Parameter(torch.randn(grid**2 + 1, width) * width**-0.5)
        self._resized = ResizedTables()
        self.ln_pre = nn.LayerNorm(width)
        self.transformer = Transformer(
            width, layers, heads, act_layer=QuickGELU if quick_gelu else nn.GELU
        )
        init_transformer(self.transformer, width, layers)

    def forward(self, map_BChw: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, 1 + h * w, C): the class token first."""
        return self.transformer(self.ln_pre(self.embed(map_BChw)))

    def embed(self, map_BChw: Tensor) -> Tensor:
        """(B, 1 + h * w, C): the class token and the cells, with their positions."""
        size = (map_BChw.shape[2], map_BChw.shape[3])
        own, grid = self.positional_embedding, (self.grid, self.grid)
        position = self._resized(
            size, own, lambda: torch.cat([own[:1], resize_grid(own[1:], grid, size)])
        )
        token_B1C = self.class_embedding.to(map_BChw.dtype).expand(len(map_BChw), 1, -1)
        return torch.cat([token_B1C, map_BChw.flatten(2).mT], 1) + position


class DeepEncoder(Backbone):
    """Three maps: SAM's at stride 16, half compressed at 32, CLIP's and the compressor's at 64.

    Args:
        sam: arguments of `SAMViT`; the published ViT-B by default.
        clip: arguments of `CompressedCLIP`; the published ViT-L by default. Its `width` is that of
            the compressor's end.
        stages: 'sam' leaves the CLIP part out: the last map is the compressor's alone.
        mean: see `Backbone`.
        std: see `Backbone`.

    Raises:
        ConfigError: other stages; see `SAMViT`.
    """

    def __init__(
        self,
        sam: Mapping[str, Any] | None = None,
        clip: Mapping[str, Any] | None = None,
        stages: Literal["all", "sam"] = "all",
        mean: Sequence[float] = HALF,
        std: Sequence[float] = HALF,
    ) -> None:
        super().__init__(mean, std)
        if stages not in ("all", "sam"):
            raise ConfigError(f"DeepEncoder: stages is all or sam, found {stages!r}")
        clip = {"width": 1024, **(clip or {})}
        self.sam = SAMViT(**(sam or {}))
        fine, coarse = self.sam.out_channels, clip["width"]
        self.net_2 = nn.Conv2d(fine, coarse // 2, 3, 2, 1, bias=False)
        self.net_3 = nn.Conv2d(coarse // 2, coarse, 3, 2, 1, bias=False)
        self.clip = CompressedCLIP(**clip) if stages == "all" else None
        self.strides = (self.sam.patch, 2 * self.sam.patch, 4 * self.sam.patch)
        self.size_divisor = self.strides[-1]
        self.out_channels = (fine, coarse // 2, coarse * (1 if self.clip is None else 2))

    def forward(self, image: Tensor, mask: Tensor | None = None) -> Features:
        """(B, 3, H, W) normalised -> the maps; the mask is handed on."""
        fine = self.sam(image)
        middle = self.net_2(fine)
        coarse = self.net_3(middle)
        if self.clip is not None:
            tokens = self.clip(coarse)[:, 1:].mT.unflatten(2, tuple(coarse.shape[2:]))
            coarse = torch.cat([tokens, coarse], 1)
        return Features((fine, middle, coarse), None, mask)
