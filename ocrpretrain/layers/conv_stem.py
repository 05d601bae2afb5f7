"""Convolutions in place of a vision transformer's patches (Xiao et al. 2021): they learn faster."""

from __future__ import annotations

from torch import nn

from ocrpretrain.errors import ConfigError


def conv_stem(patch: tuple[int, int], width: int) -> nn.Sequential:
    """(B, 3, H, W) -> (B, width, H / patch, W / patch).

    3 x 3 convolutions of stride 2, in a direction that needs fewer of stride 1 at the end, with
    batch norm and ReLU, and one of 1 x 1.

    Args:
        patch: height and width, powers of 2.
        width: channels of the output; the convolution before has half as many, and so on.

    Raises:
        ConfigError: another patch.
    """
    counts = [side.bit_length() - 1 for side in patch]
    if any(side != 2**count for side, count in zip(patch, counts, strict=True)):
        raise ConfigError(f"stem='conv' needs a patch of powers of 2, found {patch}")
    layers, before, depth = [], 3, max(counts)
    for place in range(depth):
        after = width // 2 ** (depth - 1 - place)
        stride = (1 + (place < counts[0]), 1 + (place < counts[1]))
        layers += [
            nn.Conv2d(before, after, 3, stride, 1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(True),
        ]
        before = after
    return nn.Sequential(*layers, nn.Conv2d(width, width, 1))
