"""SAM's image encoder (Kirillov et al. 2023): windows of 14 x 14, global attention in four blocks.

Shapes: B images, h, w patches of height and width, C channels, n heads, d channels of a head.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ocrpretrain.errors import ConfigError
from ocrpretrain.layers.conv_stem import conv_stem
from ocrpretrain.layers.positions import ResizedTables, resize_grid
from ocrpretrain.layers.relative_attention import relative_attention, relative_terms, resize_table

# Numbers of maps (4 MiB in float32) that a CPU takes at a time: up to a tenth faster than four
# published pages at once.
AT_ONCE = 2**20


class SAMAttention(nn.Module):
    """Attention with decomposed relative positions, over the grid or in windows of it.

    Args:
        width: channels (C).
        heads: attention heads.
        cells: side of the grid that the tables are for: the window's, or the nominal grid's.
        window: side of the windows; 0 is one attention over the grid.
    """

    def __init__(self, width: int, heads: int, cells: int, window: int) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * cells - 1, width // heads))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * cells - 1, width // heads))
        self._resized = ResizedTables()

    def forward(self, x_BhwC: Tensor) -> Tensor:
        """(B, h, w, C) -> (B, h, w, C).

        Windows reach over the border. The cells there are no part of the image but of the softmax:
        their queries, keys and values are the bias alone, so they need no product.
        """
        batch, height, width, channels = x_BhwC.shape
        rows, columns = (self.window, self.window) if self.window else (height, width)
        down, right = -height % rows, -width % columns
        if down or right:
            products = F.pad(F.linear(x_BhwC, self.qkv.weight), (0, 0, 0, right, 0, down))
            qkv = products.add_(cast(Tensor, self.qkv.bias).to(products.dtype))
        else:
            qkv = self.qkv(x_BhwC)
        # B, windows down, rows, windows across, columns, then q, k or v, heads, d
        tiles = qkv.unflatten(1, (-1, rows)).unflatten(3, (-1, columns))
        parts = tiles.unflatten(-1, (3, self.heads, -1)).permute(5, 0, 1, 3, 6, 2, 4, 7)
        q, k, v = parts.reshape(3, -1, self.heads, rows * columns, channels // self.heads)
        high, wide = self.rel_pos_h, self.rel_pos_w
        tables = (
            self._resized(("h", rows), high, lambda: resize_table(high, rows)),
            self._resized(("w", columns), wide, lambda: resize_table(wide, columns)),
        )
        out = relative_attention(q, k, v, relative_terms(q, tables))
        # Back to B, windows down, rows, windows across, columns, heads, d
        windows = out.unflatten(2, (rows, columns)).unflatten(0, parts.shape[1:4])
        grid = windows.permute(0, 1, 4, 2, 5, 3, 6).reshape(batch, *qkv.shape[1:3], channels)
        return self.proj(grid[:, :height, :width])


class SAMBlock(nn.Module):
    """Pre-norm attention and MLP, with SAM's names.

    Args:
        width: channels (C).
        heads: attention heads.
        mlp_ratio: hidden channels of the MLP over C.
        cells: see `SAMAttention`.
        window: see `SAMAttention`.
    """

    def __init__(self, width: int, heads: int, mlp_ratio: float, cells: int, window: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, 1e-6), nn.LayerNorm(width, 1e-6)
        self.attn = SAMAttention(width, heads, cells, window)
        hidden = int(width * mlp_ratio)
        layers = {"lin1": nn.Linear(width, hidden), "lin2": nn.Linear(hidden, width)}
        self.mlp = nn.ModuleDict(layers)

    def forward(self, x_BhwC: Tensor) -> Tensor:
        x_BhwC = x_BhwC + self.attn(self.norm1(x_BhwC))
        return x_BhwC + gelu_linear(self.mlp["lin1"](self.norm2(x_BhwC)), self.mlp["lin2"])


def gelu_linear(x: Tensor, linear: nn.Module) -> Tensor:
    """`linear(gelu(x))`, which keeps x alone for the backward, and not GELU's output beside it."""
    active = F.gelu(x)
    if not active.requires_grad or torch.compiler.is_compiling():  # a compiler sees to it itself
        return linear(active)
    place = active.untyped_storage()._cdata

    def pack(tensor: Tensor) -> Tensor | torch.Size:
        return tensor.shape if tensor.untyped_storage()._cdata == place else tensor

    def unpack(kept: Tensor | torch.Size) -> Tensor:
        return kept if isinstance(kept, Tensor) else F.gelu(x.detach()).reshape(kept)

    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        return linear(active)


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of (B, C, h, w)."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.movedim(1, -1)).movedim(-1, 1)


class SAMViT(nn.Module):
    """Image -> a map of stride `patch`, after SAM's neck.

    Args:
        width: channels of the blocks (C).
        depth: blocks.
        heads: attention heads.
        global_blocks: which blocks attend over the whole grid.
        out_channels: of the neck.
        window: side of the windows of the others.
        grid: side of the nominal grid, which the position tables are for (64: 1024 pixels).
        patch: side of a patch.
        mlp_ratio: hidden channels of the MLPs over C.
        stem: 'patch', one convolution per patch, as published; or 'conv', see `conv_stem`.

    Raises:
        ConfigError: see `conv_stem`; another stem, or a global block that there is not.
    """

    def __init__(
        self,
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
        global_blocks: Collection[int] = (2, 5, 8, 11),
        out_channels: int = 256,
        window: int = 14,
        grid: int = 64,
        patch: int = 16,
        mlp_ratio: float = 4.0,
        stem: Literal["patch", "conv"] = "patch",
    ) -> None:
        super().__init__()
        if stem not in ("patch", "conv") or max(global_blocks, default=-1) >= depth:
            raise ConfigError(
                f"sam: stem is patch or conv, found {stem!r}; of {depth} blocks {global_blocks} "
                "are global"
            )
        self.out_channels, self.patch = out_channels, patch
        conv = stem == "conv"
        embed = conv_stem((patch, patch), width) if conv else nn.Conv2d(3, width, patch, patch)
        self.patch_embed = nn.ModuleDict({"proj": embed})
        self.pos_embed = nn.Parameter(torch.zeros(1, grid, grid, width))
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        self._resized = ResizedTables()
        sides = [(grid, 0) if i in global_blocks else (window, window) for i in range(depth)]
        self.blocks = nn.ModuleList(SAMBlock(width, heads, mlp_ratio, *side) for side in sides)
        self.neck = nn.Sequential(
            nn.Conv2d(width, out_channels, 1, bias=False),
            ChannelNorm(out_channels, 1e-6),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            ChannelNorm(out_channels, 1e-6),
        )

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, out_channels, h, w)."""
        x_BhwC = self.embed(image)
        if x_BhwC.device.type != "cpu" or torch.is_grad_enabled():
            return self._encode(x_BhwC)
        images = max(1, AT_ONCE // x_BhwC.shape[1:].numel())
        return torch.cat([self._encode(part) for part in x_BhwC.split(images)])

    def _encode(self, x_BhwC: Tensor) -> Tensor:
        """Blocks and neck."""
        for block in self.blocks:
            x_BhwC = block(x_BhwC)
        return self.neck(x_BhwC.movedim(-1, 1))

    def embed(self, image: Tensor) -> Tensor:
        """(B, h, w, C): patches and positions."""
        x_BhwC = self.patch_embed["proj"](image).movedim(1, -1)
        size = (x_BhwC.shape[1], x_BhwC.shape[2])
        nominal = (self.pos_embed.shape[1], self.pos_embed.shape[2])
        own = self.pos_embed
        table = self._resized(size, own, lambda: resize_grid(own[0].flatten(0, 1), nominal, size))
        return x_BhwC + table.unflatten(0, size)
