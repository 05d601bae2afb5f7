"""Runs one cell in a process of its own: `python -m ocrpretrain.ablation.worker CELL_FOLDER`.

The process holds the cell's lock while it works, so a cell is never run twice at a time, also where
the tool that started it was killed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ocrpretrain.ablation.matrix import Cell
from ocrpretrain.cli import run

BUSY = 75  # EX_TEMPFAIL: another process works on the cell
SPEC, RESULT, WEIGHTS = "cell.json", "result.json", "transfer.safetensors"


def read_result(folder: Path) -> dict[str, Any] | None:
    """What a finished cell left, or None."""
    file = folder / RESULT
    return json.loads(file.read_text("utf-8")) if file.is_file() else None


def write_json(path: Path, content: Any) -> None:
    """Write a file that is whole or not there."""
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    temporary.replace(path)


def work(folder: Path) -> None:
    """Run the cell of a folder, unless it is finished; a broken pretraining goes on."""
    try:
        with FileLock(folder / "lock", timeout=0):
            if read_result(folder) is None:
                cell = Cell(**json.loads((folder / SPEC).read_text("utf-8")))
                metrics = {"pretrain": _pretrain, "finetune": _finetune}[cell.stage](cell, folder)
                write_json(folder / RESULT, {"id": cell.id, **metrics})
    except Timeout:
        raise SystemExit(BUSY) from None


def _pretrain(cell: Cell, folder: Path) -> dict[str, Any]:
    from ocrpretrain.engine import pretrain
    from ocrpretrain.weights.export import export, find_checkpoint

    if not (folder / "run" / "run.json").exists():
        pretrain(cell.config, cell.overrides, work_dir=folder / "run", resume=True)
    info = export(find_checkpoint(folder / "run"), folder / WEIGHTS)
    record = json.loads((folder / "run" / "run.json").read_text("utf-8"))
    best = {f"best/{name.removeprefix('val/')}": value for name, value in info.metrics.items()
            if name.startswith("val/")}  # fmt: skip
    return {
        "metrics": {**record["metrics"], **best},
        "seconds": record["seconds"],
        "steps": record["steps"],
    }


def _finetune(cell: Cell, folder: Path) -> dict[str, Any]:
    from ocrpretrain.transfer.evaluate import evaluate
    from ocrpretrain.transfer.finetune import finetune

    weights = folder.parent / f"pretrain-{cell.parent}" / WEIGHTS
    run_folder = folder / "run"
    if not (run_folder / "run.json").exists():
        finetune(
            cell.config,
            None if cell.random else weights,
            like=weights if cell.random else None,
            train=cell.train,
            test=cell.test,
            overrides=cell.overrides,
            work_dir=run_folder,
            seed=cell.seed,
            resume=True,
        )
    (folder / "results.jsonl").unlink(missing_ok=True)  # of an evaluation that was cut off
    record = evaluate(run_folder, folder / "results.jsonl", Path(cell.config).stem)
    return {
        "metrics": record["metrics"],
        "seconds": record["seconds"],
        "steps": record["iterations"],
    }


if __name__ == "__main__":
    run(lambda: work(Path(sys.argv[1])))
