"""Evaluates a reader file and says how it did: what `tools/evaluate.py` prints."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ocrpretrain.errors import ConfigError
from ocrpretrain.evaluation.pages import table as page_table
from ocrpretrain.evaluation.word_scores import table as word_table
from ocrpretrain.reading.evaluate import evaluate_words
from ocrpretrain.reading.evaluate_pages import evaluate_pages

PathLike = str | os.PathLike[str]


def report(
    weights: PathLike,
    words: Sequence[str] | None,
    pages: Sequence[str] | None,
    results: PathLike,
    experiment: str | None,
    upright: bool,
) -> str:
    """A Markdown table of the record that was appended to the results.

    Raises:
        ConfigError: not one of words and pages, or an option of words for pages.
    """
    if words and not pages:
        return word_table(evaluate_words(weights, words, results, experiment, upright))
    if pages and not words and not upright:
        return page_table(evaluate_pages(weights, pages, results, experiment))
    raise ConfigError(
        "a reader file is evaluated on --words SET ... (with --upright) or --pages SET ..."
    )
