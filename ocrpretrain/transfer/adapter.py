"""Any of our backbones as an MMOCR backbone: a tuple of maps from normalised images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.model import BaseModule
from torch import Tensor
from torch.nn.modules.batchnorm import _NormBase

from ocrpretrain.backbones.base import Backbone
from ocrpretrain.config import build
from ocrpretrain.errors import CheckpointMismatchError, ConfigError
from ocrpretrain.transfer.pyramid import Pyramid
from ocrpretrain.weights.format import load_strict, read_info, read_weights


class Adapter(BaseModule):
    """A pretrained backbone inside a detector.

    The weights come strictly from their file in `init_weights`, which MMEngine calls last, so
    that no initialiser of the detector overwrites them; without a file they stay random.

    Args:
        backbone: `dict(type=..., **arguments)` of the backbone.
        weights: a weights file, or None for random initialisation.
        out_indices: which maps to return; all by default.
        norm_eval: keep BatchNorm statistics at their pretrained values while training.
        pyramid: `strides` and `width` of a `Pyramid` over all maps, which is new; None hands the
            maps on as they are.
        init_cfg: taken for MMEngine's sake; must be None.

    Raises:
        ConfigError: `norm_eval` without weights, which would freeze meaningless statistics.
        CheckpointMismatchError: a file that holds another backbone.
    """

    def __init__(
        self,
        backbone: Mapping[str, Any],
        weights: str | None = None,
        out_indices: Sequence[int] | None = None,
        norm_eval: bool = False,
        pyramid: Mapping[str, Any] | None = None,
        init_cfg: None = None,
    ) -> None:
        super().__init__(init_cfg)
        if norm_eval and weights is None:
            raise ConfigError(
                "norm_eval=True freezes BatchNorm at mean 0, variance 1 without weights"
            )
        held = None if weights is None else read_info(weights).backbone
        if held is not None and held != plain(backbone):
            raise CheckpointMismatchError(
                f"{weights}: holds {held}, the config wants {plain(backbone)}"
            )
        self.backbone: Backbone = build(backbone)
        self.weights, self.norm_eval = weights, norm_eval
        count = len(self.backbone.strides)
        self.out_indices = tuple(range(count) if out_indices is None else out_indices)
        self.out_channels = tuple(self.backbone.out_channels[i] for i in self.out_indices)
        self.strides = tuple(self.backbone.strides[i] for i in self.out_indices)
        self.pyramid: Pyramid | None = None
        if pyramid is not None:
            strides, width = tuple(pyramid["strides"]), pyramid["width"]
            self.pyramid = Pyramid(self.out_channels, self.strides, strides, width)
            self.strides, self.out_channels = strides, (width,) * len(strides)

    def init_weights(self) -> None:
        """Load the file strictly; every tensor of the backbone is in it."""
        super().init_weights()
        if self.weights is not None:
            load_strict(self.backbone, read_weights(self.weights, "backbone."), self.weights)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) normalised by the data preprocessor -> maps, fine to coarse."""
        every = self.backbone(image).maps
        maps = tuple(every[index] for index in self.out_indices)
        return maps if self.pyramid is None else self.pyramid(image, maps)

    def train(self, mode: bool = True) -> Adapter:
        super().train(mode)
        if mode and self.norm_eval:
            for module in self.backbone.modules():
                if isinstance(module, _NormBase):
                    module.eval()
        return self


def plain(spec: Any) -> Any:
    """A config value without MMEngine's classes and with lists for tuples, as JSON stores it."""
    if isinstance(spec, Mapping):
        return {key: plain(value) for key, value in spec.items()}
    if isinstance(spec, list | tuple):
        return [plain(value) for value in spec]
    return spec
