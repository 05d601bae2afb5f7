"""Curves of a run: validation metrics beside their blind twins, losses of a finetuning."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

from ocrpretrain.config import read
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
    """Training losses, and each validation metric beside its blind twin and its training value.

    Args:
        run: folder of a pretraining run.
        out: PNG to write.
        batch_size: images per step.
        chance: R@1 of guessing, drawn as a line.

    Raises:
        DataError: a run without validation.
    """
    files = sorted(Path(run).glob("metrics_part*.csv")) + [Path(run) / "metrics.csv"]
    columns = _columns(files)
    blind = [name for name in columns if f"val/blind_{name.removeprefix('val/')}" in columns]
    # Of retrieval, R@1 tells both ways; the others follow it.
    shown = [name for name in blind if "recall" not in name or name.endswith("_recall1")]
    if not shown:
        raise DataError(f"{run}: metrics.csv holds no validation metric with a blind twin")
    losses = [name for name in columns if name.startswith("train/loss")]
    panels = {"training losses": {name.removeprefix("train/"): name for name in losses}}
    for name in shown:
        plain = name.removeprefix("val/")
        lines = {"validation": name, "validation, blind": f"val/blind_{plain}"}
        if f"train/{plain}" in columns:
            lines["training"] = f"train/{plain}"
        panels[plain] = lines
    curves = {
        title: {
            name: [
                ((step + 1) * batch_size / 1000, y)
                for step, y in smooth(read_curve(files, "step", column), column)
            ]
            for name, column in lines.items()
        }
        for title, lines in panels.items()
    }
    draw_panels(
        curves, "thousand images seen", out, dict.fromkeys(("i2t_recall1", "t2i_recall1"), chance)
    )


def draw_run(run: PathLike, out: PathLike) -> None:
    """`draw_pretraining` with what the run's own config says.

    Raises:
        ConfigError: no config in the folder.
        DataError: see `draw_pretraining`.
    """
    data = read(Path(run) / "config.py")["data"]
    length = data["val"].get("length")
    draw_pretraining(run, out, data["batch_size"], 1 / length if length else None)


def smooth(points: Curve, column: str) -> Curve:
    """Training values come from single batches: means over a fiftieth of the curve."""
    window = max(1, len(points) // 50)
    if not column.startswith("train/") or window == 1:
        return points
    blocks = [points[i : i + window] for i in range(0, len(points), window)]
    return [(block[len(block) // 2][0], sum(y for _, y in block) / len(block)) for block in blocks]


def _columns(files: Sequence[Path]) -> list[str]:
    found: dict[str, None] = {}
    for path in files:
        with path.open(newline="") as file:
            found |= dict.fromkeys(next(csv.reader(file), []))
    return list(found)


def draw_losses(runs: Sequence[Path], out: PathLike) -> None:
    """The training losses of several finetunings, one panel per loss, named by their folders.

    Raises:
        DataError: a folder without `losses.csv`.
    """
    missing = [str(run) for run in runs if not (run / "losses.csv").is_file()]
    if missing:
        raise DataError(f"no losses.csv, is the finetuning finished? {', '.join(missing)}")
    panels: dict[str, dict[str, Curve]] = {}
    for run in runs:
        for name in _columns([run / "losses.csv"]):
            if name.startswith("loss"):
                points = read_curve([run / "losses.csv"], "step", name)
                panels.setdefault(name, {})[run.name] = smooth(points, f"train/{name}")
    draw_panels(panels, "iterations", out, {})


def draw_panels(
    panels: dict[str, dict[str, Curve]],
    xlabel: str,
    out: PathLike,
    lines: dict[str, float | None],
) -> None:
    """One panel per title, with a curve per name, and a dotted line where `lines` has a level."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    most = max(len(curves) for curves in panels.values())
    size = (5.5 * columns, (3.6 + 0.12 * most) * rows)
    layout = ConstrainedLayoutEngine(h_pad=0.12)
    figure, axes = pyplot.subplots(rows, columns, figsize=size, squeeze=False, layout=layout)
    for axis in axes.flat[len(panels) :]:
        axis.axis("off")
    for axis, (title, curves) in zip(axes.flat, panels.items(), strict=False):
        for name, points in curves.items():
            axis.plot(
                *zip(*points, strict=True), marker="." if len(points) < 20 else "", label=name
            )
        level = lines.get(title)
        if level is not None:
            axis.axhline(level, color="grey", linestyle=":", label="chance")
        axis.set(title=fill(title, 50), xlabel=xlabel)
        axis.grid(alpha=0.3)
        axis.locator_params(axis="x", nbins=6)
        # Below the panel, where it hides no curve.
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2, fontsize="small")
    figure.savefig(out, dpi=110)
    pyplot.close(figure)
