"""Word accuracy and 1-NED by the common protocol (PARSeq's), over 36, 62 or 94 characters.

Label and prediction are compared after `normalize`: white space is removed, NFKD splits accents off
and what is not ASCII then is dropped (É counts as E), 36 characters compare in lower case, and what
is outside the character set is dropped. A word whose label has more than 25 ASCII characters, or
none of the set, is left out and counted.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

from ocrpretrain.data.charset import Charset

PROTOCOLS = (36, 62, 94)
MAX_LENGTH = 25


@dataclass(frozen=True)
class WordCounts:
    """Of one set of words or of many.

    Attributes:
        correct: words that are read without a mistake.
        similarity: sum over words of 1 - Levenshtein distance / length of the longer string.
        words: that count.
        left_out: labels that are too long or have no character of the set.
    """

    correct: int = 0
    similarity: float = 0.0
    words: int = 0
    left_out: int = 0

    def __add__(self, other: WordCounts) -> WordCounts:
        return WordCounts(
            self.correct + other.correct,
            self.similarity + other.similarity,
            self.words + other.words,
            self.left_out + other.left_out,
        )

    @property
    def accuracy(self) -> float:
        return self.correct / self.words if self.words else 0.0

    @property
    def one_minus_ned(self) -> float:
        return self.similarity / self.words if self.words else 0.0

    def metrics(self) -> dict[str, float | int]:
        """Shares and counts."""
        return {
            "accuracy": self.accuracy,
            "one_minus_ned": self.one_minus_ned,
            "words": self.words,
            "left_out": self.left_out,
        }


def normalize(text: str, charset: Charset) -> str:
    """What of a text is compared; see the module. Accents stay where the set is not ASCII."""
    return charset.filter(_plain(text, charset))


def _plain(text: str, charset: Charset) -> str:
    text = "".join(text.split())
    if not charset.characters.isascii():
        return text
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def compare(prediction: str, label: str, charset: Charset) -> WordCounts:
    """The counts of one word."""
    plain = _plain(label, charset)
    wanted = charset.filter(plain)
    if not wanted or len(plain) > MAX_LENGTH:
        return WordCounts(left_out=1)
    found = normalize(prediction, charset)
    return WordCounts(int(found == wanted), Levenshtein.normalized_similarity(found, wanted), 1)


def count(pairs: Iterable[tuple[str, str]], characters: int = 36) -> WordCounts:
    """Counts over (prediction, label) pairs.

    Args:
        pairs: what was read and what it says.
        characters: 36, 62 or 94.
    """
    charset = Charset.load(characters)
    return sum((compare(*pair, charset) for pair in pairs), WordCounts())
