"""Images with wrong texts, or without places: how much do labels' mistakes cost a pretraining?"""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from functools import lru_cache

import numpy as np

from ocrpretrain.data.sources.base import Source, Word
from ocrpretrain.data.sources.fewer_labels import Relabelled

RANGE = 64  # code points that are looked at: small letters of ASCII lie in one range, capitals too


class NoisyLabels(Relabelled):
    """`source` with wrong texts for a seeded share of the legible words.

    Each character of a wrong text is another of the same kind (Unicode category) in the same range
    of 64 code points: a small Latin letter for a small Latin letter, a digit for a digit. So
    length, case, script and blanks stay; a character without another of its kind stays too. (To
    swap words inside an image would leave its set of words right, which is all that oCLIP's
    contrast sees; and a crop has only one.) `order` stays; `language` and `characters` of a wrong
    text are dropped.

    The share holds in expectation: each word is drawn by itself, so that it holds for crops too. A
    smaller share of the same seed is part of a larger one, with the same wrong texts.
    """

    what = "words wrong"
    salt = (1,)

    def relabel(self, words: list[Word], rng: np.random.Generator) -> list[Word]:
        chances = rng.random(len(words))
        seeds = rng.integers(2**63, size=len(words))
        return [
            _wrong(word, int(seed)) if chance < self.share and not word.ignore else word
            for word, chance, seed in zip(words, chances, seeds, strict=True)
        ]


def _wrong(word: Word, seed: int) -> Word:
    rng = np.random.default_rng(seed)
    choices = [_others(character) or [character] for character in word.text]
    text = "".join(choice[rng.integers(len(choice))] for choice in choices)
    if text == word.text:
        return word
    return replace(word, text=text, language=None, characters=None)


@lru_cache(maxsize=4096)
def _others(character: str) -> list[str]:
    start = ord(character) // RANGE * RANGE
    kind = unicodedata.category(character)
    near = map(chr, range(start, start + RANGE))
    visible = kind[0] not in "ZC"
    return [c for c in near if visible and unicodedata.category(c) == kind and c != character]


class WeakLabels(Relabelled):
    """`source` without the polygons of a seeded share of the images: texts that lie somewhere.

    A smaller share of the same seed is part of a larger one.

    Args:
        source: whose labels to weaken.
        share: of the images, in expectation, in [0, 1].
        seed: of the choice.

    Raises:
        DataError: a share outside [0, 1].
    """

    what = "images without polygons"
    salt = (2,)

    def __init__(self, source: Source, share: float = 1.0, seed: int = 0) -> None:
        super().__init__(source, share, seed)

    def relabel(self, words: list[Word], rng: np.random.Generator) -> list[Word]:
        if rng.random() >= self.share:
            return words
        return [replace(word, polygon=None, characters=None) for word in words]
