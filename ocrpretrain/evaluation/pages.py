"""How well the text of a page is read: Fox's word sets, and the edit distance of characters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median
from typing import Any, NamedTuple

from rapidfuzz.distance import Levenshtein

from ocrpretrain.evaluation.page_blocks import compare_block, summarize_blocks

EDGES = (0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 18, 20, 1e9)  # of compression ratios
COLLAPSED = 0.5  # a page whose 1 - NED is lower was not read


class PageAnswer(NamedTuple):
    """What one picture says.

    Attributes:
        id: of the picture.
        text: what is read.
        score: its confidence.
        truth: the text that the picture came with, if any.
        tokens: of the true text that the image shows, by the reader's tokenizer.
        cells: vision tokens, as papers count them.
        valid: of them those that show the page and not its padding (DeepSeek-OCR's equation 1).
        positions: of the decoder's sequence before it reads.
    """

    id: str
    text: str
    score: float
    truth: str
    tokens: int
    cells: int
    valid: int
    positions: int


@dataclass(frozen=True)
class PageScore:
    """One page.

    Attributes:
        precision: share of the distinct words that were read which stand on the page; None where
            nothing was read (nltk's). DeepSeek-OCR's paper calls this its precision.
        recall: share of the page's distinct words that were read; None of an empty page.
        f: their harmonic mean; None where one of them is.
        one_minus_ned: 1 - Levenshtein distance / length of the longer text, white space as single
            blanks.
        tokens: text tokens of the page, where they are known.
    """

    precision: float | None
    recall: float | None
    f: float | None
    one_minus_ned: float
    tokens: int = 0


def word_sets(prediction: str, truth: str) -> tuple[float | None, float | None, float | None]:
    """Fox's precision, recall and F of distinct words (Liu et al. 2024).

    Words are split at white space, with their case and punctuation. Its own script splits Chinese
    with jieba; here text without white space is one word.
    """
    read, wanted = set(prediction.split()), set(truth.split())
    both = len(read & wanted)
    precision = both / len(read) if read else None
    recall = both / len(wanted) if wanted else None
    if precision is None or recall is None:
        return precision, recall, None
    total = precision + recall
    return precision, recall, 2 * precision * recall / total if total else 0.0


def edit_distance(prediction: str, truth: str) -> float:
    """Fox's: Levenshtein distance of the raw texts / length of the longer one."""
    return Levenshtein.normalized_distance(prediction, truth)


def score_page(prediction: str, truth: str, tokens: int = 0) -> PageScore:
    """All scores of one page."""
    plain = (" ".join(text.split()) for text in (prediction, truth))
    return PageScore(
        *word_sets(prediction, truth), Levenshtein.normalized_similarity(*plain), tokens
    )


def score_of(page: PageScore, name: str) -> float | None:
    """One score; None where it does not exist.

    Precision and F of a page with words of which nothing was read are 0: silence is no skill.
    """
    value = getattr(page, name)
    return 0.0 if value is None and page.recall == 0 else value


def summarize(pages: Sequence[PageScore]) -> dict[str, float]:
    """Means over pages (those of word sets over pages where they exist), and how many collapsed."""
    ned = [page.one_minus_ned for page in pages]
    values: dict[str, float] = {"pages": len(pages)}
    for name in ("precision", "recall", "f"):
        found = [x for page in pages if (x := score_of(page, name)) is not None]
        values[name] = mean(found) if found else 0.0
    values["one_minus_ned"] = mean(ned) if ned else 0.0
    values["one_minus_ned_median"] = median(ned) if ned else 0.0
    values["collapsed"] = mean(value < COLLAPSED for value in ned) if ned else 0.0
    return values


def by_tokens(pages: Sequence[PageScore], edges: Sequence[int]) -> Mapping[str, dict[str, float]]:
    """Summaries of the pages between two edges each, the lower one included.

    Args:
        pages: with their tokens.
        edges: rising numbers of text tokens.
    """
    bins = {}
    for low, high in zip(edges, edges[1:], strict=False):
        found = [page for page in pages if low <= page.tokens < high]
        bins[f"{low}-{high}"] = {
            **summarize(found),
            "tokens": mean(page.tokens for page in found) if found else 0.0,
        }
    return bins


def summarize_answers(answers: Sequence[PageAnswer]) -> dict[str, float]:
    """`summarize`, and means of text tokens, vision tokens and positions over the pages.

    `text_edit` is OmniDocBench's distance with each page's whole text as one block.
    """
    scores = [score_page(answer.text, answer.truth, answer.tokens) for answer in answers]
    counts = {
        name: mean(getattr(answer, name) for answer in answers) if answers else 0.0
        for name in ("tokens", "cells", "valid", "positions")
    }
    blocks = [compare_block(str(i), one.text, one.truth) for i, one in enumerate(answers)]
    return {**summarize(scores), "text_edit": summarize_blocks(blocks)["page"], **counts}


def by_ratio(answers: Sequence[PageAnswer], cells: int | None = None) -> list[dict[str, float]]:
    """Summaries of pages of similar compression ratio, with its mean, lowest ratios first.

    Blank pages have nothing to compress, and who sees nothing reads them right: they are left out.

    Args:
        answers: of one set.
        cells: vision tokens in place of the reader's own, for a control that sees no image.
    """
    found, answers = [], [answer for answer in answers if answer.truth.strip()]
    for low, high in zip(EDGES, EDGES[1:], strict=False):
        ratios = [answer.tokens / (cells or answer.cells or 1) for answer in answers]
        kept = [pair for pair in zip(answers, ratios, strict=True) if low <= pair[1] < high]
        if kept:
            ratio = mean(ratio for _, ratio in kept)
            found.append({**summarize_answers([answer for answer, _ in kept]), "ratio": ratio})
    return found


def table(record: Mapping[str, Any]) -> str:
    """A Markdown table of one record: its sets."""
    head = ["set", "pages", "text tokens", "vision tokens", "valid", "positions", "1-NED", "median"]
    head += ["collapsed", "precision", "recall", "F", "text edit", "pages/s"]
    head += ["8-grams in training texts", "whole texts"]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for name, one in record["sets"].items():
        cells = [name, str(one["pages"])]
        cells += [f"{one[key]:.1f}" for key in ("tokens", "cells", "valid", "positions")]
        cells += [f"{one[key]:.3f}" for key in ("one_minus_ned", "one_minus_ned_median")]
        cells += [f"{100 * one[key]:.1f} %" for key in ("collapsed", "precision", "recall", "f")]
        cells.append(f"{one['text_edit']:.3f}")
        cells.append(f"{one['pages_per_second']:.1f}")
        known = f"{100 * one['overlap']:.2f} % of " if "overlap" in one else ""
        cells.append(known + str(one.get("overlap_runs", "–")))
        cells.append(f"{100 * one['known_texts']:.1f} %" if "known_texts" in one else "–")
        lines.append("| " + " | ".join(cells) + " |")
    left_out = ", ".join(f"{number} {name}" for name, number in record["counts"].items())
    return "\n".join(lines) + (f"\n{left_out}" if left_out else "")
