"""What a source holds, counted image by image."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np

from ocrpretrain.data.browse.measures import measure
from ocrpretrain.data.charset import Charset
from ocrpretrain.data.sources.base import AnnotatedImage


@dataclass
class Statistics:
    """Counts over images. Texts and shapes are those of legible words: not to be ignored.

    Attributes:
        name: the source's own description.
        available: number of images of the source; None where it is endless.
        charset: what characters are looked for in.
        images: number of images counted.
        errors: one message per image that could not be read.
        copies: names of an image and of an earlier one with the same pixels.
        words: all words, ignored ones too.
        ignored: words that are neither trained on nor scored.
        weak: words without polygon, ignored or not.
        empty: images without a legible word.
        flat: polygons of legible words without area; they have no size or angle.
        outside: polygons of legible words that leave the image by more than a pixel.
        texts: how often each text occurs.
        languages: number of legible words in each language.
        values: what was measured, by the keys of `measures.QUANTITIES`.
    """

    name: str
    available: int | None
    charset: Charset
    images: int = 0
    errors: list[str] = field(default_factory=list)
    copies: list[tuple[str, str]] = field(default_factory=list)
    words: int = 0
    ignored: int = 0
    weak: int = 0
    empty: int = 0
    flat: int = 0
    outside: int = 0
    texts: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    values: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    _seen: dict[bytes, str] = field(default_factory=dict, repr=False)

    def add(self, item: AnnotatedImage) -> None:
        """Count one image and its words."""
        height, width = item.image.shape[:2]
        self._find_copy(item)
        legible = [word for word in item.words if not word.ignore]
        self.images += 1
        self.words += len(item.words)
        self.ignored += len(item.words) - len(legible)
        self.weak += sum(word.polygon is None for word in item.words)
        self.empty += not legible
        self.texts.update(word.text for word in legible)
        self.languages.update(word.language or "not given" for word in legible)
        self._append(image_height=height, image_width=width, words_per_image=len(item.words))
        for word in legible:
            self._append(length=len(word.text))
            if word.polygon is not None:
                self._add_polygon(word.polygon, height, width)

    def _find_copy(self, item: AnnotatedImage) -> None:
        pixels = blake2b(item.image.tobytes(), digest_size=16)
        pixels.update(repr(item.image.shape).encode())
        first = self._seen.get(pixels.digest())
        if first is None:
            self._seen[pixels.digest()] = item.id
        else:
            self.copies.append((item.id, first))

    def _add_polygon(self, polygon: np.ndarray, height: int, width: int) -> None:
        self._append(points=len(polygon))
        self.outside += bool((polygon < -1).any() or (polygon > (width + 1, height + 1)).any())
        long, high, angle = measure(polygon)
        if not long * high:
            self.flat += 1
            return
        self._append(height=high, width=long, aspect=long / high, angle=angle)
        self._append(height_share=100 * high / height, width_share=100 * long / width)

    def _append(self, **values: float) -> None:
        for key, value in values.items():
            self.values[key].append(value)

    @property
    def legible(self) -> int:
        """Number of words that are not ignored."""
        return self.words - self.ignored

    @property
    def characters(self) -> Counter[str]:
        """How often each character occurs in legible words."""
        found: Counter[str] = Counter()
        for text, count in self.texts.items():
            for char in text:
                found[char] += count
        return found

    @property
    def unknown(self) -> Counter[str]:
        """The characters that are not in the charset; blanks count as characters."""
        found = self.characters
        return Counter({char: n for char, n in found.items() if not self.charset.filter(char)})

    def count(self, test: Callable[[str], bool]) -> int:
        """Number of legible words whose text passes a test."""
        return sum(count for text, count in self.texts.items() if test(text))
