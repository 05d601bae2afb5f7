"""What every source of annotated images returns, whatever format it was read from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from ocrpretrain.errors import DataError

Needs = Callable[[int, int], tuple[int, int]]


@dataclass(slots=True)
class Word:
    """One text instance; no polygon makes it a weak label (the text is somewhere in the image)."""

    text: str
    polygon: np.ndarray | None = None  # (N, 2) float32, pixels, x then y
    ignore: bool = False  # illegible or a don't-care region: neither trained on nor scored
    language: str | None = None  # ISO 639 code, where the source knows it
    order: int | None = None  # place in the reading order of the page
    characters: np.ndarray | None = None  # (len(text) without blanks, 4, 2) float32, pixels

    @property
    def outline(self) -> np.ndarray:
        """The polygon of a word that must have one, (N, 2).

        Raises:
            DataError: a weak label, which neither trains nor scores a detector.
        """
        if self.polygon is None:
            raise DataError(f"the word {self.text!r} has no polygon: a detector cannot use it")
        return self.polygon


@dataclass(slots=True)
class AnnotatedImage:
    """An image and its words, in pixels of the stored image."""

    image: np.ndarray  # (H, W, 3) uint8, RGB
    words: list[Word] = field(default_factory=list)
    id: str = ""

    def scaled(self, height: int, width: int, image: np.ndarray) -> AnnotatedImage:
        """The same words on a smaller rendition `image` of a picture of height x width pixels."""
        factor = np.array([image.shape[1] / width, image.shape[0] / height], np.float32)
        words = [
            replace(
                word,
                polygon=None if word.polygon is None else word.polygon * factor,
                characters=None if word.characters is None else word.characters * factor,
            )
            for word in self.words
        ]
        return AnnotatedImage(image, words, self.id)


class Source(ABC):
    """A sequence of annotated images that can be read in any order by any number of workers.

    Attributes:
        fresh: whether indices past the end are new images, so that no epoch repeats another.
    """

    fresh: bool = False

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def read(self, index: int, needs: Needs | None = None) -> AnnotatedImage:
        """One annotated image.

        Args:
            index: which; the same index gives the same image in every process.
            needs: from height and width of a picture to those that the caller needs at least. A
                source that decodes files may then return the picture, and its polygons, smaller.
        """

    def __getitem__(self, index: int) -> AnnotatedImage:
        return self.read(index)

    def describe(self) -> str:
        """One line that names the data in records and model metadata."""
        return f"{type(self).__name__}({len(self)} images)"

    def fingerprint(self) -> str:
        """Changes where the images or labels behind the same arguments do."""
        return self.describe()


def make_word(text: object, polygon: object, ignore: bool, where: str) -> Word:
    """Check one label and build its word.

    Args:
        text: the transcription.
        polygon: flat list of x, y pairs in pixels, or None for a weak label.
        ignore: whether the region is left out of training and scoring.
        where: file and line, for the error message.

    Raises:
        DataError: text that is not a string, or a polygon that is not at least three points.
    """
    if not isinstance(text, str):
        raise DataError(f"{where}: text must be a string, found {text!r}")
    if polygon is None:
        return Word(text, None, ignore)
    try:
        points = np.asarray(polygon, dtype=np.float32)
    except (TypeError, ValueError):
        raise DataError(f"{where}: polygon must hold numbers, found {polygon!r}") from None
    if points.ndim != 1 or points.size < 6 or points.size % 2 or not np.isfinite(points).all():
        raise DataError(f"{where}: polygon must be a flat list of at least 3 x, y pairs")
    return Word(text, points.reshape(-1, 2), ignore)
