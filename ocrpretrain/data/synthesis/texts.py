"""What the generator writes: words by frequency, numbers, dates, codes, random strings, prose."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from ocrpretrain.errors import ConfigError, DataError

LEXICONS = Path(__file__).with_name("lexicons")
CODE = string.ascii_uppercase + string.digits
MARKS = ".,!?:;"
UNITS = ("st", "nd", "rd", "th", "km", "kg", "m", "L")
PageText = Literal["natural", "shuffled", "letters", "words"]
HELD_BACK = 5  # every fifth paragraph is a test text
RUN = 8  # words that a test text may not share with a training text


class Texts:
    """Draws words and paragraphs.

    Args:
        language: code, or several, of the packaged lexicons: en, de, fr, es, ru, el, ar.
        corpus: UTF-8 text file to take words and prose from instead of lexicon and packaged prose.
        numbers: share of numbers, prices, dates, times, codes and addresses among the words.
        random: share of random strings, which no language prior can guess.
        flatten: exponent of the word frequencies. 1 is running text, where 3,000 words hold 1,680
            distinct ones of 4.6 characters; signs repeat less: IIIT5K has 1,873 of 5.3.
        capitals: share of signs all in capitals; most others get first capitals.
        page: 'natural' prose, the same words 'shuffled', or their letters at random ('letters'):
            three texts of the same lengths that tell a reader's language prior from its sight.
            'words' draws by frequency, without end: nothing to learn by heart.
        part: of the prose's paragraphs: 'train' leaves every fifth out, of which 'test' has those
            that repeat no eight words of it; None has all. Readers of pages are to be tested on
            texts that they were not trained on.

    Raises:
        ConfigError: an unknown language, or shares that are none.
        DataError: a corpus without words.
    """

    def __init__(
        self,
        language: str | Sequence[str] = "en",
        corpus: str | None = None,
        numbers: float = 0.1,
        random: float = 0.05,
        flatten: float = 0.85,
        capitals: float = 0.5,
        page: PageText = "natural",
        part: Literal["train", "test"] | None = None,
    ) -> None:
        self.languages = (language,) if isinstance(language, str) else tuple(language)
        known = sorted(path.stem for path in LEXICONS.glob("*.tsv"))
        unknown = set(self.languages) - set(known)
        if unknown or not self.languages:
            raise ConfigError(f"Texts: no lexicon for {sorted(unknown)}; there is {known}")
        if not (0 <= numbers and 0 <= random and numbers + random <= 1 and 0 <= capitals <= 1):
            raise ConfigError(f"Texts: numbers {numbers}, random {random}, capitals {capitals}")
        if page not in get_args(PageText) or part not in ("train", "test", None):
            known = ", ".join(get_args(PageText))
            raise ConfigError(
                f"Texts: page is {known}, found {page!r}; part train or test: {part!r}"
            )
        self.corpus, self.page, self.part, self.flatten = corpus, page, part, flatten
        self.numbers, self.random, self.capitals = numbers, random, capitals
        for name in self.languages:  # a bad corpus is an error before workers start
            if not _letters(corpus, name):
                raise DataError(f"corpus {corpus}: holds no letters to make random strings of")
        if not _part(corpus, part):
            raise DataError(f"corpus {corpus}: too few paragraphs for a part {part!r}")

    def describe(self) -> str:
        """One line for records; equal lines draw equal texts."""
        source = Path(self.corpus).name if self.corpus else "lexicon"
        return (
            f"{'+'.join(self.languages)} {source} numbers {self.numbers:g} random {self.random:g} "
            f"flatten {self.flatten:g} capitals {self.capitals:g} page {self.page}"
            + (f" part {self.part}" if self.part else "")
        )

    def alphabet(self, language: str) -> str:
        """Every character that texts of a language may hold, blanks left out."""
        return _alphabet(self.corpus, language)

    def draw_language(self, rng: np.random.Generator) -> str:
        return self.languages[rng.integers(len(self.languages))]

    def draw_case(self, rng: np.random.Generator) -> Callable[[str], str]:
        """How the words of one sign are written: all capitals, first capital, or as they are."""
        kind = rng.random()
        if kind < self.capitals:
            return str.upper
        return _first_capital if kind < self.capitals + 0.65 * (1 - self.capitals) else str

    def draw_word(self, rng: np.random.Generator, language: str = "en") -> str:
        """One word, still in the case of its source."""
        kind = rng.random()
        if kind < self.numbers:
            return NUMBERS[rng.integers(len(NUMBERS))](rng)
        word = self._draw(rng, language)
        if kind < self.numbers + self.random:
            word = self._random(rng, language, max(2, len(word)))
        if rng.random() < 0.04:
            word += MARKS[rng.integers(len(MARKS))]
        return word

    def draw_paragraph(self, rng: np.random.Generator, language: str = "en") -> list[str]:
        """The words of one paragraph, in the order that `page` asks for.

        There is packaged prose in English only: elsewhere, and without a corpus, a paragraph is
        words by frequency, which have no grammar.
        """
        if self.page != "words" and (self.corpus or language == "en"):
            prose = _part(self.corpus, self.part)
            words = list(prose[rng.integers(len(prose))])
        else:
            words = [self._draw(rng, language) for _ in range(rng.integers(15, 80))]
        if self.page == "shuffled":
            return [words[place] for place in rng.permutation(len(words))]
        if self.page == "letters":
            return [self._random(rng, language, len(word)) for word in words]
        return words

    def _draw(self, rng: np.random.Generator, language: str) -> str:
        words, cumulative = self._lexicon(language)
        return words[np.searchsorted(cumulative, rng.random())]

    def _random(self, rng: np.random.Generator, language: str, length: int) -> str:
        letters = _letters(self.corpus, language)  # what the fonts are known to draw
        return "".join(letters[place] for place in rng.integers(len(letters), size=length))

    def _lexicon(self, language: str) -> tuple[tuple[str, ...], np.ndarray]:
        return _corpus_words(self.corpus) if self.corpus else _lexicon(language, self.flatten)


def _first_capital(word: str) -> str:
    return word[:1].upper() + word[1:]


@lru_cache
def _lexicon(language: str, flatten: float) -> tuple[tuple[str, ...], np.ndarray]:
    lines = (LEXICONS / f"{language}.tsv").read_text("utf-8").splitlines()
    words, zipf = zip(*(line.split("\t") for line in lines), strict=True)
    weights = np.cumsum(10.0 ** (flatten * np.array(zipf, float)))
    return words, weights / weights[-1]


def _words(corpus: str | None, language: str) -> tuple[str, ...]:
    return _corpus_words(corpus)[0] if corpus else _lexicon(language, 0.0)[0]


@lru_cache
def _alphabet(corpus: str | None, language: str) -> str:
    words = _words(corpus, language)
    letters = {char for word in words for char in word + word.upper() + word.lower()}
    return "".join(sorted(letters | set(map(chr, range(33, 127)))))


@lru_cache
def _letters(corpus: str | None, language: str) -> str:
    words = _words(corpus, language)
    return "".join(sorted({char for word in words for char in word.lower() if char.isalpha()}))


@lru_cache
def _prose(corpus: str | None) -> tuple[tuple[str, ...], ...]:
    """Paragraphs as words: of a file, else the packaged ones."""
    try:
        text = Path(corpus or LEXICONS / "prose.txt").read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"corpus {corpus}: {error}") from None
    blocks = re.split(r"\n\s*\n", re.sub("[*`]", "", text))
    return tuple(words for block in blocks if (words := tuple(block.split())))


@lru_cache
@lru_cache
def _part(corpus: str | None, part: str | None) -> tuple[tuple[str, ...], ...]:
    """The paragraphs of a part of the prose; test ones repeat no eight words of training ones."""
    prose = _prose(corpus)
    if part is None:
        return tuple(prose)
    training = [words for place, words in enumerate(prose) if place % HELD_BACK]
    if part == "train":
        return tuple(training)
    known = {run for words in training for run in word_runs(words)}
    return tuple(words for words in prose[::HELD_BACK] if known.isdisjoint(word_runs(words)))


def word_runs(words: Sequence[str], length: int = RUN) -> set[tuple[str, ...]]:
    """All runs of so many words; a shorter text has none."""
    return {tuple(words[start : start + length]) for start in range(len(words) - length + 1)}


@lru_cache
def _corpus_words(corpus: str) -> tuple[tuple[str, ...], np.ndarray]:
    words = tuple(word for paragraph in _prose(corpus) for word in paragraph)
    if not words:
        raise DataError(f"corpus {corpus}: holds no words")
    return words, np.arange(1, len(words) + 1) / len(words)


def _digits(rng: np.random.Generator, low: int = 1, high: int = 5) -> str:
    return str(rng.integers(0, 10 ** rng.integers(low, high + 1)))


def _price(rng: np.random.Generator) -> str:
    value = (
        f"{rng.integers(1, 500)}.{rng.choice(['00', '50', '95', '99', str(rng.integers(10, 99))])}"
    )
    return f"${value}" if rng.random() < 0.6 else value


def _date(rng: np.random.Generator) -> str:
    day, month, year = rng.integers(1, 29), rng.integers(1, 13), rng.integers(1950, 2031)
    mark = "/-."[rng.integers(3)]
    return f"{day:02d}{mark}{month:02d}{mark}{year if rng.random() < 0.6 else f'{year % 100:02d}'}"


def _time(rng: np.random.Generator) -> str:
    hour, minute = rng.integers(0, 24), 5 * rng.integers(0, 12)
    return (
        f"{hour}:{minute:02d}"
        if rng.random() < 0.7
        else f"{hour % 12 + 1}{rng.choice(['am', 'pm'])}"
    )


def _code(rng: np.random.Generator) -> str:
    text = "".join(CODE[place] for place in rng.integers(len(CODE), size=rng.integers(3, 9)))
    cut = rng.integers(1, len(text))
    return f"{text[:cut]}-{text[cut:]}" if rng.random() < 0.3 else text


def _phone(rng: np.random.Generator) -> str:
    groups = rng.integers(2, 4)
    return "-".join(f"{rng.integers(100, 10000)}" for _ in range(groups))


def _address(rng: np.random.Generator) -> str:
    words, cumulative = _lexicon("en", 0.5)
    name, host = (words[np.searchsorted(cumulative, rng.random())] for _ in range(2))
    tail = rng.choice(["com", "org", "net", "de", "co.uk"])
    return str(rng.choice([f"www.{host}.{tail}", f"{host}.{tail}", f"{name}@{host}.{tail}"]))


NUMBERS: tuple[Callable[[np.random.Generator], str], ...] = (
    _digits, _digits, _digits, _price, _date, _time, _code, _code, _phone, _address,
    lambda rng: f"{rng.integers(1, 101)}%",
    lambda rng: str(rng.integers(1850, 2031)),
    lambda rng: f"#{rng.integers(1, 1000)}",
    lambda rng: f"{rng.integers(1, 100)}{UNITS[rng.integers(len(UNITS))]}",
)  # fmt: skip
