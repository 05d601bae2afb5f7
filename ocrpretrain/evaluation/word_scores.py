"""What a reader's answers are worth: accuracies, calibration, and what its branches do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import mean
from typing import Any, NamedTuple

from ocrpretrain.data.charset import Charset
from ocrpretrain.evaluation.calibration import calibration_error
from ocrpretrain.evaluation.word_sets import RANDOM, SIZES
from ocrpretrain.evaluation.words import PROTOCOLS, WordCounts, compare


class Answer(NamedTuple):
    """What one picture says.

    Attributes:
        id: of the picture.
        text: what is read.
        score: its confidence.
        label: the words that the picture came with, if any.
        branches: text and confidence of each branch of a head that has several.
    """

    id: str
    text: str
    score: float
    label: str
    branches: Mapping[str, Sequence[Any]]


def score(answers: Sequence[Answer]) -> dict[str, Any]:
    """Counts with 36, 62 and 94 characters, calibration, and what a second branch changes.

    Both of the latter go by 36 characters.
    """
    values: dict[str, Any] = {}
    for characters in PROTOCOLS:
        charset = Charset.load(characters)
        counts = [compare(answer.text, answer.label, charset) for answer in answers]
        total = sum(counts, WordCounts())
        values[str(characters)] = {**asdict(total), "accuracy": total.accuracy} | {
            "one_minus_ned": total.one_minus_ned
        }
        if characters == 36:
            counted = [pair for pair in zip(answers, counts, strict=True) if pair[1].words]
            right = [bool(count.correct) for _, count in counted]
            values["calibration_error"] = calibration_error([a.score for a, _ in counted], right)
    if branches := compare_branches(answers):
        values["branches"] = branches
    return values


def compare_branches(answers: Sequence[Answer]) -> dict[str, int]:
    """Words that the cross branch corrected, broke, and left as right or wrong as they were."""
    charset = Charset.load(36)
    found = {"corrected": 0, "broken": 0, "left_right": 0, "left_wrong": 0}
    names = {(False, True): "corrected", (True, False): "broken", (True, True): "left_right"}
    for answer in answers:
        if not {"visual", "cross"} <= answer.branches.keys():
            return {}
        counts = [
            compare(answer.branches[name][0], answer.label, charset) for name in ("visual", "cross")
        ]
        if counts[0].words:
            key = (bool(counts[0].correct), bool(counts[1].correct))
            found[names.get(key, "left_wrong")] += 1
    return found


def summarize(answers: Mapping[str, Sequence[Answer]]) -> dict[str, Any]:
    """The scores of all words of the sets together, and `mean`: the accuracies of sets averaged.

    Generated words are left out.
    """
    real = {name: found for name, found in answers.items() if name != RANDOM}
    values = score([answer for found in real.values() for answer in found])
    each = [score(found) for found in real.values()]
    means = {str(n): mean(one[str(n)]["accuracy"] for one in each) for n in PROTOCOLS if each}
    return {**values, "mean": means}


def table(record: Mapping[str, Any]) -> str:
    """A Markdown table of one record: its sets, the usual ones it lacks as '–', and all words."""
    head = ["set", "words", "36", "62", "94", "1-NED", "ECE", "ms at 1", "ms at 64"]
    head += ["corrected", "broken", "left", ""]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    names = [*SIZES, *(name for name in record["sets"] if name not in SIZES)]
    means = [f"{100 * value:.1f}" for value in record["metrics"]["mean"].values()]
    rows = [_cells(name, record["sets"].get(name), len(head)) for name in names]
    rows.append(_cells("all words", record["metrics"], len(head)))
    rows.append(["mean of sets", "", *means, *[""] * (len(head) - 2 - len(means))])
    return "\n".join([*lines, *("| " + " | ".join(cells) + " |" for cells in rows)])


def _cells(name: str, one: Mapping[str, Any] | None, columns: int) -> list[str]:
    if one is None:
        return [name, *["–"] * (columns - 2), ""]
    cells = [name, str(one["36"]["words"])]
    cells += [f"{100 * one[str(characters)]['accuracy']:.1f}" for characters in PROTOCOLS]
    cells += [f"{one['36']['one_minus_ned']:.3f}", f"{one['calibration_error']:.3f}"]
    cells += [f"{one['ms'][size]:.1f}" if "ms" in one else "–" for size in ("1", "64")]
    if branches := one.get("branches"):
        left = branches["left_right"] + branches["left_wrong"]
        cells += [str(branches["corrected"]), str(branches["broken"]), str(left)]
    return cells + ["–"] * (columns - 1 - len(cells)) + [one.get("flag", "")]
