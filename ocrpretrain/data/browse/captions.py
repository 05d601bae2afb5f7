"""How numbers and untrusted text are shown, and which words stand below a picture."""

from __future__ import annotations

from html import escape

from ocrpretrain.data.sources.base import AnnotatedImage, Word


def short(value: float) -> str:
    """A number with three digits, or all that stand before the point."""
    return f"{value:.0f}" if 100 <= abs(value) < 1e6 else f"{value:.3g}"


def visible(text: str) -> str:
    """Text that is safe to show: line ends, controls and half characters become escapes."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def glyph(char: str) -> str:
    """One character, or a sign for the blank."""
    return "␣" if char == " " else visible(char)


def as_html(text: str) -> str:
    """`visible` text, of which no character is markup, also not inside of an attribute."""
    return escape(visible(text))


def below(item: AnnotatedImage) -> list[Word]:
    """The words that cannot be written beside their place: they have none, or fill the image."""
    return [word for word in item.words if word.polygon is None or _fills(word, item)]


def _fills(word: Word, item: AnnotatedImage) -> bool:
    assert word.polygon is not None
    height, width = item.image.shape[:2]
    spans = word.polygon.max(0) - word.polygon.min(0)
    return bool((spans >= (0.95 * width, 0.95 * height)).all())
