"""The page view: the whole page and its text in reading order."""

from __future__ import annotations

from collections.abc import Sequence

from ocrpretrain.data.sources.base import AnnotatedImage, Word
from ocrpretrain.data.views.base import Resize, Sample, View

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
        size: see `View`.
        resize: see `View`.
        train: nothing is random here.
    """

    def __init__(
        self, size: Sequence[int] | int, resize: Resize = "pad", train: bool = True
    ) -> None:
        super().__init__(size, resize, train)

    def __call__(self, item: AnnotatedImage, seed: int) -> Sample:
        words = [word for word in item.words if not word.ignore]
        placed = words
        if len(words) > 1 and any(word.order is None for word in words):
            placed = [word for word in words if word.polygon is not None]
        text = "\n".join(" ".join(word.text for word in line) for line in reading_order(placed))
        return self.whole(item.image, text, item.id, seed, len(words) - len(placed))


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
