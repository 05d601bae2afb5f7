"""Texts without pictures, for decoders that learn a language before they see a page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ocrpretrain.data.sources.base import AnnotatedImage, Word
from ocrpretrain.data.synthesis.base import Generator
from ocrpretrain.data.synthesis.texts import Texts
from ocrpretrain.errors import ConfigError


class PlainTexts(Generator):
    """Runs of words of paragraphs on empty pages, which cost nothing to draw.

    Args:
        length: texts per epoch.
        words: least and most words of a text.
        seed: see `Generator`.
        fresh: see `Generator`.
        text: see `Generator`.

    Raises:
        ConfigError: an empty range.
    """

    kind = "texts"

    def __init__(
        self,
        length: int,
        words: Sequence[int] = (20, 200),
        seed: int = 0,
        fresh: bool = True,
        text: Texts | None = None,
    ) -> None:
        super().__init__(length, seed, fresh, text, None, None)
        if not 1 <= words[0] <= words[1]:
            raise ConfigError(f"PlainTexts: words {words}")
        self.words = int(words[0]), int(words[1])

    def draw(self, rng: np.random.Generator) -> AnnotatedImage:
        language, words = self.text.draw_language(rng), []
        count = int(rng.integers(self.words[0], self.words[1] + 1))
        while len(words) < count:
            words += self.text.draw_paragraph(rng, language)
        text = " ".join(words[:count])
        return AnnotatedImage(np.full((1, 1, 3), 255, np.uint8), [Word(text, language=language)])
