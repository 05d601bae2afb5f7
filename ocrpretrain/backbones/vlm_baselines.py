"""The usual encoders of vision-language models beside DeepEncoder, made of the same parts.

Wei et al. 2025 (figure 2) name their weaknesses: two towers need two ways to prepare an image,
tiles tear a page into pieces that do not see one another, and one transformer at native size needs
much memory. Shapes: B images, C channels, h, w cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ocrpretrain.backbones.base import CLIP_MEAN, CLIP_STD, Backbone, Features
from ocrpretrain.backbones.clip_vit import ClipViT
from ocrpretrain.errors import ConfigError
from ocrpretrain.layers.sam_vit import SAMViT
from ocrpretrain.strides import sides


class DualTower(Backbone):
    """SAM and a compressor on the large image beside a ViT on a small one (Vary, Wei et al. 2024).

    The small image is the same picture, squashed; its map is resized to the other's and follows it.

    Args:
        sam: arguments of `SAMViT`.
        vit: arguments of `ClipViT`; its `size` is that of the small image.
        compressed: channels of the compressor's end.
        mean: see `Backbone`.
        std: see `Backbone`.
    """

    def __init__(
        self,
        sam: Mapping[str, Any] | None = None,
        vit: Mapping[str, Any] | None = None,
        compressed: int = 1024,
        mean: Sequence[float] = CLIP_MEAN,
        std: Sequence[float] = CLIP_STD,
    ) -> None:
        super().__init__(mean, std)
        self.sam = SAMViT(**(sam or {}))
        self.vit = ClipViT(**(vit or {"name": "ViT-L-14"}))
        fine, middle = self.sam.out_channels, compressed // 2
        self.compressor = nn.Sequential(
            nn.Conv2d(fine, middle, 3, 2, 1, bias=False),
            nn.Conv2d(middle, compressed, 3, 2, 1, bias=False),
        )
        self.out_channels = (compressed + self.vit.out_channels[0],)
        self.strides, self.size_divisor = (4 * self.sam.patch,), 4 * self.sam.patch

    def forward(self, image: Tensor, mask: Tensor | None = None) -> Features:
        """(B, 3, H, W) normalised -> one map; the mask is handed on."""
        fine = self.compressor(self.sam(image))
        small = F.interpolate(image, self.vit.size, mode="bilinear", antialias=True)
        coarse = F.interpolate(self.vit(small).maps[0], fine.shape[2:], mode="bilinear")
        return Features((torch.cat([fine, coarse], 1),), None, mask)


class _Merged(Backbone):
    """A ViT whose cells are joined by `merge` x `merge` and projected to its width."""

    def __init__(
        self, vit: Mapping[str, Any], merge: int, mean: Sequence[float], std: Sequence[float]
    ) -> None:
        super().__init__(mean, std)
        self.vit, self.merge = ClipViT(**vit), merge
        width = self.vit.out_channels[0]
        self.project = nn.Conv2d(width * merge**2, width, 1)
        high, wide = sides(self.vit.size_divisor)
        if high != wide:
            raise ConfigError(f"{type(self).__name__}: needs square patches, found {high} x {wide}")
        self.out_channels, self.strides = (width,), (high * merge,)

    def join(self, map_BChw: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C, h / merge, w / merge)."""
        return self.project(F.pixel_unshuffle(map_BChw, self.merge))


class Tiled(_Merged):
    """A ViT on each tile by itself, without a view of the whole (InternVL, Chen et al. 2024).

    Args:
        vit: arguments of `ClipViT`; its `size` is that of a tile.
        merge: cells that are joined, a side.
        mean: see `Backbone`.
        std: see `Backbone`.

    Raises:
        ConfigError: a tile that the merged cells do not divide.
    """

    def __init__(
        self,
        vit: Mapping[str, Any] | None = None,
        merge: int = 2,
        mean: Sequence[float] = CLIP_MEAN,
        std: Sequence[float] = CLIP_STD,
    ) -> None:
        super().__init__(vit or {"name": "ViT-L-14", "size": [448, 448]}, merge, mean, std)
        self.size_divisor = self.vit.size
        pairs = zip(self.vit.size, self.vit.patch, strict=True)
        if any(side % (merge * patch) for side, patch in pairs):
            raise ConfigError(f"Tiled: tiles {self.vit.size} are not a multiple of {merge} cells")

    def forward(self, image: Tensor, mask: Tensor | None = None) -> Features:
        """(B, 3, H, W) normalised -> one map, tile beside tile; the mask is handed on."""
        high, wide = self.vit.size
        tiles = image.unflatten(3, (-1, wide)).unflatten(2, (-1, high)).permute(0, 2, 4, 1, 3, 5)
        maps = self.join(self.vit(tiles.flatten(0, 2)).maps[0]).unflatten(0, tiles.shape[:3])
        grid = maps.permute(0, 3, 1, 4, 2, 5).flatten(4).flatten(2, 3)
        return Features((grid,), None, mask)


class Adaptive(_Merged):
    """One ViT at the image's own size (NaViT; Qwen2-VL, Wang et al. 2024).

    Args:
        vit: arguments of `ClipViT`.
        merge: cells that are joined, a side.
        mean: see `Backbone`.
        std: see `Backbone`.
    """

    def __init__(
        self,
        vit: Mapping[str, Any] | None = None,
        merge: int = 2,
        mean: Sequence[float] = CLIP_MEAN,
        std: Sequence[float] = CLIP_STD,
    ) -> None:
        super().__init__(vit or {"name": "ViT-L-14"}, merge, mean, std)
        self.size_divisor = self.strides[0]

    def forward(self, image: Tensor, mask: Tensor | None = None) -> Features:
        """(B, 3, H, W) normalised -> one map; the mask is handed on."""
        return Features((self.join(self.vit(image).maps[0]),), None, mask)
