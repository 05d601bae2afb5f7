"""The texts of pages as ids; runs in the workers."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ocrpretrain.data.page_tokenizer import PageTokenizer
from ocrpretrain.data.views import Sample, stack_images
from ocrpretrain.errors import DataError
from ocrpretrain.heads.base import Batch

NO_TARGET = -100
LEFT_OUT: tuple[str, ...] = ("unreadable_images", "cropped_words", "long_pages", "unspelled_pages")


class PageBatch(Batch):
    """A batch for `CompressionHead`.

    Attributes:
        ids: (B, S) of the texts, EOS at the end, `NO_TARGET` behind it and in pages that are left
            out of the loss.
        whole: (B, S') the same, but of long pages too.
        given: (B, G) ids of what is given of each text, padded with `NO_TARGET` on the left.
        tiles: (T, 3, t, t) uint8 of all pages, page by page; None where no page has any.
        grids: columns and rows of each page's tiles.
        left_out: how many pages the batch leaves out, by reason: see `PageCollator`.
    """

    ids: Tensor
    whole: Tensor
    given: Tensor
    tiles: Tensor | None
    grids: list[tuple[int, int]]
    left_out: dict[str, int]


@dataclass(frozen=True)
class PageCollator:
    """List of samples -> `PageBatch`.

    Left out of the loss and counted are `long_pages` of more than `max_tokens` ids, EOS included
    (the image shows the end that a cut would take off), and `unspelled_pages` whose text the
    tokenizer cannot spell. A blank page has EOS alone.
    """

    tokenizer: PageTokenizer
    max_tokens: int

    def __call__(self, samples: list[Sample]) -> PageBatch:
        left_out = dict.fromkeys(LEFT_OUT, 0)
        pairs = [self.encode(sample, left_out) for sample in samples]
        whole, given = (
            [torch.tensor(row, dtype=torch.long) for row in x] for x in zip(*pairs, strict=True)
        )
        left = torch.tensor([NO_TARGET])
        ids = [left if len(row) > self.max_tokens else row for row in whole]
        if all(row[0] == NO_TARGET for row in ids):
            warnings.warn(
                f"all {len(samples)} pages of a batch are left out: {left_out['long_pages']} have "
                f"more than head.max_tokens={self.max_tokens} tokens, "
                f"{left_out['unspelled_pages']} cannot be spelled by the tokenizer",
                stacklevel=2,
            )
        image, mask = stack_images(samples)
        tiles = [sample.tiles for sample in samples if sample.tiles is not None]
        return PageBatch(
            image=image,
            mask=mask,
            text=[sample.text for sample in samples],
            id=[sample.id for sample in samples],
            ids=pad_sequence(ids, True, NO_TARGET),
            whole=pad_sequence(whole, True, NO_TARGET),
            given=pad_sequence(given, True, NO_TARGET, "left"),
            tiles=_channels_first(np.concatenate(tiles)) if tiles else None,
            grids=[sample.grid for sample in samples],
            left_out=left_out,
        )

    def encode(self, sample: Sample, left_out: dict[str, int]) -> tuple[list[int], list[int]]:
        """Ids of a sample's text, and of what is given of it; counts what is left out."""
        left_out["unreadable_images"] += sample.replaced
        left_out["cropped_words"] += sample.cropped
        try:
            ids = self.tokenizer.encode("\n".join(sample.text))
            given = self.tokenizer.encode(sample.given)[:-1]
        except DataError:
            left_out["unspelled_pages"] += 1
            return [NO_TARGET], []
        left_out["long_pages"] += len(ids) > self.max_tokens
        return ids, given


def _channels_first(x_THWC: np.ndarray) -> Tensor:
    return torch.from_numpy(x_THWC).permute(0, 3, 1, 2).contiguous()
