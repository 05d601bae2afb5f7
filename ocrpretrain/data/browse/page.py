"""One HTML file about one source or two: numbers, histograms, pictures; it loads nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from ocrpretrain.data.browse.captions import as_html, glyph
from ocrpretrain.data.browse.charts import draw
from ocrpretrain.data.browse.counts import Statistics
from ocrpretrain.data.browse.figures import TOGGLES, gallery
from ocrpretrain.data.browse.histograms import character_histogram, character_name, histogram
from ocrpretrain.data.browse.measures import QUANTITIES
from ocrpretrain.data.browse.style import CSS
from ocrpretrain.data.browse.tables import summary
from ocrpretrain.data.sources.base import AnnotatedImage

MAX_LISTED = 50
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def write_page(
    path: str | os.PathLike[str],
    columns: Sequence[Statistics],
    pictures: Sequence[Sequence[AnnotatedImage]],
) -> None:
    """Write the page; the same data gives the same bytes.

    Args:
        path: the HTML file.
        columns: one source, or two that are compared.
        pictures: the images of each to show.
    """
    galleries = [gallery(shown) for shown in pictures]
    names = [as_html(statistics.name) for statistics in columns]
    body = "".join(
        [
            f"<h1>{' and '.join(_heading('span', i, name) for i, name in enumerate(names))}</h1>",
            "<p>Texts and shapes are those of legible words. Three numbers are the least, the ",
            "median and the greatest.</p>",
            _numbers(columns),
            "<h2>Distributions</h2>",
            "<p>Shares of each source's total; point at a bar to read it.</p>",
            _charts(columns),
            _characters(columns),
            "<h2>Lists</h2>",
            _beside(columns, [_lists(statistics) for statistics in columns]),
            f"<h2>Pictures</h2><section>{TOGGLES}{_beside(columns, galleries)}</section>",
        ]
    )
    head = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{' and '.join(names)}</title><style>{CSS}</style></head>"
    )
    Path(path).write_text(f"{head}<body>{body}</body></html>\n", "utf-8")


def _heading(tag: str, index: int, name: str) -> str:
    return f'<{tag} class="name{index}">{name}</{tag}>'


def _beside(columns: Sequence[Statistics], parts: Sequence[str]) -> str:
    """One column per source, under its name."""
    cells = (
        f"<div>{_heading('h3', index, as_html(statistics.name))}{part}</div>"
        for index, (statistics, part) in enumerate(zip(columns, parts, strict=True))
    )
    return f'<div class="columns">{"".join(cells)}</div>'


def _table(rows: Iterable[Sequence[str]], head: str = "") -> str:
    lines = (
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
        for first, *cells in rows
    )
    return f'<div class="scroll"><table>{head}<tbody>{"".join(lines)}</tbody></table></div>'


def _numbers(columns: Sequence[Statistics]) -> str:
    names = (
        f'<th scope="col" class="name{i}">{as_html(s.name)}</th>' for i, s in enumerate(columns)
    )
    summaries = [summary(statistics) for statistics in columns]
    rows = ([as_html(name), *(as_html(s[name]) for s in summaries)] for name in summaries[0])
    return "<h2>Numbers</h2>" + _table(rows, f"<thead><tr><th></th>{''.join(names)}</tr></thead>")


def _charts(columns: Sequence[Statistics]) -> str:
    cards = []
    for key in QUANTITIES:
        chart = histogram(key, columns)
        if chart is None:
            continue
        drawings = "".join(f"<div>{draw(chart, index)}</div>" for index in range(len(columns)))
        title = escape(chart.title)
        cards.append(
            f'<div class="card"><h3>{title}</h3><div class="columns">{drawings}</div></div>'
        )
    return f'<div class="cards of{len(columns)}">{"".join(cards)}</div>'


def _characters(columns: Sequence[Statistics]) -> str:
    chart = character_histogram(columns)
    if not chart.bars:
        return ""
    drawings = "".join(draw(chart, index, 960) for index in range(len(columns)))
    tables = []
    for statistics in columns:
        unknown = statistics.unknown
        rows = [
            (as_html(glyph(char)), as_html(character_name(char)), str(count))
            for char, count in unknown.most_common(MAX_LISTED)
        ]
        tables.append(_table(rows) + _more(len(unknown)) if rows else "<p>none</p>")
    size = len(columns[0].charset)
    return (
        f'<h2>Characters</h2><div class="card scroll wide">{drawings}</div>'
        f"<h2>Characters outside the {size}</h2>{_beside(columns, tables)}"
    )


def _more(total: int) -> str:
    return f"<p>and {total - MAX_LISTED} more</p>" if total > MAX_LISTED else ""


def _lists(statistics: Statistics) -> str:
    """What is too long for the table: frequent texts, equal images, errors."""
    texts = [f"{text} ({n})" for text, n in statistics.texts.most_common(MAX_LISTED) if n > 1]
    copies = [f"{name} = {first}" for name, first in statistics.copies]
    parts = []
    for title, lines in [
        ("most frequent texts", texts),
        ("equal images", copies),
        ("unreadable images", statistics.errors),
    ]:
        items = "".join(f"<li>{as_html(line)}</li>" for line in lines)
        parts.append(f"<details><summary>{title}: {len(lines)}</summary><ol>{items}</ol></details>")
    return "".join(parts)
