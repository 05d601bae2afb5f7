"""Words of a batch as oCLIP's packed ids, one character of each masked; runs in the workers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor

from ocrpretrain.data.charset import Charset
from ocrpretrain.data.views import Sample, stack_images
from ocrpretrain.heads.base import Batch
from ocrpretrain.layers.packing import Packed

LEFT_OUT = ("cropped_words", "unknown_characters", "unknown_words", "surplus_words", "cut_words")


class PackedWords(TypedDict):
    """The real words of a batch.

    Attributes:
        tokens: (N, L) ids, EOS at the end, 0 behind it; L is the longest word's.
        masked: the same with one character per word replaced by MASK.
        target: (N,) id of the masked character.
        packed: image and slot of each word.
    """

    tokens: Tensor
    masked: Tensor
    target: Tensor
    packed: Packed


class OCLIPBatch(Batch, PackedWords):
    """A batch for `OCLIPHead`.

    Attributes:
        left_out: how much of the labels the batch leaves out, by reason: see `OCLIPCollator`.
    """

    left_out: dict[str, int]


@dataclass(frozen=True)
class OCLIPCollator:
    """List of samples -> `OCLIPBatch`.

    Labels are split at blanks. What is left out is counted: `cropped_words` by the view,
    `unknown_characters` outside the charset, `unknown_words` of such characters alone,
    `surplus_words` beyond `max_words`, and `cut_words` that lose their end. The choice of the
    masked character, and of the words where there is a surplus, follows the sample's own seed.
    """

    charset: Charset
    max_label_length: int
    max_words: int
    mask_eos: bool = False

    def __call__(self, samples: list[Sample]) -> OCLIPBatch:
        words: list[list[str]] = []
        rows: list[tuple[int, int, list[int], int]] = []  # image, slot, ids, masked position
        left_out: dict[str, int] = dict.fromkeys(LEFT_OUT, 0)
        for index, sample in enumerate(samples):
            rng = np.random.default_rng(sample.seed)
            kept = self.choose(sample, rng, left_out)
            words.append(kept)
            for slot, word in enumerate(kept):
                ids = self.encode(word)
                # Official code draws among the EOS position too where a word fills all positions.
                choices = len(ids) - 1
                if self.mask_eos and len(word) >= self.max_label_length:
                    choices = len(ids)
                rows.append((index, slot, ids, int(rng.integers(choices))))
        image, mask = stack_images(samples)
        return OCLIPBatch(
            image=image,
            mask=mask,
            text=words,
            id=[sample.id for sample in samples],
            left_out=left_out,
            **self.pack(rows, len(samples)),
        )

    def choose(
        self, sample: Sample, rng: np.random.Generator, left_out: dict[str, int]
    ) -> list[str]:
        """The words of one image that take part; adds what is left out to `left_out`."""
        raw = [part for text in sample.text for part in text.split()]
        parts = [self.charset.filter(part) for part in raw]
        kept = [part for part in parts if part]
        left_out["cropped_words"] += sample.cropped
        left_out["unknown_characters"] += sum(map(len, raw)) - sum(map(len, parts))
        left_out["unknown_words"] += len(parts) - len(kept)
        if len(kept) > self.max_words:
            left_out["surplus_words"] += len(kept) - self.max_words
            chosen = np.sort(rng.choice(len(kept), self.max_words, replace=False))
            kept = [kept[i] for i in chosen]
        left_out["cut_words"] += sum(len(word) >= self.max_label_length for word in kept)
        return kept

    def encode(self, word: str) -> list[int]:
        """Ids of one word, cut to leave room for EOS."""
        return [*self.charset.encode(word[: self.max_label_length - 1]), self.charset.eos_id]

    def pack(self, rows: list[tuple[int, int, list[int], int]], images: int) -> PackedWords:
        """Rows of (image, slot, ids, masked position) -> the tensors of the words."""
        length = max((len(ids) for _, _, ids, _ in rows), default=1)
        tokens = torch.zeros(len(rows), length, dtype=torch.long)
        for row, (_, _, ids, _) in enumerate(rows):
            tokens[row, : len(ids)] = torch.tensor(ids)
        position = torch.tensor([row[3] for row in rows], dtype=torch.long)[:, None]
        packed = Packed(
            image=torch.tensor([row[0] for row in rows], dtype=torch.long),
            slot=torch.tensor([row[1] for row in rows], dtype=torch.long),
            images=images,
            slots=max((row[1] + 1 for row in rows), default=1),
        )
        return PackedWords(
            tokens=tokens,
            masked=tokens.scatter(1, position, self.charset.mask_id),
            target=tokens.gather(1, position)[:, 0],
            packed=packed,
        )
