"""Images of which only a share of the words is annotated (oCLIP's partial annotation)."""

from __future__ import annotations

from zlib import crc32

import numpy as np

from ocrpretrain.data.sources.base import AnnotatedImage, Needs, Source
from ocrpretrain.errors import DataError


class FewerLabels(Source):
    """`source` with a seeded share of each image's legible words, at least one; the pixels stay.

    A smaller share of the same seed is part of a larger one.

    Args:
        source: whose labels to thin out.
        share: of the words, in (0, 1].
        seed: of the choice.

    Raises:
        DataError: a share outside (0, 1].
    """

    def __init__(self, source: Source, share: float, seed: int = 0) -> None:
        if not 0 < share <= 1:
            raise DataError(f"a share of the labels lies in (0, 1], found {share}")
        self.source, self.share, self.seed = source, share, seed
        self.fresh = source.fresh

    def __len__(self) -> int:
        return len(self.source)

    def read(self, index: int, needs: Needs | None = None) -> AnnotatedImage:
        item = self.source.read(index, needs)
        legible = [place for place, word in enumerate(item.words) if not word.ignore]
        count = max(1, round(self.share * len(legible)))
        # By name, since a share of the images numbers them anew.
        rng = np.random.default_rng([self.seed, crc32(item.id.encode())])
        order = rng.permutation(legible)
        dropped = set(order[count:].tolist())
        words = [word for place, word in enumerate(item.words) if place not in dropped]
        return AnnotatedImage(item.image, words, item.id)

    def describe(self) -> str:
        return f"{self.source.describe()} with {self.share:g} of the words (seed {self.seed})"

    def fingerprint(self) -> str:
        return f"{self.describe()} {self.source.fingerprint()}"
