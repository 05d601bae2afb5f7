"""What decoders read of an image: prefix tokens and the cells of a map, as one sequence.

Shapes: B images, C_i channels of map i, h, w cells, P prefix tokens, L = P + h*w tokens, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ocrpretrain.errors import ConfigError
from ocrpretrain.layers.attention_pool import grid_mask
from ocrpretrain.layers.positions import sine_grid
from ocrpretrain.strides import Stride, sides

if TYPE_CHECKING:
    from ocrpretrain.backbones.base import Features


class Memory(nn.Module):
    """Tokens of the last map, or of all maps from a stride on, projected to a common width.

    Args:
        in_channels: of each map of the backbone, fine to coarse.
        strides: of each map.
        width: channels of the tokens (D), by a projection without bias, which for CLIP's weights is
            `visual.proj`; None leaves the last map's channels as they are.
        stride: where given, the map of this stride and every coarser one are projected, resized to
            it and summed, so that no stage stays untrained and cells are as fine as it.
        positions: normalise the cells and add sines of where they are, for maps of convolutions,
            which hardly tell.

    Raises:
        ConfigError: no map of this stride, a stride without width, or positions with a width that
            is no multiple of 4.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        strides: Sequence[Stride],
        width: int | None,
        stride: int | None = None,
        positions: bool = False,
    ) -> None:
        super().__init__()
        self.width = width or in_channels[-1]
        found = [sides(each) for each in strides]
        if stride is not None and ((stride, stride) not in found or width is None):
            raise ConfigError(f"no map of stride {stride} (there are {list(strides)}), or no width")
        if positions and self.width % 4:
            raise ConfigError(f"positions need a width that is a multiple of 4, found {self.width}")
        self.norm = nn.LayerNorm(self.width) if positions else None
        self.first = -1 if stride is None else found.index((stride, stride)) - len(found)
        self.project: nn.Module = nn.Identity()
        if width is not None:
            layers = (nn.Linear(count, width, bias=False) for count in in_channels[self.first :])
            self.project = nn.ModuleList(layers)

    def forward(self, features: Features) -> tuple[Tensor, Tensor | None]:
        """(B, L, D) tokens, and (B, L) True = padding, or None where nothing is padded."""
        maps = features.maps[self.first :]
        size = self.size(features)
        tokens_BLD = self._tokens(maps[0], 0)
        for place, map_BChw in enumerate(maps[1:], 1):
            coarse_BDhw = self._tokens(map_BChw, place).mT.unflatten(2, tuple(map_BChw.shape[2:]))
            tokens_BLD = tokens_BLD + F.interpolate(coarse_BDhw, size).flatten(2).mT
        if self.norm is not None:
            place_LD = sine_grid(size, self.width, tokens_BLD.device)
            tokens_BLD = self.norm(tokens_BLD) + place_LD.to(tokens_BLD.dtype)
        padding = grid_mask(features.mask, *size)
        if features.prefix is not None:
            prefix_BPD = self._project(features.prefix, len(maps) - 1)
            tokens_BLD = torch.cat([prefix_BPD, tokens_BLD], 1)
            padding = None if padding is None else F.pad(padding, (prefix_BPD.shape[1], 0))
        return tokens_BLD, padding

    def size(self, features: Features) -> tuple[int, int]:
        """Height and width of the cells that follow the prefix tokens."""
        return features.maps[self.first].shape[2], features.maps[self.first].shape[3]

    def _tokens(self, map_BChw: Tensor, place: int) -> Tensor:
        return self._project(map_BChw.flatten(2).mT, place)

    def _project(self, x: Tensor, place: int) -> Tensor:
        return self.project[place](x) if isinstance(self.project, nn.ModuleList) else x
