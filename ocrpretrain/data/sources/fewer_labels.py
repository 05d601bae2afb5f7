"""A source's images with other labels: only a share of the words (oCLIP's partial annotation)."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar
from zlib import crc32

import numpy as np

from ocrpretrain.data.sources.base import AnnotatedImage, Needs, Source, Word
from ocrpretrain.errors import DataError


class Relabelled(Source):
    """Images of `source` with labels that a seeded choice changes; the pixels stay.

    Args:
        source: whose labels to change.
        share: of them, in [0, 1].
        seed: of the choice.

    Raises:
        DataError: a share outside [0, 1].

    Attributes:
        what: the share is that of the ..., in records.
        salt: keeps the choices of different classes apart.
    """

    what: ClassVar[str]
    salt: ClassVar[tuple[int, ...]]

    def __init__(self, source: Source, share: float, seed: int = 0) -> None:
        if not 0 <= share <= 1:
            raise DataError(f"a share of the labels lies in [0, 1], found {share}")
        self.source, self.share, self.seed = source, share, seed
        self.fresh = source.fresh

    def __len__(self) -> int:
        return len(self.source)

    def read(self, index: int, needs: Needs | None = None) -> AnnotatedImage:
        item = self.source.read(index, needs)
        # By name, since a share of the images numbers them anew.
        rng = np.random.default_rng([self.seed, crc32(item.id.encode()), *self.salt])
        return AnnotatedImage(item.image, self.relabel(item.words, rng), item.id)

    @abstractmethod
    def relabel(self, words: list[Word], rng: np.random.Generator) -> list[Word]:
        """The new labels of one image."""

    def describe(self) -> str:
        return f"{self.source.describe()} with {self.share:g} of the {self.what} (seed {self.seed})"

    def fingerprint(self) -> str:
        return f"{self.describe()} {self.source.fingerprint()}"


class FewerLabels(Relabelled):
    """`source` with a seeded share of each image's legible words, at least one; the pixels stay.

    A smaller share of the same seed is part of a larger one.

    Args:
        source: whose labels to thin out.
        share: of the words, in (0, 1].
        seed: of the choice.

    Raises:
        DataError: a share outside (0, 1].
    """

    what = "words"
    salt = ()

    def __init__(self, source: Source, share: float, seed: int = 0) -> None:
        if not 0 < share <= 1:
            raise DataError(f"a share of the labels lies in (0, 1], found {share}")
        super().__init__(source, share, seed)

    def relabel(self, words: list[Word], rng: np.random.Generator) -> list[Word]:
        legible = [place for place, word in enumerate(words) if not word.ignore]
        count = max(1, round(self.share * len(legible)))
        dropped = set(rng.permutation(legible)[count:].tolist())
        return [word for place, word in enumerate(words) if place not in dropped]
