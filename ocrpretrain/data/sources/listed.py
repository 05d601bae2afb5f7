"""What sources of image files share: a store, and a list of names with their words."""

from __future__ import annotations

import numpy as np

from ocrpretrain.data.sources.base import AnnotatedImage, Needs, Source, Word
from ocrpretrain.data.sources.files import FileStore, decode


class ListedImages(Source):
    """Images of a file store; a subclass fills both attributes.

    Attributes:
        store: where the files are.
        items: name and words of each image, or the one text that a whole image shows.
    """

    store: FileStore
    items: list[tuple[str, list[Word] | str]]

    def __len__(self) -> int:
        return len(self.items)

    def read(self, index: int, needs: Needs | None = None) -> AnnotatedImage:
        name, words = self.items[index]
        return annotate(self.store.read(name), words, f"{self.store.root}: {name!r}", name, needs)

    def describe(self) -> str:
        return f"{self.store.root.name} ({len(self)} images)"

    def fingerprint(self) -> str:
        return f"{self.describe()} {self.store.fingerprint()}"


def annotate(
    data: bytes, words: list[Word] | str, where: str, name: str, needs: Needs | None
) -> AnnotatedImage:
    """Decode a file of a picture, shrunk if allowed, and put its words on it; see `Source.read`."""
    image, height, width = decode(data, where, needs)
    if isinstance(words, str):
        border = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        words = [Word(words, border)]
    item = AnnotatedImage(image, words, name)
    return item if image.shape[:2] == (height, width) else item.scaled(height, width, image)
