"""The contract of a backbone: what is pretrained, exported and dropped into a detector."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ocrpretrain.strides import Stride

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


class Features(NamedTuple):
    """What a backbone returns.

    Attributes:
        maps: (B, C_i, H/s_i, W/s_i), fine to coarse: all that a detector or recognizer sees.
        prefix: (B, P, C_last) class tokens in the space of `maps[-1]`, or None.
        mask: (B, H, W) bool at input resolution, True = padding, or None.
        tiles: (T, C_last, h, w) last maps of the tiles of all pages; a head's `encode` adds them.
    """

    maps: tuple[Tensor, ...]
    prefix: Tensor | None = None
    mask: Tensor | None = None
    tiles: Tensor | None = None


class Backbone(nn.Module, ABC):
    """A feature extractor that carries the statistics of the images it was trained with.

    Subclasses set `out_channels`, `strides` (fine to coarse) and `size_divisor`; a stride that
    differs in height and width is a pair.

    Args:
        mean: per channel, RGB, for images in 0..1.
        std: per channel, RGB, for images in 0..1.
    """

    out_channels: tuple[int, ...]
    strides: tuple[Stride, ...]
    size_divisor: Stride

    def __init__(self, mean: Sequence[float] = CLIP_MEAN, std: Sequence[float] = CLIP_STD) -> None:
        super().__init__()
        self.mean, self.std = tuple(map(float, mean)), tuple(map(float, std))
        self.pixel_mean: Tensor
        self.pixel_std: Tensor
        # Not persistent: the statistics are metadata of the weights file, not weights.
        shape = (1, 3, 1, 1)
        self.register_buffer("pixel_mean", torch.tensor(self.mean).view(shape) * 255, False)
        self.register_buffer("pixel_std", torch.tensor(self.std).view(shape) * 255, False)

    def normalize(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) uint8 -> float on the image's device; nobody else normalises."""
        return (image.to(self.pixel_mean.dtype) - self.pixel_mean) / self.pixel_std

    @abstractmethod
    def forward(self, image: Tensor, mask: Tensor | None = None) -> Features:
        """Features of normalised images (B, 3, H, W); H and W are multiples of `size_divisor`."""
