"""The usual test sets of word recognition: their names, and how many words they have."""

from __future__ import annotations

import re

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


def flag(name: str, words: int) -> str:
    """What is unusual about a set's number of words, or nothing."""
    usual = SIZES.get(name, (words,))
    return "" if words in usual else f"{words} words, usually {' or '.join(map(str, usual))}"


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
