"""Words of the generator: English words, numbers, prices, dates, codes and random strings."""

from __future__ import annotations

import re
import string
from functools import lru_cache

import numpy as np

LETTERS = string.ascii_lowercase
CODE = string.ascii_uppercase + string.digits


@lru_cache
def english_words() -> tuple[str, ...]:
    """Distinct words of 2 to 12 letters from the prose that ships with Python."""
    from pydoc_data.topics import topics

    found = set(re.findall(r"\b[a-z]{2,12}\b", " ".join(topics.values()).lower()))
    return tuple(sorted(found))


NUMBERS = 0.12  # share of numbers, prices, dates and codes


def draw_word(rng: np.random.Generator, random_text: float = 0.18) -> str:
    """One word; the shares follow the real word sets (about half in capitals, a tenth digits).

    Args:
        rng: source of randomness.
        random_text: share of random strings, whose masked letter no language prior can guess.
    """
    kind = rng.random()
    if kind < NUMBERS:
        return _number(rng)
    if kind < NUMBERS + random_text:
        word = "".join(rng.choice(list(LETTERS), rng.integers(2, 9)))
    else:
        words = english_words()
        word = words[rng.integers(len(words))]
    case = rng.random()
    if case < 0.5:
        word = word.upper()
    elif case < 0.75:
        word = word.capitalize()
    if rng.random() < 0.06:
        word += str(rng.choice(list(".,!?:")))
    return word


def _number(rng: np.random.Generator) -> str:
    a, b = rng.integers(0, 100, 2)
    return str(
        rng.choice(
            [
                f"{rng.integers(0, 10 ** rng.integers(1, 5))}",
                f"${a}.{b:02d}",
                f"{a}%",
                f"{a % 24}:{b % 60:02d}",
                f"{a % 28 + 1:02d}/{b % 12 + 1:02d}/{rng.integers(1990, 2030)}",
                f"{b:02d}-{a:02d}",
                "".join(rng.choice(list(CODE), rng.integers(3, 8))),
            ]
        )
    )
