"""Words of a batch as oCLIP's packed ids, some characters masked; runs in the workers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ocrpretrain.data.charset import Charset
from ocrpretrain.data.tokenizer import CharacterTokenizer, WordTokenizer
from ocrpretrain.data.views import Sample, stack_images
from ocrpretrain.heads.base import Batch
from ocrpretrain.layers.packing import Packed

LEFT_OUT = (
    *("unreadable_images", "cropped_words", "unknown_characters", "unknown_words"),
    *("surplus_words", "cut_words"),
)


class MaskedWord(NamedTuple):
    """A word, its image and its slot there, and the positions of its masked characters."""

    image: int
    slot: int
    text: str
    positions: list[int]


class Queries(NamedTuple):
    """What asks the image: one entry per masked character, M of a batch.

    Attributes:
        word: (M,) row of the word.
        position: (M,) of the masked character in the word.
        packed: image of each query, and its position among the image's queries.
    """

    word: Tensor
    position: Tensor
    packed: Packed


class PackedWords(TypedDict):
    """The real words of a batch.

    Attributes:
        tokens: (N, L) ids, EOS at the end, 0 behind it; L is the longest word's.
        masked: the same with MASK in place of one or more characters per word.
        packed: image and slot of each word.
        queries: the masked characters.
        target: (M,) character id of each.
    """

    tokens: Tensor
    masked: Tensor
    packed: Packed
    queries: Queries
    target: Tensor


class OCLIPBatch(Batch, PackedWords):
    """A batch for `OCLIPHead`.

    Attributes:
        left_out: how much of the labels the batch leaves out, by reason: see `OCLIPCollator`.
    """

    left_out: dict[str, int]


@dataclass(frozen=True)
class OCLIPCollator:
    """List of samples -> `OCLIPBatch`.

    Labels are split at blanks. What is left out is counted: `unreadable_images` that others stand
    in for, `cropped_words` outside the view,
    `unknown_characters` outside the charset, `unknown_words` of such characters alone,
    `surplus_words` beyond `max_words`, and `cut_words` that lose their end. The choice of the
    masked characters, and of the words where there is a surplus, follows the sample's own seed.
    """

    charset: Charset
    max_label_length: int
    max_words: int
    tokenizer: WordTokenizer
    mask_share: float | None = None
    mask_eos: bool = False

    def __call__(self, samples: list[Sample]) -> OCLIPBatch:
        texts: list[list[str]] = []
        words: list[MaskedWord] = []
        left_out: dict[str, int] = dict.fromkeys(LEFT_OUT, 0)
        for index, sample in enumerate(samples):
            rng = np.random.default_rng(sample.seed)
            texts.append(self.choose(sample, rng, left_out))
            words += [self.mask(index, *pair, rng) for pair in enumerate(texts[-1])]
        image, padding = stack_images(samples)
        return OCLIPBatch(
            image=image,
            mask=padding,
            text=texts,
            id=[sample.id for sample in samples],
            left_out=left_out,
            **self.pack(words, len(samples)),
        )

    def lexicon(self, labels: list[str]) -> OCLIPBatch:
        """Labels without images, each as the words of an image of its own.

        A label without any character of the charset has no words.
        """
        texts = [[w for w in map(self.charset.filter, label.split()) if w] for label in labels]
        words = [
            MaskedWord(index, slot, word[: self.max_label_length - 1], [0])
            for index, text in enumerate(texts)
            for slot, word in enumerate(text)
        ]
        packed = self.pack(words, len(labels))
        return OCLIPBatch(image=torch.empty(0), text=texts, left_out={}, **packed)

    def choose(
        self, sample: Sample, rng: np.random.Generator, left_out: dict[str, int]
    ) -> list[str]:
        """The words of one image that take part; adds what is left out to `left_out`."""
        raw = [part for text in sample.text for part in text.split()]
        parts = [self.charset.filter(part) for part in raw]
        kept = [part for part in parts if part]
        left_out["unreadable_images"] += sample.replaced
        left_out["cropped_words"] += sample.cropped
        left_out["unknown_characters"] += sum(map(len, raw)) - sum(map(len, parts))
        left_out["unknown_words"] += len(parts) - len(kept)
        if len(kept) > self.max_words:
            left_out["surplus_words"] += len(kept) - self.max_words
            chosen = np.sort(rng.choice(len(kept), self.max_words, replace=False))
            kept = [kept[i] for i in chosen]
        left_out["cut_words"] += sum(len(word) >= self.max_label_length for word in kept)
        return kept

    def mask(self, image: int, slot: int, word: str, rng: np.random.Generator) -> MaskedWord:
        """Cut one word to leave room for EOS, and draw one character of it, or a share of them."""
        text = word[: self.max_label_length - 1]
        if self.mask_share is not None:
            count = max(1, round(self.mask_share * len(text)))
            drawn = rng.choice(len(text), count, replace=False)
            return MaskedWord(image, slot, text, np.sort(drawn).tolist())
        # Official code draws among the EOS position too where a word fills all positions.
        choices = len(text) + int(self.mask_eos and len(word) >= self.max_label_length)
        return MaskedWord(image, slot, text, [int(rng.integers(choices))])

    def pack(self, words: list[MaskedWord], images: int) -> PackedWords:
        """The tensors of the words of a batch of `images`."""
        encode, characters = self.tokenizer.encode, CharacterTokenizer(self.charset)
        queries = [(row, position) for row, w in enumerate(words) for position in w.positions]
        targets = [characters.encode(words[row].text)[position] for row, position in queries]
        seen = [0] * images  # queries of each image so far
        order: list[tuple[int, int]] = []
        for row, _ in queries:
            order.append((words[row].image, seen[words[row].image]))
            seen[words[row].image] += 1
        return PackedWords(
            tokens=_pad([encode(word.text) for word in words]),
            masked=_pad([encode(word.text, word.positions) for word in words]),
            packed=_packed([(word.image, word.slot) for word in words], images),
            queries=Queries(*_columns(queries), _packed(order, images)),
            target=torch.tensor(targets, dtype=torch.long),
        )


def _pad(ids: list[list[int]]) -> Tensor:
    if not ids:
        return torch.zeros(0, 1, dtype=torch.long)
    return pad_sequence([torch.tensor(row) for row in ids], batch_first=True)


def _columns(pairs: list[tuple[int, int]]) -> tuple[Tensor, Tensor]:
    first, second = torch.tensor(pairs, dtype=torch.long).view(-1, 2).unbind(1)
    return first, second


def _packed(places: list[tuple[int, int]], images: int) -> Packed:
    slots = max((slot + 1 for _, slot in places), default=1)
    return Packed(*_columns(places), images, slots)
