"""The texts of pages as ids; runs in the workers."""

from __future__ import annotations

from dataclasses import dataclass

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
        left_out: how many pages the batch leaves out, by reason: see `PageCollator`.
    """

    ids: Tensor
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
        ids = [torch.tensor(self.encode(sample, left_out), dtype=torch.long) for sample in samples]
        image, mask = stack_images(samples)
        return PageBatch(
            image=image,
            mask=mask,
            text=[sample.text for sample in samples],
            id=[sample.id for sample in samples],
            ids=pad_sequence(ids, True, NO_TARGET),
            left_out=left_out,
        )

    def encode(self, sample: Sample, left_out: dict[str, int]) -> list[int]:
        """Ids of a sample's text; adds what is left out to `left_out`."""
        left_out["unreadable_images"] += sample.replaced
        left_out["cropped_words"] += sample.cropped
        try:
            ids = self.tokenizer.encode("\n".join(sample.text))
        except DataError:
            left_out["unspelled_pages"] += 1
            return [NO_TARGET]
        left_out["long_pages"] += len(ids) > self.max_tokens
        return ids if len(ids) <= self.max_tokens else [NO_TARGET]
