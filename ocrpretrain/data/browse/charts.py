"""Histograms as inline SVG."""

from __future__ import annotations

from html import escape

import numpy as np

from ocrpretrain.data.browse.captions import short
from ocrpretrain.data.browse.histograms import Histogram

MIN_SLOTS = 6  # a lone bar does not fill the chart
HEIGHT = 90  # of the bars
LEFT, RIGHT, BELOW = 36, 12, 18  # room for the labels of both axes


def draw(chart: Histogram, source: int, width: int = 260) -> str:
    """One source's bars as shares of its total; the axes are the same for every source.

    Args:
        chart: the bars of all sources.
        source: whose bars to draw.
        width: of the drawing in user units; it is scaled to the space that the page gives it.

    Returns:
        An `<svg>` element whose bars have the class `s<source>`.
    """
    totals = np.maximum(chart.counts.sum(1, keepdims=True), 1)
    shares = chart.counts / totals
    top = shares.max() or 1.0
    step = (width - LEFT - RIGHT) / max(MIN_SLOTS, len(chart.bars))
    parts = []
    for part in (1, 0.5, 0):
        y = HEIGHT * (1 - part) + 4
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{width - RIGHT}"/>')
        parts.append(
            f'<text class="y" x="{LEFT - 4}" y="{y + 4:.1f}">{short(100 * part * top)}%</text>'
        )
    for index, bar in enumerate(chart.bars):
        count, share = int(chart.counts[source, index]), shares[source, index]
        x, high = LEFT + index * step, HEIGHT * share / top
        parts.append(
            f"<g><title>{escape(bar)}: {count} ({share:.1%})</title>"
            f'<rect class="hit" x="{x:.2f}" y="4" width="{step:.2f}" height="{HEIGHT}"/>'
            f'<rect class="s{source}" x="{x + 0.08 * step:.2f}" y="{HEIGHT + 4 - high:.2f}" '
            f'width="{0.84 * step:.2f}" height="{high:.2f}"/></g>'
        )
    for place, text in chart.ticks:
        x = LEFT + place * step
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT + BELOW}">{escape(text)}</text>')
    box = f"0 0 {width} {HEIGHT + BELOW + 4}"
    label = escape(chart.title, quote=True)
    return (
        f'<svg class="chart" viewBox="{box}" role="img" aria-label="{label}">{"".join(parts)}</svg>'
    )
