"""A seeded share of a source, so that held-out images are never trained on."""

from __future__ import annotations

import numpy as np

from ocrpretrain.data.sources.base import AnnotatedImage, Needs, Source
from ocrpretrain.errors import DataError


class Part(Source):
    """The images of `source` whose position in a seeded shuffle lies in [start, stop).

    Two parts with the same seed and touching bounds are disjoint and complete.

    Args:
        source: what to take a part of.
        start: lower bound, as a share of the images (0..1).
        stop: upper bound, as a share of the images (0..1).
        seed: of the shuffle.

    Raises:
        DataError: bounds outside 0..1, or a part without any image.
    """

    def __init__(self, source: Source, start: float = 0.0, stop: float = 1.0, seed: int = 0):
        if not 0 <= start < stop <= 1:
            raise DataError(f"a part needs 0 <= start < stop <= 1, found {start} and {stop}")
        self.source = source
        order = np.random.default_rng(seed).permutation(len(source))
        low, high = round(start * len(source)), round(stop * len(source))
        self.indices = np.sort(order[low:high])
        self.label = f"{source.describe()}[{start:g}:{stop:g}, seed {seed}]"
        if not len(self.indices):
            raise DataError(f"{self.label} holds no image")

    def __len__(self) -> int:
        return len(self.indices)

    def read(self, index: int, needs: Needs | None = None) -> AnnotatedImage:
        return self.source.read(int(self.indices[index]), needs)

    def describe(self) -> str:
        return f"{self.label} ({len(self)} images)"

    def fingerprint(self) -> str:
        return f"{self.describe()} {self.source.fingerprint()}"
