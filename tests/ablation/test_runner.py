"""Cells run once, survive kills, and a failed one does not stop the others."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
from conftest import EXTERNAL, ROOT
from test_matrix import write

from ocrpretrain.ablation.matrix import load_matrix
from ocrpretrain.ablation.runner import CellsFailedError, plan, run_matrix, write_tables
from ocrpretrain.ablation.worker import read_result, write_json

SHORT = {"trainer.max_epochs": 1, "trainer.enable_progress_bar": False}
AXES = {"optimizer.lr": [1e-3, 1e-4]}
pytestmark = pytest.mark.slow


def matrix_file(tmp_path, seeds=(0,), **parts):
    pretrain = {"config": str(EXTERNAL / "my_config.py"), "seeds": list(seeds), "overrides": SHORT}
    return write(tmp_path / "a.py", **{"pretrain": pretrain, "metric": "val/score", **parts})


def ablate(file, folder, *options):
    environment = os.environ | {"PYTHONPATH": f"{EXTERNAL}{os.pathsep}{ROOT}"}
    command = [sys.executable, "tools/ablate.py", str(file), "--work-dir", str(folder), *options]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_a_failed_cell_is_told_and_the_others_finish(tmp_path, capsys):
    axes = {"kind": {"good": {}, "bad": {"freeze": ["backbone.none"]}}}
    matrix = load_matrix(matrix_file(tmp_path, axes=axes))
    with pytest.raises(CellsFailedError, match=r"1 cells failed:\n  pretrain kind=bad.*backbone.n"):
        run_matrix(matrix, tmp_path / "out")
    good, bad = (tmp_path / "out" / cell.name for cell in matrix.cells)
    assert read_result(good) and (good / "transfer.safetensors").exists()
    assert read_result(bad) is None
    assert "| good | 1 |" in write_tables(matrix, tmp_path / "out")
    capsys.readouterr()
    with pytest.raises(CellsFailedError):
        run_matrix(matrix, tmp_path / "out")
    assert "finished before: pretrain kind=good" in capsys.readouterr().out
    shown = plan(matrix, tmp_path / "out", {matrix.cells[1].id: 30.0})
    assert "finished" in shown and "4 steps      2.0 min" in shown


@pytest.mark.timeout(600)
def test_two_processes_and_kills_lose_and_repeat_nothing(tmp_path):
    file, folder = matrix_file(tmp_path, (0, 1), axes=AXES), tmp_path / "out"
    matrix = load_matrix(file)
    rng = random.Random(0)
    finished: dict[str, float] = {}
    for _ in range(3):
        process = ablate(file, folder)
        time.sleep(rng.uniform(4, 14))
        # The tool alone: its worker lives on, holds its cell, and is waited for.
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        for cell in matrix.cells:
            result = folder / cell.name / "result.json"
            if result.exists():
                finished.setdefault(cell.id, result.stat().st_mtime)
    both = [ablate(file, folder), ablate(file, folder)]
    outputs = [process.communicate(timeout=500)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    for cell in matrix.cells:
        result = folder / cell.name / "result.json"
        assert read_result(folder / cell.name)["steps"] == 4
        assert finished.get(cell.id, result.stat().st_mtime) == result.stat().st_mtime
        log = (folder / cell.name / "log.txt").read_text()
        assert log.count("`Trainer.fit` stopped") == 1
    assert all("| 0.0001 | 2 |" in output for output in outputs)
    assert len(json.loads((folder / matrix.cells[0].name / "cell.json").read_text())["id"]) == 12


def test_a_file_is_whole_or_not_there(tmp_path):
    write_json(tmp_path / "a.json", {"x": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"x": object()})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": 1}


def test_dry_run_lists_cells_with_times_and_writes_nothing(tmp_path):
    process = ablate(matrix_file(tmp_path, axes=AXES), tmp_path / "out", "--dry-run")
    shown = process.communicate(timeout=120)[0]
    assert process.returncode == 0 and shown.count(" steps ") == 2 and "2 cells" in shown
    assert "unknown" not in shown and not (tmp_path / "out").exists()
