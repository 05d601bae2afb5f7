"""Several sources mixed by weight, endlessly; which image a position holds is a closed form."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from math import isqrt

import numpy as np

from ocrpretrain.data.sources.base import AnnotatedImage, Needs, Source
from ocrpretrain.errors import DataError

BLOCK = 1000  # positions in which each source has its exact count


class Mixed(Source):
    """Images of several sources; position p of a seed is always the same image.

    Every 1000 positions hold each source's share, rounded by largest remainder, in a new seeded
    order. A finite source is walked through in rounds, each a new permutation of all its images;
    one that draws new images (`fresh`) goes on.

    Args:
        sources: what to mix.
        weights: their shares, in any unit.
        length: images per epoch; by default as many as all sources together.
        seed: of the arrangement and of the permutations.

    Raises:
        DataError: weights that do not fit the sources, are not positive, or are too small.
    """

    fresh = True

    def __init__(
        self,
        sources: Sequence[Source],
        weights: Sequence[float],
        length: int | None = None,
        seed: int = 0,
    ) -> None:
        if not sources or len(sources) != len(weights) or not min(weights) > 0:
            raise DataError(
                f"Mixed: {len(sources)} sources need as many positive weights, found {weights}"
            )
        self.sources, self.seed = list(sources), seed
        self.length = sum(map(len, sources)) if length is None else length
        self.counts = apportion(weights, BLOCK)
        if self.length < 1 or not min(self.counts):
            raise DataError(
                f"Mixed: length {length}, and {self.counts} of {BLOCK} images by {weights}: "
                "each must be at least one"
            )

    def __len__(self) -> int:
        return self.length

    def locate(self, position: int) -> tuple[int, int]:
        """Which source a position belongs to, and the index there."""
        block, place = divmod(position, BLOCK)
        owners, ranks = _arrangement(self.counts, self.seed, block)
        which = int(owners[place])
        visit = block * self.counts[which] + int(ranks[place])
        source = self.sources[which]
        if source.fresh:
            return which, visit
        turn, place = divmod(visit, len(source))
        return which, shuffled(place, len(source), self.seed, which, turn)

    def read(self, index: int, needs: Needs | None = None) -> AnnotatedImage:
        which, place = self.locate(index)
        return self.sources[which].read(place, needs)

    def describe(self) -> str:
        parts = zip(self.counts, self.sources, strict=True)
        mix = " + ".join(f"{count / BLOCK:g} {source.describe()}" for count, source in parts)
        return f"{mix} (seed {self.seed}, {len(self)} images)"

    def fingerprint(self) -> str:
        return f"{self.describe()} {' '.join(source.fingerprint() for source in self.sources)}"


def apportion(weights: Sequence[float], total: int) -> tuple[int, ...]:
    """Whole counts that add up to `total`, by largest remainder."""
    quota = np.array(weights, float) * total / np.sum(weights)
    counts = np.floor(quota + 1e-9).astype(int)  # 0.29 * 1000 is a little less than 290
    missing = total - counts.sum()
    counts[np.argsort(counts - quota, kind="stable")[:missing]] += 1
    return tuple(counts.tolist())


@lru_cache(maxsize=1024)
def _arrangement(counts: tuple[int, ...], seed: int, block: int) -> tuple[np.ndarray, np.ndarray]:
    """The source of each position of a block, and how often it came before in the block."""
    owners = np.repeat(np.arange(len(counts), dtype=np.uint16), counts)
    owners = np.random.default_rng([seed, block]).permutation(owners)
    ranks = np.zeros(len(owners), np.uint16)
    for which, count in enumerate(counts):
        ranks[owners == which] = np.arange(count)
    return owners, ranks


def shuffled(place: int, length: int, *key: int) -> int:
    """Where a seeded permutation of `length` things puts the one at `place`, in no memory.

    A generalised Feistel network on a grid that just holds all places; what falls behind the last
    place goes through it again. A list of a permutation would cost memory for each round of a large
    source, and be drawn anew all the time where an epoch meets many rounds of a small one.
    """
    rows = isqrt(length - 1) + 1
    columns = -(-length // rows)
    while True:
        row, column = divmod(place, columns)
        for turn in range(3):
            row = (row + _hash(*key, 2 * turn, column)) % rows
            column = (column + _hash(*key, 2 * turn + 1, row)) % columns
        place = row * columns + column
        if place < length:
            return place


def _hash(*numbers: int) -> int:
    digest = blake2b(repr(numbers).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")
