"""Test sets of words as users name them."""

from __future__ import annotations

from dataclasses import dataclass

from ocrpretrain.data import Folder, LabelsFolder, SyntheticWords, Texts
from ocrpretrain.data.sources.base import Source
from ocrpretrain.evaluation.word_sets import RANDOM, usual_name

RANDOM_WORDS = 1000


@dataclass(frozen=True)
class WordSet:
    """A test set.

    Attributes:
        name: one of `SIZES` where it is one of those.
        source: its words.
    """

    name: str
    source: Source


def open_set(spec: str) -> WordSet:
    """Open a set.

    Args:
        spec: `[NAME=]PATH[@LABEL]`: what `Folder` opens, by default named after the usual set whose
            name stands in that of the file, and with the label `text`; or 'random'.

    Raises:
        DataError: nothing there.
    """
    if spec == RANDOM:
        text = Texts(numbers=0.0, random=1.0)
        return WordSet(RANDOM, SyntheticWords(RANDOM_WORDS, seed=7, fresh=False, text=text))
    name, _, rest = spec.rpartition("=")
    path, _, label = rest.partition("@")
    source = LabelsFolder(path, text=label) if label else Folder(path)
    return WordSet(name or usual_name(path), source)
