"""Curves of a run: validation metrics beside their blind twins, losses of a finetuning."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

from ocrpretrain.errors import DataError

PathLike = str | os.PathLike[str]
Curve = list[tuple[float, float]]


def read_curve(files: Sequence[Path], x: str, y: str) -> Curve:
    """Points (x, y) of all rows that have both, in the order of the files."""
    points = []
    for path in files:
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                if row.get(x) and row.get(y):
                    points.append((float(row[x]), float(row[y])))
    return points


def draw_pretraining(run: PathLike, out: PathLike, batch_size: int, chance: float | None) -> None:
    """Retrieval and masked-character accuracy over images seen, with blind twins.

    Args:
        run: folder of a pretraining run with the oCLIP head.
        out: PNG to write.
        batch_size: images per step.
        chance: R@1 of guessing, drawn as a line.

    Raises:
        DataError: a run without these metrics.
    """
    files = sorted(Path(run).glob("metrics_part*.csv")) + [Path(run) / "metrics.csv"]
    panels = {
        "retrieval R@1": {
            "image to text": "val/i2t_recall1",
            "text to image": "val/t2i_recall1",
            "blind": "val/blind_i2t_recall1",
        },
        "masked-character accuracy": {
            "image": "val/char_accuracy",
            "blind (images shuffled)": "val/blind_char_accuracy",
        },
    }
    curves = {
        title: {name: read_curve(files, "step", column) for name, column in lines.items()}
        for title, lines in panels.items()
    }
    if not all(points for lines in curves.values() for points in lines.values()):
        raise DataError(f"{run}: metrics.csv holds no validation of an oCLIP head")
    scaled = {
        title: {
            name: [((step + 1) * batch_size / 1000, y) for step, y in points]
            for name, points in lines.items()
        }
        for title, lines in curves.items()
    }
    _draw(scaled, "thousand images seen", out, {"retrieval R@1": chance})


def draw_losses(runs: dict[str, PathLike], out: PathLike) -> None:
    """The training loss of several finetunings in one picture."""
    curves = {
        name: read_curve([Path(run) / "losses.csv"], "step", "loss") for name, run in runs.items()
    }
    _draw({"finetuning loss": curves}, "iterations", out, {})


def _draw(
    panels: dict[str, dict[str, Curve]],
    xlabel: str,
    out: PathLike,
    lines: dict[str, float | None],
) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(panels), figsize=(5.5 * len(panels), 3.6), squeeze=False)
    for axis, (title, curves) in zip(axes[0], panels.items(), strict=True):
        for name, points in curves.items():
            axis.plot(*zip(*points, strict=True), label=name)
        level = lines.get(title)
        if level is not None:
            axis.axhline(level, color="grey", linestyle=":", label="chance")
        axis.set(title=title, xlabel=xlabel)
        axis.grid(alpha=0.3)
        axis.legend()
    figure.tight_layout()
    figure.savefig(out, dpi=110)
    pyplot.close(figure)
