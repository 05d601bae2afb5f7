"""CLIP's attention pool over a feature map of any grid size, all positions kept.

Shapes: B images, C map channels, h, w grid, L = 1 + h*w tokens (row 0 is the mean), D width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ocrpretrain.layers.positions import resize_grid


def grid_mask(mask_BHW: Tensor | None, height: int, width: int) -> Tensor | None:
    """(B, H, W) padding at input resolution -> (B, height*width): cells that are all padding."""
    if mask_BHW is None:
        return None
    batch, full_height, full_width = mask_BHW.shape
    cells = mask_BHW.view(batch, height, full_height // height, width, full_width // width)
    return cells.all(dim=4).all(dim=2).flatten(1)


class AttentionPool(nn.Module):
    """Full self-attention over [mean; map], projected to the embedding space of image and text.

    Unlike CLIP, oCLIP keeps the output of all positions: row 0 is the image feature, the others
    are the memory of the decoder (oCLIP, section 3.2; official code `AttentionPool2d`).

    Args:
        in_channels: channels of the map (C).
        embed_dim: channels of the output (D).
        heads: attention heads.
        grid: height and width of the learned position table; other grids resize it.
    """

    def __init__(self, in_channels: int, embed_dim: int, heads: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.heads, self.grid = heads, grid
        self.positional_embedding = nn.Parameter(
            torch.randn(grid[0] * grid[1] + 1, in_channels) * in_channels**-0.5
        )
        self.q_proj = nn.Linear(in_channels, in_channels)
        self.k_proj = nn.Linear(in_channels, in_channels)
        self.v_proj = nn.Linear(in_channels, in_channels)
        self.c_proj = nn.Linear(in_channels, embed_dim)
        for projection in (self.q_proj, self.k_proj, self.v_proj, self.c_proj):
            nn.init.normal_(projection.weight, std=in_channels**-0.5)

    def tokens(self, map_BChw: Tensor, padding_Bl: Tensor | None) -> Tensor:
        """(B, C, h, w) -> (B, L, C): the mean over real cells, then the cells, plus positions."""
        cells_BlC = map_BChw.flatten(2).transpose(1, 2)
        if padding_Bl is None:
            mean_B1C = cells_BlC.mean(1, keepdim=True)
        else:
            real_Bl1 = (~padding_Bl).unsqueeze(-1).to(cells_BlC.dtype)
            mean_B1C = (cells_BlC * real_Bl1).sum(1, keepdim=True) / real_Bl1.sum(1, keepdim=True)
        tokens_BLC = torch.cat([mean_B1C, cells_BlC], dim=1)
        table = self.positional_embedding
        position = resize_grid(table[1:], self.grid, (map_BChw.shape[2], map_BChw.shape[3]))
        return tokens_BLC + torch.cat([table[:1], position]).to(tokens_BLC.dtype)

    def forward(self, map_BChw: Tensor, padding_Bl: Tensor | None = None) -> Tensor:
        """Pool a map.

        Args:
            map_BChw: (B, C, h, w).
            padding_Bl: (B, h*w) bool, True = padding; neither in the mean nor a key.

        Returns:
            (B, L, D).
        """
        q_BnLd, k_BnLd, v_BnLd = self._project(map_BChw, padding_Bl)
        keep = self._keep(padding_Bl)
        out_BnLd = F.scaled_dot_product_attention(q_BnLd, k_BnLd, v_BnLd, attn_mask=keep)
        return self.c_proj(out_BnLd.transpose(1, 2).flatten(2))

    def attention(self, map_BChw: Tensor, padding_Bl: Tensor | None = None) -> Tensor:
        """(B, L, L) attention averaged over heads: the plain form, for pictures only."""
        q_BnLd, k_BnLd, _ = self._project(map_BChw, padding_Bl)
        score_BnLL = q_BnLd @ k_BnLd.transpose(-2, -1) * q_BnLd.shape[-1] ** -0.5
        keep = self._keep(padding_Bl)
        if keep is not None:
            score_BnLL = score_BnLL.masked_fill(~keep, float("-inf"))
        return score_BnLL.softmax(-1).mean(1)

    def _project(self, map_BChw: Tensor, padding_Bl: Tensor | None) -> tuple[Tensor, ...]:
        x_BLC = self.tokens(map_BChw, padding_Bl)
        return tuple(
            projection(x_BLC).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )

    @staticmethod
    def _keep(padding_Bl: Tensor | None) -> Tensor | None:
        if padding_Bl is None:
            return None
        return F.pad(~padding_Bl, (1, 0), value=True)[:, None, None]  # the mean is always a key
