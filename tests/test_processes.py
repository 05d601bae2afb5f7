"""A run of several processes, started as the documents say: it ends together."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import EXTERNAL, ROOT

pytestmark = pytest.mark.slow
DDP = ["trainer.devices=2", "trainer.strategy=ddp", "data.train.length=32"]


def launch(folder: Path, *options: str) -> subprocess.Popen[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    tool = ["tools/pretrain.py", str(EXTERNAL / "my_config.py"), "--work-dir", str(folder)]
    environment = os.environ | {"PYTHONPATH": f"{EXTERNAL}{os.pathsep}{ROOT}"}
    environment |= {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*launcher, *tool, "--cfg-options", *DDP, *options],
        cwd=ROOT, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        start_new_session=True,
    )  # fmt: skip


def test_two_processes_share_the_images_and_write_one_record(tmp_path):
    process = launch(tmp_path / "run")
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["images_seen"] == 64 and record["steps"] == 8  # 2 epochs of 32, 8 a step


def test_one_dead_rank_ends_the_run_with_a_message(tmp_path):
    process = launch(tmp_path / "run", "trainer.max_epochs=100000")
    try:
        checkpoint = tmp_path / "run" / "checkpoints" / "last.ckpt"
        deadline = time.monotonic() + 150
        while not checkpoint.exists() and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.2)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(children[-1]), signal.SIGKILL)
        _, errors = process.communicate(timeout=60)
        assert process.returncode != 0 and "Signal 9" in errors
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
