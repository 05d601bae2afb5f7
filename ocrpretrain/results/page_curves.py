"""Compression ratio against what is read, one line per reader, two panels per test set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ocrpretrain.results.curves import Curve, draw_panels

SCORES = {"one_minus_ned": "1-NED", "precision": "word precision"}
FEWEST = 5  # pages of a point; the table has those of fewer


def draw_ratios(rows: Sequence[dict[str, Any]], out: Path) -> bool:
    """1-NED and precision of distinct words, by the ratio of text tokens to vision tokens.

    Ranges of ratios with fewer than `FEWEST` pages are left to the table.

    Args:
        rows: what `ratio_rows` returns.
        out: PNG to write.

    Returns:
        Whether there was a point to draw.
    """
    panels: dict[str, dict[str, Curve]] = {}
    labels = {row["recipe"]: _label(row) for row in rows}
    for row in rows:
        if row["pages"] < FEWEST * row["n"]:  # all seeds together
            continue
        label = labels[row["recipe"]]
        if list(labels.values()).count(label) > 1:
            label += f" ({row['recipe']})"
        for score, title in SCORES.items():
            panel = panels.setdefault(f"{row['experiment']}: {row['set']}, {title}", {})
            panel.setdefault(label, []).append((row["ratio"], row[score]))
    if panels:
        draw_panels(panels, f"text tokens per vision token ({FEWEST} pages or more)", out, {})
    return bool(panels)


def _label(row: dict[str, Any]) -> str:
    if row["sees"] != "page":
        return f"sees {row['sees']}"
    given = "" if row["share"] == 1 else f", {1 - row['share']:.0%} of the text given"
    return f"{row['backbone'].partition(' ')[0]}, {row['cells']:.0f} tokens{given}"
