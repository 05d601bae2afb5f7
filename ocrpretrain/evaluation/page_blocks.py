"""OmniDocBench's edit distance of text blocks (Ouyang et al. 2025): letters and digits alone count.

Blocks are matched before; here each prediction comes with the text it is compared with.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import mean

from pylatexenc.latex2text import LatexNodes2Text
from pylatexenc.latexwalker import LatexWalkerError
from rapidfuzz.distance import Levenshtein

FORMULA = re.compile(r"\$(.*?)\$|\\\((.*?)\\\)")
# Written as two characters they are taken out too, so that 'and/then' becomes 'andhen'.
BREAKS = ("\\t", "\\n", "\t", "\n", "/t", "/n")


@dataclass(frozen=True)
class Block:
    """One text block.

    Attributes:
        page: the block's page.
        edits: Levenshtein distance of the plain texts.
        length: of the longer plain text.
    """

    page: str
    edits: int
    length: int

    @property
    def distance(self) -> float:
        return self.edits / self.length if self.length else 0.0


def plain(text: str) -> str:
    """What of a text counts: inline formulas as Unicode, then word characters alone.

    A text of which nothing is left counts as it is.
    """
    kept = FORMULA.sub(_formula, text)
    for mark in BREAKS:
        kept = kept.replace(mark, "")
    return re.sub(r"[^\w\u4e00-\u9fff]", "", kept) or text


def _formula(match: re.Match[str]) -> str:
    """An inline formula with commands, powers or indices as Unicode; others stay."""
    content = match[1] if match[1] is not None else match[2]
    content = re.sub(r"\\([\\_&%^])", "", content)
    if not set(content) & set("\\^_"):
        return match[0]
    content += " " if content.endswith("\\") else ""
    try:
        return LatexNodes2Text().latex_to_text(content).strip()
    except LatexWalkerError:  # no formula; it stays as it is
        return match[0]


def compare_block(page: str, prediction: str, truth: str) -> Block:
    """The edits of one block; `page` is the name of an image, or that with `_` and a number."""
    read, wanted = plain(prediction), plain(truth)
    name = page if page.endswith((".jpg", ".png")) else page.rpartition("_")[0] or page
    return Block(name, Levenshtein.distance(read, wanted), max(len(read), len(wanted)))


def summarize_blocks(blocks: Iterable[Block]) -> dict[str, float]:
    """Mean over pages of edits / length (the published number), of all together, and of blocks.

    Args:
        blocks: of any pages.

    Returns:
        `page`, `whole` and `block`.
    """
    pages: dict[str, list[Block]] = {}
    for block in blocks:
        pages.setdefault(block.page, []).append(block)
    every = [block for found in pages.values() for block in found]
    if not every:
        return {"page": 0.0, "whole": 0.0, "block": 0.0}
    return {
        "page": mean(_together(found) for found in pages.values()),
        "whole": _together(every),
        "block": mean(block.distance for block in every),
    }


def _together(blocks: Iterable[Block]) -> float:
    blocks = list(blocks)
    return sum(block.edits for block in blocks) / max(1, sum(block.length for block in blocks))
