"""The main numbers of one source or two, as rows of text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich.table import Table
from rich.text import Text

from ocrpretrain.data.browse.captions import short, visible
from ocrpretrain.data.browse.counts import Statistics
from ocrpretrain.data.browse.measures import SHARES

TILTED = 15  # degrees


def summary(statistics: Statistics) -> dict[str, str]:
    """Name of each number -> its value as text; the same names for every source."""
    s = statistics
    legible, unknown = s.legible, set(s.unknown)
    outlines = len(s.values["points"])
    folded = {text.lower() for text in s.texts}
    aspect, tilt = np.array(s.values["aspect"]), np.abs(s.values["angle"])
    available = "endless" if s.available is None else str(s.available)
    return {
        "images looked at": f"{s.images + len(s.errors)} of {available}",
        "unreadable images": str(len(s.errors)),
        "images equal to an earlier one": str(len(s.copies)),
        "image height, pixels": _spread(s, "image_height"),
        "image width, pixels": _spread(s, "image_width"),
        "words": str(s.words),
        "ignored words": _part(s.ignored, s.words),
        "words without polygon (weak)": _part(s.weak, s.words),
        "legible words": str(legible),
        "words per image": _spread(s, "words_per_image"),
        "images without a legible word": _part(s.empty, s.images),
        "distinct texts / in any case": f"{len(s.texts)} / {len(folded)}",
        "words with the text of an earlier one": _part(legible - len(s.texts), legible),
        "characters per word": _spread(s, "length"),
        "without text": _part(s.texts[""], legible),
        **{name: _part(s.count(test), legible) for name, test in SHARES.items()},
        "distinct characters": str(len(s.characters)),
        f"with a character outside the {len(s.charset)}": _part(
            s.count(lambda text: not unknown.isdisjoint(text)), legible
        ),
        "word height, pixels": _spread(s, "height"),
        "word width, pixels": _spread(s, "width"),
        "word height, % of the image's": _spread(s, "height_share"),
        "word width, % of the image's": _spread(s, "width_share"),
        "word width / height": _spread(s, "aspect"),
        "taller than wide": _part(int((aspect < 1).sum()), len(aspect)),
        f"turned by more than {TILTED}°": _part(int((tilt > TILTED).sum()), len(tilt)),
        "points per polygon": _spread(s, "points"),
        "polygons that leave the image": _part(s.outside, outlines),
        "polygons without area": _part(s.flat, outlines),
        "languages": ", ".join(f"{visible(k)} {n}" for k, n in s.languages.most_common()) or "–",
    }


def _part(count: int, total: int) -> str:
    return f"{count} ({count / total:.1%})" if total else "–"


def _spread(statistics: Statistics, key: str) -> str:
    values = statistics.values[key]
    if not values:
        return "–"
    low, middle, high = map(short, (min(values), float(np.median(values)), max(values)))
    return f"{low} / {middle} / {high}, mean {short(float(np.mean(values)))}"


def console_table(columns: Sequence[Statistics]) -> Table:
    """The summaries side by side, to be printed by rich."""
    table = Table("min / median / max where three numbers stand")
    for statistics in columns:
        table.add_column(Text(visible(statistics.name)), justify="right")
    summaries = [summary(statistics) for statistics in columns]
    for name in summaries[0]:
        table.add_row(name, *(Text(values[name]) for values in summaries))
    return table
