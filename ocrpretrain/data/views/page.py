"""The page view: the whole page and its text in reading order."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ocrpretrain.data.page_modes import MODES
from ocrpretrain.data.sources.base import AnnotatedImage, Word
from ocrpretrain.data.views.base import Resize, Sample, View
from ocrpretrain.errors import ConfigError, DataError

SAME_LINE = 0.5  # of the lower word's height is shared by neighbours in a line
NEAR = 3  # lines above which a word may still belong to: words come sorted by height


class PageView(View):
    """The whole page, and its text as the sample's one text.

    Lines are joined by newlines and words by blanks. Words stand in the order that the source gives
    if it gives one for all of them, else in lines from top to bottom and in each from left to
    right: then columns cannot be told apart, and the lines of two columns run together. A single
    text is the page's text, also without polygon; a blank page has an empty one. Several words of
    which some have neither polygon nor order cannot be placed: these are counted as cropped.

    Args:
        size: see `View`; left out where there is a mode.
        resize: see `View`; the mode's where there is one.
        mode: one of DeepSeek-OCR's ways to show a page: 'tiny', 'small', 'base', 'large', 'gundam',
            'gundam-m' (see `PageMode`).
        optical_share: share of the words that the image shows, the last ones; those before are
            erased from it and `given` as text.
        train: nothing is random here.

    Raises:
        ConfigError: an unknown mode, both or neither of size and mode, a share that is none.
    """

    def __init__(
        self,
        size: Sequence[int] | int | None = None,
        resize: Resize = "pad",
        mode: str | None = None,
        optical_share: float = 1.0,
        train: bool = True,
    ) -> None:
        if mode is not None and mode not in MODES:
            raise ConfigError(f"data.view.mode: one of {', '.join(MODES)}, found {mode!r}")
        if (size is None) == (mode is None):
            raise ConfigError("data.view of pages: give either size or mode")
        if not 0 <= optical_share <= 1:
            raise ConfigError(f"data.view.optical_share: 0 to 1, found {optical_share}")
        self.mode = None if mode is None else MODES[mode]
        self.optical_share = optical_share
        if self.mode is not None:
            size, resize = self.mode.size, self.mode.resize
        assert size is not None
        super().__init__(size, resize, train)

    def __call__(self, item: AnnotatedImage, seed: int) -> Sample:
        words = [word for word in item.words if not word.ignore]
        placed = words
        if len(words) > 1 and any(word.order is None for word in words):
            placed = [word for word in words if word.polygon is not None]
        lines = reading_order(placed)
        image, given = item.image, ""
        if self.optical_share < 1:
            image, given = self._split(item, lines)
        sample = self._show(image, _text(lines), item.id, seed, len(words) - len(placed))
        sample.given = given
        return sample

    def sizes(self) -> list[tuple[int, int]]:
        tile = self.mode.tile if self.mode is not None else 0
        return [self.size, (tile, tile)] if tile else [self.size]

    def needs(self, height: int, width: int) -> tuple[int, int]:
        """A page that is cut into tiles is needed as it is."""
        tiled = self.mode is not None and self.mode.tile
        return (height, width) if tiled else self.fitted(height, width)

    def _show(self, image: np.ndarray, text: str, id: str, seed: int, cropped: int) -> Sample:
        if self.mode is None:
            return self.whole(image, text, id, seed, cropped)
        whole, tiles, grid = self.mode.show(image)
        side = self.mode.size
        border = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float32)
        return Sample(whole, None, [text], [border], id, seed, cropped, tiles=tiles, grid=grid)

    def _split(self, item: AnnotatedImage, lines: list[list[Word]]) -> tuple[np.ndarray, str]:
        """The image without its first words, and these as text."""
        words = [word for line in lines for word in line]
        left = round((1 - self.optical_share) * len(words))
        whole = len(words) == 1 and len(words[0].text.split()) > 1
        if whole or any(word.polygon is None for word in words):
            raise DataError(f"{item.id}: optical_share needs polygons of a page's words")
        given: list[list[Word]] = []
        for line in lines:
            given.append(line[: max(0, left - sum(map(len, given)))])
        return _erase(item.image, words[:left]), _text([line for line in given if line])


def reading_order(words: Sequence[Word]) -> list[list[Word]]:
    """Words as lines, by their `order` if all have one, else by their places; see `PageView`.

    Args:
        words: if several, all with an order or all with a polygon.
    """
    if len(words) < 2:
        return [list(words)]
    if all(word.order is not None for word in words):
        return _ordered_lines(sorted(words, key=lambda word: word.order or 0))
    lines: list[list[Word]] = []
    for word in sorted(words, key=_middle):
        near = [line for line in lines[-NEAR:] if _share_line(line[-1], word)]
        if near:
            near[-1].append(word)
        else:
            lines.append([word])
    return [sorted(line, key=lambda word: float(word.outline[:, 0].min())) for line in lines]


def _text(lines: Sequence[Sequence[Word]]) -> str:
    return "\n".join(" ".join(word.text for word in line) for line in lines)


def _erase(image: np.ndarray, words: Sequence[Word]) -> np.ndarray:
    """The image with words painted over in the median colour around each: that of the paper."""
    image = image.copy()
    for word in words:
        x, y, width, height = cv2.boundingRect(word.outline.astype(np.float32))
        near = image[max(0, y - 2) : y + height + 2, max(0, x - 2) : x + width + 2]
        if near.size:
            paper = np.median(near.reshape(-1, 3), 0)
            cv2.fillPoly(image, [np.round(word.outline).astype(np.int32)], paper.tolist())
    return image


def _middle(word: Word) -> float:
    return float(word.outline[:, 1].mean())


def _ordered_lines(words: list[Word]) -> list[list[Word]]:
    """A line ends where the next word is not beside the last one, or lies to its left."""
    lines = [[words[0]]]
    for last, word in zip(words, words[1:], strict=False):
        if last.polygon is None or word.polygon is None or _follows(last, word):
            lines[-1].append(word)
        else:
            lines.append([word])
    return lines


def _follows(last: Word, word: Word) -> bool:
    onwards = word.outline[:, 0].mean() > last.outline[:, 0].mean()
    return bool(onwards) and _share_line(last, word)


def _share_line(a: Word, b: Word) -> bool:
    (low_a, high_a), (low_b, high_b) = (
        (word.outline[:, 1].min(), word.outline[:, 1].max()) for word in (a, b)
    )
    shared = min(high_a, high_b) - max(low_a, low_b)
    return bool(shared >= SAME_LINE * min(high_a - low_a, high_b - low_b))
