"""An ablation's results by what varies: mean ± sample deviation (n), the baseline first."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ocrpretrain.errors import DataError
from ocrpretrain.results.significance import seed_interval


class Group(NamedTuple):
    """All seeds of one combination of values.

    Attributes:
        labels: axis -> value.
        n: number of seeds.
        values: metric -> one value per seed.
        delta: difference of the mean to the baseline's, of the first metric; None without one.
    """

    labels: dict[str, str]
    n: int
    values: dict[str, list[float]]
    delta: float | None


def group_by_axes(
    results: Sequence[tuple[Mapping[str, str], int, Mapping[str, float]]],
    metrics: Sequence[str],
    baseline: Mapping[str, str],
) -> list[Group]:
    """Group (labels, seed, metrics) by labels; rows alike in all else share a baseline.

    Args:
        results: one entry per finished cell.
        metrics: what to keep; the first is compared.
        baseline: labels of the rows that others are compared with.

    Raises:
        DataError: a result without one of the metrics.
    """
    found: dict[tuple[tuple[str, str], ...], list[Mapping[str, float]]] = {}
    for labels, _, values in results:
        missing = [name for name in metrics if name not in values]
        if missing:
            raise DataError(f"{dict(labels)}: has no {missing}; there is {sorted(values)}")
        found.setdefault(tuple(labels.items()), []).append(values)
    groups = [
        Group(dict(key), len(rows), {name: [row[name] for row in rows] for name in metrics}, None)
        for key, rows in found.items()
    ]

    def is_baseline(group: Group) -> bool:
        return baseline.items() <= group.labels.items()

    def rest(group: Group) -> dict[str, str]:
        return {axis: value for axis, value in group.labels.items() if axis not in baseline}

    bases = [group for group in groups if is_baseline(group)]
    for index, group in enumerate(groups):
        own = [base for base in bases if rest(base) == rest(group)]
        if own:
            means = [float(np.mean(g.values[metrics[0]])) for g in (group, own[0])]
            groups[index] = group._replace(delta=means[0] - means[1])
    return sorted(groups, key=lambda group: not is_baseline(group))


def markdown(groups: Sequence[Group], metrics: Sequence[str]) -> str:
    """A GitHub table; '–' where there is nothing to say (one seed has no deviation)."""
    axes = list(groups[0].labels) if groups else []
    names = [*axes, "n", *metrics, f"95 % of {metrics[0]}", "Δ baseline"]
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    for group in groups:
        cells = [group.labels.get(axis, "–") for axis in axes] + [str(group.n)]
        cells += [_mean_std(group.values[name]) for name in metrics]
        first = group.values[metrics[0]]
        cells.append("{:.4f} to {:.4f}".format(*seed_interval(first)) if group.n > 1 else "–")
        cells.append("–" if group.delta is None else f"{group.delta:+.4f}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _mean_std(values: Sequence[float]) -> str:
    mean = f"{np.mean(values):.4f}"
    return f"{mean} ± {np.std(values, ddof=1):.4f}" if len(values) > 1 else mean


def as_csv(groups: Sequence[Group], metrics: Sequence[str]) -> str:
    """One line per group: labels, n, and mean and deviation of each metric at full precision."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    axes = list(groups[0].labels) if groups else []
    writer.writerow([*axes, "n", *(f"{m} {what}" for m in metrics for what in ("mean", "std"))])
    for group in groups:
        row: list[Any] = [group.labels.get(axis, "") for axis in axes] + [group.n]
        for name in metrics:
            values = group.values[name]
            row += [float(np.mean(values)), float(np.std(values, ddof=1)) if group.n > 1 else ""]
        writer.writerow(row)
    return stream.getvalue()
