"""Runs the cells of a matrix, each once; skips finished ones, tells failed ones at the end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from ocrpretrain.ablation.matrix import Cell, Matrix
from ocrpretrain.ablation.worker import BUSY, SPEC, read_result, write_json
from ocrpretrain.errors import OCRPretrainError
from ocrpretrain.results.axes import as_csv, group_by_axes, markdown

POLL_SECONDS = 2.0


class CellsFailedError(OCRPretrainError):
    """Some cells of a matrix failed; the others are finished."""


def run_matrix(matrix: Matrix, folder: Path) -> None:
    """Run every cell that is not finished; any number of processes may work on one folder.

    Args:
        matrix: from `load_matrix`.
        folder: one folder per cell is made in it.

    Raises:
        CellsFailedError: after all others are finished, which cells failed and why.
    """
    failed: dict[str, str] = {}
    waiting = list(matrix.cells)
    while waiting:
        busy = []
        for cell in waiting:
            if cell.parent in failed:
                failed[cell.id] = "its pretraining failed"
            elif cell.parent and read_result(folder / f"pretrain-{cell.parent}") is None:
                busy.append(cell)
            else:
                code = _run(cell, folder / cell.name)
                if code == BUSY:
                    busy.append(cell)
                elif code:
                    failed[cell.id] = _reason(folder / cell.name, code)
        if len(busy) == len(waiting):
            time.sleep(POLL_SECONDS)
        waiting = busy
    if failed:
        cells = {cell.id: cell for cell in matrix.cells}
        told = [
            f"{cells[i].title()} ({folder / cells[i].name}): {why}" for i, why in failed.items()
        ]
        raise CellsFailedError(f"{len(failed)} cells failed:\n  " + "\n  ".join(told))


def _run(cell: Cell, folder: Path) -> int:
    """The exit code of the cell's worker; 0 without one where the cell is finished."""
    if read_result(folder) is not None:
        print(f"finished before: {cell.title()}", flush=True)
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / SPEC).exists():
        write_json(folder / SPEC, asdict(cell))
    print(f"running: {cell.title()} -> {folder}", flush=True)
    command = [sys.executable, "-m", "ocrpretrain.ablation.worker", str(folder)]
    paths = [str(Path(__file__).parents[2]), *sys.path]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    with (folder / "log.txt").open("a", encoding="utf-8") as log:
        code = subprocess.run(command, stdout=log, stderr=log, env=environment).returncode
    if code == BUSY:
        print(f"another process works on it: {cell.title()}", flush=True)
    return code


def _reason(folder: Path, code: int) -> str:
    lines = (folder / "log.txt").read_text("utf-8", errors="replace").strip().splitlines()
    return f"exit code {code}: {lines[-1] if lines else 'no output'} (log.txt)"


def plan(matrix: Matrix, folder: Path, seconds_per_step: Mapping[str, float]) -> str:
    """The cells with steps and estimated minutes, without running any.

    Args:
        matrix: from `load_matrix`.
        folder: where finished cells lie.
        seconds_per_step: measured, by cell id; finished cells of the same stage serve elsewhere.
    """
    lines, known = [], _measured(matrix, folder)
    total = 0.0
    for cell in matrix.cells:
        if read_result(folder / cell.name) is not None:
            lines.append(f"{cell.id}  finished        {cell.title()}")
            continue
        rate = seconds_per_step.get(cell.id, known.get(cell.stage))
        minutes = rate * cell.steps / 60 if rate and cell.steps else None
        total += minutes or 0
        shown = "time unknown" if minutes is None else f"{minutes:8.1f} min"
        lines.append(f"{cell.id}  {cell.steps or '?':>7} steps {shown}  {cell.title()}")
    lines.append(f"{len(matrix.cells)} cells, {total:.1f} minutes where they are known")
    return "\n".join(lines)


def _measured(matrix: Matrix, folder: Path) -> dict[str, float]:
    rates: dict[str, list[float]] = {}
    for cell in matrix.cells:
        result = read_result(folder / cell.name)
        if result:
            rates.setdefault(cell.stage, []).append(result["seconds"] / result["steps"])
    return {stage: sum(values) / len(values) for stage, values in rates.items()}


def write_tables(matrix: Matrix, folder: Path) -> str:
    """Write `ablation.md`, `ablation.csv` and one `results.jsonl`; return the table."""
    cells = {cell.id: cell for cell in matrix.cells}
    results = []
    for labels, identity in matrix.rows:
        result = read_result(folder / cells[identity].name)
        if result is not None:
            results.append((labels, cells[identity].seed, result["metrics"]))
    if not results:
        return "no cell is finished"
    metrics = [matrix.metric, *matrix.show]
    groups = group_by_axes(results, metrics, matrix.baseline)
    text = markdown(groups, metrics)
    (folder / "ablation.md").write_text(text, "utf-8")
    (folder / "ablation.csv").write_text(as_csv(groups, metrics), "utf-8")
    _gather_lines(matrix, folder)
    missing = len(matrix.rows) - len(results)
    return text + (f"{missing} of {len(matrix.rows)} rows are not finished\n" if missing else "")


def _gather_lines(matrix: Matrix, folder: Path) -> None:
    """All finetunings' lines in one `results.jsonl`, for `tools/leaderboard.py`."""
    lines = []
    for cell in matrix.cells:
        file = folder / cell.name / "results.jsonl"
        if cell.stage == "finetune" and read_result(folder / cell.name) and file.exists():
            record = json.loads(file.read_text("utf-8").splitlines()[-1])
            record["per_image"] = f"{cell.name}/{record['per_image']}"
            lines.append(json.dumps({**record, "axes": cell.labels}) + "\n")
    if lines:
        temporary = folder / "results.part"
        temporary.write_text("".join(lines), "utf-8")
        temporary.replace(folder / "results.jsonl")


def time_pretrainings(matrix: Matrix, folder: Path) -> dict[str, float]:
    """Seconds per step of each unfinished pretraining, from a few steps of each that differs."""
    from ocrpretrain.engine import time_step

    rates: dict[str, float] = {}
    by_config: dict[str, float] = {}
    for cell in matrix.cells:
        if cell.stage == "pretrain" and read_result(folder / cell.name) is None:
            key = json.dumps({**cell.overrides, "seed": 0}, sort_keys=True) + cell.config
            if key not in by_config:
                by_config[key] = time_step(cell.config, cell.overrides)
            rates[cell.id] = by_config[key]
    return rates
