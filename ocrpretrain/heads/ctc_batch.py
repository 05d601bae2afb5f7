"""One word per image as CTC's target ids; runs in the workers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ocrpretrain.data.charset import Charset
from ocrpretrain.data.views import Sample, stack_images
from ocrpretrain.heads.base import Batch

LEFT_OUT = (
    *("unreadable_images", "cropped_words"),
    *("unknown_characters", "unknown_words", "long_words"),
)


class CTCBatch(Batch):
    """A batch for `CTCHead`.

    Attributes:
        target: (B, S) ids of the characters, 0 behind them; S is the longest word's length.
        length: (B,) their number; 0 for a word that is left out of the loss.
        columns: (B,) least number of columns that can say the word: repeated characters need a
            blank between them.
        left_out: how much of the labels the batch leaves out, by reason: see `CTCCollator`.
    """

    target: Tensor
    length: Tensor
    columns: Tensor
    left_out: dict[str, int]


@dataclass(frozen=True)
class CTCCollator:
    """List of samples -> `CTCBatch`.

    Counted are `unreadable_images` that others stand in for, `cropped_words` outside the view, and
    `unknown_characters` outside the charset, which leave their labels, as spaces outside it do
    without being counted. Left out of the loss and counted are `unknown_words` of such characters
    alone and `long_words` of more than `max_label_length` characters: the image shows the end that
    a cut would take off.
    """

    charset: Charset
    max_label_length: int

    def __call__(self, samples: list[Sample]) -> CTCBatch:
        left_out = self.nothing_left_out()
        ids = [self.encode(sample, left_out) for sample in samples]
        image, mask = stack_images(samples)
        repeats = [sum(a == b for a, b in zip(row, row[1:], strict=False)) for row in ids]
        length = torch.tensor([len(row) for row in ids])
        return CTCBatch(
            image=image,
            mask=mask,
            text=[sample.text for sample in samples],
            id=[sample.id for sample in samples],
            target=pad_sequence([torch.tensor(row, dtype=torch.long) for row in ids], True),
            length=length,
            columns=length + torch.tensor(repeats),
            left_out=left_out,
        )

    @staticmethod
    def nothing_left_out() -> dict[str, int]:
        """What `encode` counts in."""
        return dict.fromkeys(LEFT_OUT, 0)

    def encode(self, sample: Sample, left_out: dict[str, int]) -> list[int]:
        """Ids of a sample's word, none if it takes no part; adds what is left out to `left_out`."""
        blank = " " if " " in self.charset.characters else ""
        raw = blank.join(" ".join(sample.text).split())
        text = self.charset.filter(raw)
        left_out["unreadable_images"] += sample.replaced
        left_out["cropped_words"] += sample.cropped
        left_out["unknown_characters"] += len(raw) - len(text)
        left_out["unknown_words"] += not text
        left_out["long_words"] += len(text) > self.max_label_length
        return self.charset.encode(text) if len(text) <= self.max_label_length else []
