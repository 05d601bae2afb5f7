"""The usual test sets of word recognition: their names, and how many words they have."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ocrpretrain.data import Folder, LabelsFolder, SyntheticWords, Texts
from ocrpretrain.data.sources.base import Source
from ocrpretrain.errors import DataError

# Words after PARSeq's filter; two numbers where two versions are in use.
SIZES: dict[str, tuple[int, ...]] = {
    "IIIT5K": (3000,),
    "SVT": (647,),
    "IC13": (857, 1015),
    "IC15": (1811, 2077),
    "SVTP": (645,),
    "CUTE80": (288,),
    "COCO": (9825,),
    "ArT": (35149,),
    "Uber": (80551,),
    "HOST": (2416,),
    "WOST": (2416,),
}
RANDOM = "random"  # generated strings, which no language prior can guess
RANDOM_WORDS = 1000


@dataclass(frozen=True)
class WordSet:
    """A test set.

    Attributes:
        name: one of `SIZES` where it is one of those.
        source: its words.
        path: where it lies.
    """

    name: str
    source: Source
    path: str


def flag(name: str, words: int) -> str:
    """What is unusual about a set's number of words, or nothing."""
    usual = SIZES.get(name, (words,))
    return "" if words in usual else f"{words} words, usually {' or '.join(map(str, usual))}"


def open_set(spec: str) -> WordSet:
    """Open a set.

    Args:
        spec: `[NAME=]PATH[@LABEL]`: what `Folder` opens, by default named after the usual set whose
            name stands in that of the file, and with the label `text`; or 'random'.

    Raises:
        DataError: nothing there, or words that are not one per picture.
    """
    if spec == RANDOM:
        text = Texts(numbers=0.0, random=1.0)
        return WordSet(RANDOM, SyntheticWords(RANDOM_WORDS, seed=7, fresh=False, text=text), spec)
    name, _, rest = spec.rpartition("=")
    path, _, label = rest.partition("@")
    source = LabelsFolder(path, text=label) if label else Folder(path)
    return WordSet(name or usual_name(path), source, path)


def usual_name(path: str) -> str:
    """The usual set that a file's name speaks of, the longest match; else the file's stem."""
    stem = re.split(r"[/\\]", path.rstrip("/\\"))[-1].partition(".")[0]
    parts = re.split(r"[^a-z0-9]+", stem.lower())
    named = {"icdar2013": "IC13", "icdar2015": "IC15", "cute": "CUTE80", "iiit": "IIIT5K"}
    named |= {known.lower(): known for known in SIZES}
    found = [named[part] for part in parts if part in named]
    if len(found) > 1:
        raise DataError(f"{path}: is it {' or '.join(found)}? say NAME={path}")
    return found[0] if found else stem
