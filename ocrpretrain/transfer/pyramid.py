"""Maps at the strides that a detector wants, from a backbone that has others.

A plain vision transformer has no map finer than its patches, which lose the strokes of small words.
Finer levels come from a few convolutions on the pixels (as ViTMatte's detail branch), and every
coarser level adds its context from above (Lin et al. 2017).
Shapes: B images, C channels, H, W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from ocrpretrain.errors import ConfigError
from ocrpretrain.strides import Stride


class Pyramid(nn.Module):
    """A backbone's maps -> one map per wanted stride, all of the same width.

    Maps that are finer than all wanted ones are left aside.

    Args:
        in_channels: of the backbone's maps.
        strides: of the backbone's maps.
        out_strides: wanted ones, rising powers of two.
        width: channels of each (C).

    Raises:
        ConfigError: strides that are no powers of two, that differ in height and width, or that are
            finer than all wanted ones.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        strides: Sequence[Stride],
        out_strides: Sequence[int],
        width: int,
    ) -> None:
        super().__init__()
        every = [*strides, *out_strides]
        if any(not isinstance(s, int) or s < 1 or s & (s - 1) for s in every):
            raise ConfigError(f"a pyramid has strides that are powers of two, found {every}")
        finest = min(out_strides)
        self.out_strides = tuple(out_strides)
        self.maps = {
            s: place for place, s in enumerate(strides) if isinstance(s, int) and s >= finest
        }
        if not self.maps:
            raise ConfigError(f"strides {tuple(out_strides)} are all coarser than {tuple(strides)}")
        self.lateral = nn.ModuleList(
            _normed(nn.Conv2d(in_channels[place], width, 1)) for place in self.maps.values()
        )
        self.detail = nn.ModuleDict()
        channels, stride = 3, 1
        while finest < min(self.maps) and stride * 2 < min(self.maps):
            stride *= 2
            step = _normed(nn.Conv2d(channels, width, 3, 2, 1))
            self.detail[str(stride)] = nn.Sequential(step, nn.ReLU())
            channels = width

    def forward(self, image: Tensor, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """(B, 3, H, W) and the maps -> (B, C, H / s, W / s) for each wanted stride s."""
        own: dict[int, Tensor] = {}
        x = image
        for stride, step in self.detail.items():
            own[int(stride)] = x = step(x)
        for (stride, place), layer in zip(self.maps.items(), self.lateral, strict=True):
            own[stride] = layer(maps[place])
        fused: dict[int, Tensor] = {}
        for stride in sorted((s for s in own if s >= min(self.out_strides)), reverse=True):
            size, coarser = own[stride].shape[2:], fused.get(min(fused, default=0))
            context = 0 if coarser is None else F.interpolate(coarser, size, mode="bilinear")
            fused[stride] = own[stride] + context
        return tuple(self._at(stride, fused, image) for stride in self.out_strides)

    def _at(self, stride: int, fused: dict[int, Tensor], image: Tensor) -> Tensor:
        """The map of a stride, shrunk from the next finer one where there is none."""
        if stride in fused:
            return fused[stride]
        size = tuple(-(-side // stride) for side in image.shape[2:])
        return F.interpolate(fused[max(s for s in fused if s < stride)], size, mode="area")


def _normed(layer: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(layer, nn.GroupNorm(1, layer.out_channels))
