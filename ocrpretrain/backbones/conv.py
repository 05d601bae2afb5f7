"""A small plain convolutional backbone: 3x3 convolutions with BatchNorm, for a CPU."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from ocrpretrain.backbones.base import CLIP_MEAN, CLIP_STD, Backbone, Features


class ConvBackbone(Backbone):
    """Stages of convolutions; each halves the map and doubles the channels.

    Args:
        width: channels of the first map.
        blocks: convolutions per stage; the maps have strides 2, 4, 8, ...
        mean: see `Backbone`.
        std: see `Backbone`.
    """

    def __init__(
        self,
        width: int = 32,
        blocks: Sequence[int] = (1, 1, 2),
        mean: Sequence[float] = CLIP_MEAN,
        std: Sequence[float] = CLIP_STD,
    ) -> None:
        super().__init__(mean, std)
        self.out_channels = tuple(width * 2**level for level in range(len(blocks)))
        self.strides = tuple(2 ** (level + 1) for level in range(len(blocks)))
        self.size_divisor = self.strides[-1]
        self.stages = nn.ModuleList()
        for before, after, count in zip(
            (3, *self.out_channels), self.out_channels, blocks, strict=False
        ):
            layers = [_block(before, after, stride=2)]
            layers += [_block(after, after, stride=1) for _ in range(count - 1)]
            self.stages.append(nn.Sequential(*layers))

    def forward(self, image: Tensor, mask: Tensor | None = None) -> Features:
        """(B, 3, H, W) normalised -> one map per stage; the mask is handed on untouched."""
        maps, x = [], image
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return Features(tuple(maps), mask=mask)


def _block(channels: int, width: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    )
