"""One pass over a source, or over a seeded sample of it."""

from __future__ import annotations

import math

import numpy as np
from rich.progress import track

from ocrpretrain.data.browse.counts import Statistics
from ocrpretrain.data.charset import Charset
from ocrpretrain.data.sources import AnnotatedImage, Source
from ocrpretrain.data.transforms import resize
from ocrpretrain.errors import DataError

LARGE = 5000  # images; of more, and of endless ones, a sample is looked at
SAMPLE = 1000
MAX_AREA, MAX_SIDE = 500_000, 4000  # pixels of a picture that is kept to be shown
MAX_SHOWN = 20


def choose(source: Source, count: int | None = None, seed: int = 0) -> np.ndarray:
    """Indices of a sample without repeats, in random order.

    Args:
        source: where from.
        count: how many; None means all of up to 5000 files, else 1000.
        seed: of the choice.

    Raises:
        DataError: fewer than one.
    """
    length = len(source)
    if count is None:
        count = SAMPLE if source.fresh or length > LARGE else length
    if count < 1:
        raise DataError(f"a sample needs at least one image, found {count}")
    length = max(length, count) if source.fresh else length
    return np.random.default_rng(seed).choice(length, min(count, length), replace=False)


def survey(
    source: Source,
    charset: Charset,
    count: int | None = None,
    seed: int = 0,
    pictures: int = 0,
) -> tuple[Statistics, list[AnnotatedImage]]:
    """Read a sample of a source once.

    Args:
        source: what to look at.
        charset: characters outside it are reported.
        count: images to look at, see `choose`.
        seed: of the sample.
        pictures: how many of these images to keep.

    Returns:
        The statistics, and the kept images in the order of the source, each with its words, made
        smaller where it has more than half a million pixels or is very long.

    Raises:
        DataError: not one image of the sample can be read.
    """
    statistics = Statistics(source.describe(), None if source.fresh else len(source), charset)
    kept: dict[int, AnnotatedImage] = {}
    for index in track(choose(source, count, seed).tolist(), f"look at {statistics.name}"):
        try:
            item = source[index]
        except DataError as error:
            statistics.errors.append(f"image {index}: {error}")
            continue
        statistics.add(item)
        if len(kept) < pictures:
            kept[index] = _shrunk(item)
    if not statistics.images:
        shown = "\n".join(statistics.errors[:MAX_SHOWN])
        raise DataError(
            f"{statistics.name}: none of {len(statistics.errors)} images can be read:\n{shown}"
        )
    return statistics, [kept[index] for index in sorted(kept)]


def _shrunk(item: AnnotatedImage) -> AnnotatedImage:
    height, width = item.image.shape[:2]
    factor = min(math.sqrt(MAX_AREA / (height * width)), MAX_SIDE / max(height, width))
    if factor >= 1:
        return item
    size = max(1, round(height * factor)), max(1, round(width * factor))
    return item.scaled(height, width, resize(item.image, *size))
