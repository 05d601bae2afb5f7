"""Vision transformers of CLIP (Radford et al. 2021) and PARSeq's plain one (Dosovitskiy et al. 2021).

Shapes: B images, h, w patches of height and width, L = P + h*w tokens, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import open_clip
import torch
from open_clip.transformer import QuickGELU, Transformer
from torch import Tensor, nn

from ocrpretrain.backbones.base import CLIP_MEAN, CLIP_STD, Backbone, Features
from ocrpretrain.errors import ConfigError
from ocrpretrain.layers.positions import resize_grid
from ocrpretrain.layers.text_tower import init_transformer


class ClipViT(Backbone):
    """open_clip's transformer on patches: one map, and the class token as prefix, both normalised.

    Args:
        name: a model of open_clip ('ViT-B-16', 'ViT-L-14-quickgelu'), which gives the sizes below;
            or None, and they are given here.
        size: height and width that the position table is for; the model's own by default.
        patch: height and width of a patch.
        width: channels (C).
        layers: blocks.
        heads: attention heads.
        mlp_ratio: hidden channels of the MLP over C.
        quick_gelu: CLIP's first activation in place of the exact GELU; weights need the one that
            they were trained with.
        class_token: whether there is one, and a norm before the first block with it (PARSeq's
            encoder has neither).
        eps: of all norms; 1e-6 in PARSeq's.
        stem: 'patch', one convolution per patch; or 'conv', convolutions of stride 2 to the same
            grid.
        mean: see `Backbone`.
        std: see `Backbone`.

    Raises:
        ConfigError: a name that open_clip does not know or that is another architecture, sizes
            that are missing, given twice or do not fit, or an odd patch with convolutions.
    """

    def __init__(
        self,
        name: str | None = None,
        size: Sequence[int] | None = None,
        patch: Sequence[int] | None = None,
        width: int | None = None,
        layers: int | None = None,
        heads: int | None = None,
        mlp_ratio: float = 4.0,
        quick_gelu: bool = False,
        class_token: bool = True,
        eps: float = 1e-5,
        stem: Literal["patch", "conv"] = "patch",
        mean: Sequence[float] = CLIP_MEAN,
        std: Sequence[float] = CLIP_STD,
    ) -> None:
        super().__init__(mean, std)
        given = {"size": size, "patch": patch, "width": width, "layers": layers, "heads": heads}
        sizes = _sizes(name, {key: value for key, value in given.items() if value is not None})
        quick_gelu, mlp_ratio = (
            sizes.get("quick_gelu", quick_gelu),
            sizes.get("mlp_ratio", mlp_ratio),
        )
        self.size, self.patch, width = _pair(sizes["size"]), _pair(sizes["patch"]), sizes["width"]
        self.grid = (self.size[0] // self.patch[0], self.size[1] // self.patch[1])
        if any(side % patch for side, patch in zip(self.size, self.patch, strict=True)):
            raise ConfigError(f"ClipViT: size {self.size} is not a multiple of patch {self.patch}")
        self.out_channels, self.size_divisor = (width,), self.patch
        self.strides = (self.patch,)
        scale, rows = width**-0.5, self.grid[0] * self.grid[1] + class_token
        self.conv1 = (
            _stem(self.patch, width)
            if stem == "conv"
            else nn.Conv2d(3, width, self.patch, self.patch, bias=False)
        )
        norm = partial(nn.LayerNorm, eps=eps)
        self.class_embedding = nn.Parameter(scale * torch.randn(width)) if class_token else None
        self.positional_embedding = nn.Parameter(scale * torch.randn(rows, width))
        self.ln_pre = norm(width) if class_token else nn.Identity()
        self.transformer = Transformer(
            width, sizes["layers"], sizes["heads"], mlp_ratio,
            act_layer=QuickGELU if quick_gelu else nn.GELU, norm_layer=norm,
        )  # fmt: skip
        self.ln_post = norm(width)
        init_transformer(self.transformer, width, sizes["layers"])
        self._resized: tuple[tuple[int, int, int], Tensor] | None = None

    def forward(self, image: Tensor, mask: Tensor | None = None) -> Features:
        """(B, 3, H, W) normalised -> the map and the class token; the mask is handed on."""
        x_BChw = self.conv1(image)
        size = (x_BChw.shape[2], x_BChw.shape[3])
        x_BLC = x_BChw.flatten(2).mT
        if self.class_embedding is not None:
            x_BLC = torch.cat([self.class_embedding.expand(len(x_BLC), 1, -1), x_BLC], 1)
        x_BLC = self.ln_post(self.transformer(self.ln_pre(x_BLC + self.positions(size))))
        prefix, tokens = x_BLC.tensor_split([x_BLC.shape[1] - size[0] * size[1]], dim=1)
        map_BChw = tokens.mT.unflatten(2, size)
        return Features((map_BChw,), prefix if prefix.shape[1] else None, mask)

    def positions(self, size: tuple[int, int]) -> Tensor:
        """(L, C) position table for a grid; without gradients it is resized once per size."""
        table = self.positional_embedding
        if size == self.grid:
            return table
        key = (*size, table._version)
        if self._resized is None or self._resized[0] != key or torch.is_grad_enabled():
            split = len(table) - self.grid[0] * self.grid[1]
            resized = torch.cat([table[:split], resize_grid(table[split:], self.grid, size)])
            self._resized = (key, resized.detach())
            return resized
        return self._resized[1]


def _sizes(name: str | None, given: dict[str, Any]) -> dict[str, Any]:
    """All sizes: of open_clip's model, or as given."""
    if name is None:
        missing = {"size", "patch", "width", "layers", "heads"} - given.keys()
        if missing:
            raise ConfigError(f"ClipViT: without name give {', '.join(sorted(missing))} too")
        return given
    config = open_clip.get_model_config(name)
    if config is None:
        raise ConfigError(f"ClipViT: open_clip has no model {name!r}")
    vision = config["vision_cfg"]
    plain = {"image_size", "layers", "width", "patch_size", "head_width", "mlp_ratio"}
    if isinstance(vision.get("layers"), list) or (other := vision.keys() - plain):
        raise ConfigError(f"ClipViT: {name} is no plain vision transformer ({sorted(other)})")
    if twice := given.keys() - {"size"}:
        raise ConfigError(f"ClipViT: {name} decides {', '.join(sorted(twice))}; leave it out")
    return {
        "size": vision["image_size"],
        "patch": vision["patch_size"],
        "width": vision["width"],
        "layers": vision["layers"],
        "heads": vision["width"] // vision.get("head_width", 64),
        "mlp_ratio": vision.get("mlp_ratio", 4.0),
        "quick_gelu": config.get("quick_gelu", False),
        **given,
    }


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))


def _stem(patch: tuple[int, int], width: int) -> nn.Sequential:
    """3 x 3 convolutions of stride 2, in a direction that needs fewer of stride 1 at the end."""
    counts = [side.bit_length() - 1 for side in patch]
    if any(side != 2**count for side, count in zip(patch, counts, strict=True)):
        raise ConfigError(f"ClipViT: stem='conv' needs a patch of powers of 2, found {patch}")
    layers, before, depth = [], 3, max(counts)
    for place in range(depth):
        after = width // 2 ** (depth - 1 - place)
        stride = tuple(2 if place < count else 1 for count in counts)
        layers += [
            nn.Conv2d(before, after, 3, stride, 1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(True),
        ]
        before = after
    return nn.Sequential(*layers, nn.Conv2d(width, width, 1))
