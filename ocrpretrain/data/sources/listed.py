"""What sources of image files share: a store, and a list of names with their words."""

from __future__ import annotations

from ocrpretrain.data.sources.base import AnnotatedImage, Source, Word
from ocrpretrain.data.sources.files import FileStore


class ListedImages(Source):
    """Images of a file store; a subclass fills both attributes.

    Attributes:
        store: where the files are.
        items: name and words of each image.
    """

    store: FileStore
    items: list[tuple[str, list[Word]]]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> AnnotatedImage:
        name, words = self.items[index]
        return AnnotatedImage(self.store.read_image(name), words, name)

    def describe(self) -> str:
        return f"{self.store.root.name} ({len(self)} images)"

    def fingerprint(self) -> str:
        return f"{self.describe()} {self.store.fingerprint()}"
