"""Histograms of several sources over the same bins."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ocrpretrain.data.browse.captions import glyph, short
from ocrpretrain.data.browse.counts import Statistics
from ocrpretrain.data.browse.measures import QUANTITIES

MAX_COUNT_BINS, LOG_BINS, DEGREES = 30, 24, 10
MAX_CHARACTERS = 94
MAX_TICKS = 7


class Histogram(NamedTuple):
    """Bars that sources share.

    Attributes:
        title: what is counted.
        bars: what each bar stands for.
        ticks: place on the axis in bars, and the text there.
        counts: (sources, bars) int.
    """

    title: str
    bars: list[str]
    ticks: list[tuple[float, str]]
    counts: np.ndarray


def histogram(key: str, columns: Sequence[Statistics]) -> Histogram | None:
    """The histogram of one of `QUANTITIES`, None where no source has a value."""
    title, scale = QUANTITIES[key]
    values = [np.array(statistics.values[key], float) for statistics in columns]
    pooled = np.concatenate(values)
    if not len(pooled):
        return None
    make = {"count": _count_bins, "log": _log_bins, "angle": _angle_bins}[scale]
    edges, bars, ticks = make(pooled)
    counts = np.array([np.histogram(column, edges)[0] for column in values])
    return Histogram(title, bars, ticks, counts)


Bins = tuple[np.ndarray, list[str], list[tuple[float, str]]]


def _count_bins(values: np.ndarray) -> Bins:
    """Whole numbers; the last bar takes the highest half per cent, however high they are."""
    low, high = int(values.min()), math.ceil(np.percentile(values, 99.5))
    step = math.ceil((high - low + 1) / MAX_COUNT_BINS)
    starts = np.arange(low, high + 1, step)
    bars = [f"{start}–{start + step - 1}" if step > 1 else f"{start}" for start in starts]
    if values.max() >= starts[-1] + step:
        bars[-1] = f"{starts[-1]} or more"
    every = math.ceil(len(starts) / MAX_TICKS)
    ticks = [(index + 0.5, f"{starts[index]}") for index in range(0, len(starts), every)]
    return np.append(starts, np.inf), bars, ticks


def _log_bins(values: np.ndarray) -> Bins:
    low, high = values.min(), values.max()
    if low == high:
        low, high = low / 1.1, high * 1.1
    edges = np.geomspace(low, high, LOG_BINS + 1)
    bars = [f"{short(a)} to {short(b)}" for a, b in zip(edges, edges[1:], strict=False)]
    span = math.log(high / low) / LOG_BINS
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1, 2, 5), (1,)):  # the second where the first would be crowded
        marks = [digit * 10.0**power for power in powers for digit in digits]
        ticks = [(math.log(n / low) / span, f"{n:g}") for n in marks if low <= n <= high]
        if len(ticks) <= MAX_TICKS:
            break
    if len(ticks) < 2:
        ticks = [(0.0, short(low)), (float(LOG_BINS), short(high))]
    return edges, bars, ticks


def _angle_bins(values: np.ndarray) -> Bins:
    centres = np.arange(-180, 181, DEGREES)  # level text in the middle of a bar
    edges = np.append(centres - DEGREES / 2, 180 + DEGREES / 2)
    bars = [f"{centre - DEGREES // 2} to {centre + DEGREES // 2}" for centre in centres]
    ticks = [(float((c + 180) / DEGREES + 0.5), f"{c}") for c in (-180, -90, 0, 90, 180)]
    return edges, bars, ticks


def character_histogram(columns: Sequence[Statistics]) -> Histogram:
    """The most frequent characters of all sources in code order, and the others in a last bar."""
    found = [statistics.characters for statistics in columns]
    pooled: Counter[str] = sum(found, Counter())
    shown = sorted(char for char, _ in pooled.most_common(MAX_CHARACTERS))
    rest = [counter.total() - sum(counter[char] for char in shown) for counter in found]
    counts = np.array([[counter[char] for char in shown] for counter in found])
    bars = [f"{glyph(char)}  {character_name(char)}" for char in shown]
    ticks = [(i + 0.5, glyph(char)) for i, char in enumerate(shown)]
    if any(rest):
        counts = np.column_stack([counts, rest])
        bars.append(f"{len(pooled) - len(shown)} other characters")
        ticks.append((len(shown) + 0.5, "…"))
    return Histogram("characters", bars, ticks, counts)


def character_name(char: str) -> str:
    """Code point and Unicode's name."""
    return f"U+{ord(char):04X} {unicodedata.name(char, 'without a name')}"
