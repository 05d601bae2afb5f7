"""Word images cut from the images of another source, one for each word that can be cut."""

from __future__ import annotations

import numpy as np

from ocrpretrain.data.rectify import croppable, cut_word
from ocrpretrain.data.sources.base import AnnotatedImage, Needs, Source, Word
from ocrpretrain.data.sources.listed import ListedImages
from ocrpretrain.data.transforms import resize
from ocrpretrain.errors import DataError


class WordCrops(Source):
    """The legible words with polygons of a source of scenes, each as an image of its own.

    The last image is kept, so that reading the words in order decodes each image once.

    Args:
        source: where to cut; a finite one.
        rectify: turn and straighten each word by its polygon; False cuts its bounding box out.
        height: crops that are higher are shrunk to this many pixels; None keeps them as they are.

    Raises:
        DataError: a source that draws new images in every epoch, or without any such word.
    """

    def __init__(self, source: Source, rectify: bool = True, height: int | None = None) -> None:
        if source.fresh:
            raise DataError(
                f"{source.describe()}: draws new images every epoch, so its words are endless; "
                "set fresh=False"
            )
        self.source, self.rectify, self.height = source, rectify, height
        self.places = [
            (index, place)
            for index in range(len(source))
            for place in croppable(_words(source, index))
        ]
        self._last: tuple[int, AnnotatedImage] | None = None
        if not self.places:
            raise DataError(f"{source.describe()}: holds no legible word with a polygon")

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_last": None}  # the picture does not travel to workers

    def __len__(self) -> int:
        return len(self.places)

    def read(self, index: int, needs: Needs | None = None) -> AnnotatedImage:
        """One word, with the border of the crop as its polygon.

        Raises:
            DataError: a word outside its image.
        """
        where, place = self.places[index]
        if self._last is None or self._last[0] != where:
            self._last = (where, self.source.read(where))
        item = self._last[1]
        word = item.words[place]
        crop = cut_word(item.image, word.outline, word.text, self.rectify)
        height, width = crop.shape[:2]
        if self.height is not None and height > self.height:
            height, width = self.height, max(1, round(width * self.height / height))
        # Contiguous, and no view that would keep the whole picture in memory.
        crop = resize(crop, height, width) if crop.shape[0] != height else crop.copy()
        border = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        label = Word(word.text, border, language=word.language)
        return AnnotatedImage(crop, [label], f"{item.id}#{place}")

    def describe(self) -> str:
        way = "rectified" if self.rectify else "boxes"
        return f"{self.source.describe()}, {len(self)} words ({way})"

    def fingerprint(self) -> str:
        return f"{self.describe()} height {self.height} {self.source.fingerprint()}"


def _words(source: Source, index: int) -> list[Word]:
    """The words of an image, without decoding it in full where the source can do without."""
    if isinstance(source, ListedImages):
        words = source.items[index][1]
        return [Word(words, np.zeros((4, 2)))] if isinstance(words, str) else words
    return source.read(index, needs=lambda height, width: (1, 1)).words
