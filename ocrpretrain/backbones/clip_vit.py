"""Vision transformers: CLIP's (Radford et al. 2021) and the plain one of PARSeq.

Shapes: B images, h, w patches of height and width, L = P + h*w tokens, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, NamedTuple, cast

import open_clip
import torch
from open_clip.transformer import QuickGELU, Transformer
from torch import Tensor, nn

from ocrpretrain.backbones.base import CLIP_MEAN, CLIP_STD, Backbone, Features
from ocrpretrain.errors import ConfigError
from ocrpretrain.layers.conv_stem import conv_stem
from ocrpretrain.layers.positions import ResizedTables, resize_grid
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
        mlp_ratio: hidden channels of the MLP over C (4).
        quick_gelu: CLIP's first activation in place of the exact GELU (False); weights need the
            one that they were trained with.
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
        mlp_ratio: float | None = None,
        quick_gelu: bool | None = None,
        class_token: bool = True,
        eps: float = 1e-5,
        stem: Literal["patch", "conv"] = "patch",
        mean: Sequence[float] = CLIP_MEAN,
        std: Sequence[float] = CLIP_STD,
    ) -> None:
        super().__init__(mean, std)
        given = {"size": size, "patch": patch, "width": width, "layers": layers, "heads": heads}
        given |= {"mlp_ratio": mlp_ratio, "quick_gelu": quick_gelu}
        it = _sizes(name, {key: value for key, value in given.items() if value is not None})
        self.size, self.patch = it.size, it.patch
        if any(side % cell for side, cell in zip(it.size, it.patch, strict=True)):
            raise ConfigError(f"ClipViT: size {it.size} is not a multiple of patch {it.patch}")
        self.grid = (it.size[0] // it.patch[0], it.size[1] // it.patch[1])
        self.size_divisor = it.patch[0] if it.patch[0] == it.patch[1] else it.patch
        self.out_channels, self.strides = (it.width,), (self.size_divisor,)
        scale, norm = it.width**-0.5, partial(nn.LayerNorm, eps=eps)
        if stem == "conv":
            self.conv1: nn.Module = conv_stem(it.patch, it.width)
        else:
            self.conv1 = nn.Conv2d(3, it.width, it.patch, it.patch, bias=False)
        self.class_embedding = nn.Parameter(scale * torch.randn(it.width)) if class_token else None
        rows = self.grid[0] * self.grid[1] + class_token
        self.positional_embedding = nn.Parameter(scale * torch.randn(rows, it.width))
        self.ln_pre = norm(it.width) if class_token else nn.Identity()
        activation: Any = QuickGELU if it.quick_gelu else nn.GELU
        blocks = (it.width, it.layers, it.heads, it.mlp_ratio)
        self.transformer = Transformer(*blocks, act_layer=activation, norm_layer=cast(Any, norm))
        self.ln_post = norm(it.width)
        init_transformer(self.transformer, it.width, it.layers)
        self._resized = ResizedTables()

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

    def class_attention(self, image: Tensor) -> Tensor:
        """(B, h, w): where the class token looks in the last block, averaged over heads.

        Raises:
            TypeError: a backbone without class token.
        """
        if self.class_embedding is None:
            raise TypeError("the backbone has no class token")
        inputs: list[Tensor] = []
        block = cast(Any, self.transformer.resblocks[-1])
        with block.ln_1.register_forward_hook(lambda *seen: inputs.append(seen[2])):
            map_BChw = self(image).maps[0]
        x_BLC = inputs[0]
        _, weight_B1L = block.attn(x_BLC[:, :1], x_BLC, x_BLC, need_weights=True)
        return weight_B1L[:, 0, 1:].unflatten(1, tuple(map_BChw.shape[2:]))

    def positions(self, size: tuple[int, int]) -> Tensor:
        """(L, C) position table for a grid; without gradients it is resized once per size."""
        table = self.positional_embedding
        if size == self.grid:
            return table
        first, rest = table.tensor_split([len(table) - self.grid[0] * self.grid[1]])
        return self._resized(
            size, table, lambda: torch.cat([first, resize_grid(rest, self.grid, size)])
        )


class _Sizes(NamedTuple):
    size: tuple[int, int]
    patch: tuple[int, int]
    width: int
    layers: int
    heads: int
    mlp_ratio: float = 4.0
    quick_gelu: bool = False


def _sizes(name: str | None, given: dict[str, Any]) -> _Sizes:
    """All sizes: of open_clip's model, or as given."""
    if name is not None:
        if twice := given.keys() - {"size"}:
            raise ConfigError(f"ClipViT: {name} decides {', '.join(sorted(twice))}; leave it out")
        given = {**_model(name), **given}
    if missing := {"size", "patch", "width", "layers", "heads"} - given.keys():
        raise ConfigError(f"ClipViT: without a name give {', '.join(sorted(missing))} too")
    return _Sizes(**{**given, "size": _pair(given["size"]), "patch": _pair(given["patch"])})


def _model(name: str) -> dict[str, Any]:
    """The sizes of one of open_clip's models."""
    config = open_clip.get_model_config(name)
    if config is None:
        raise ConfigError(f"ClipViT: open_clip has no model {name!r}")
    vision = config["vision_cfg"]
    known = {"image_size", "layers", "width", "patch_size", "head_width", "mlp_ratio"}
    if isinstance(vision.get("layers"), list) or vision.keys() - known:
        raise ConfigError(f"ClipViT: {name} is no plain vision transformer ({vision})")
    return {
        "size": vision["image_size"],
        "patch": vision["patch_size"],
        "width": vision["width"],
        "layers": vision["layers"],
        "heads": vision["width"] // vision.get("head_width", 64),
        "mlp_ratio": vision.get("mlp_ratio", 4.0),
        "quick_gelu": config.get("quick_gelu", False),
    }


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))
