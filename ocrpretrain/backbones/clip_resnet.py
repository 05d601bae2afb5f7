"""CLIP's ModifiedResNet (Radford et al. 2021) without its attention pool.

The trunk of oCLIP: three-convolution stem, average pooling instead of strided convolutions.
"""

from __future__ import annotations

from collections.abc import Sequence

from open_clip.modified_resnet import ModifiedResNet
from torch import Tensor, nn

from ocrpretrain.backbones.base import CLIP_MEAN, CLIP_STD, Backbone, Features


class CLIPResNet(Backbone):
    """open_clip's ModifiedResNet, maps at strides 4, 8, 16 and 32.

    Args:
        layers: bottlenecks per stage; RN50 is (3, 4, 6, 3), RN101 (3, 4, 23, 3).
        width: channels of the stem; the stages have 4, 8, 16 and 32 times as many.
        mean: see `Backbone`.
        std: see `Backbone`.
    """

    strides = (4, 8, 16, 32)
    size_divisor = 32

    def __init__(
        self,
        layers: Sequence[int] = (3, 4, 6, 3),
        width: int = 64,
        mean: Sequence[float] = CLIP_MEAN,
        std: Sequence[float] = CLIP_STD,
    ) -> None:
        super().__init__(mean, std)
        self.out_channels = (width * 4, width * 8, width * 16, width * 32)
        self.trunk = ModifiedResNet(list(layers), output_dim=1, heads=1, image_size=32, width=width)
        setattr(self.trunk, "attnpool", nn.Identity())  # noqa: B010 - pooling belongs to the heads

    def forward(self, image: Tensor, mask: Tensor | None = None) -> Features:
        """(B, 3, H, W) normalised -> four maps; the mask is handed on untouched."""
        trunk = self.trunk
        maps = []
        x = trunk.stem(image)
        for stage in (trunk.layer1, trunk.layer2, trunk.layer3, trunk.layer4):
            x = stage(x)
            maps.append(x)
        return Features(tuple(maps), mask=mask)
