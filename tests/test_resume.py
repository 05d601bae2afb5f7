"""A run that was killed and resumed ends with the weights of one that was not."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time

import lightning as L
import numpy as np
import pytest
import torch
from conftest import EXTERNAL, ROOT

from ocrpretrain.callbacks.state import random_state, set_random_state
from ocrpretrain.engine import pretrain
from ocrpretrain.errors import ConfigError
from ocrpretrain.runs import newest_checkpoint

CONFIG = EXTERNAL / "my_config.py"
KILLS = int(os.environ.get("OCRPRETRAIN_KILLS", "2"))
EVERY_STEP = {
    "type": "ocrpretrain.callbacks.WithinEpoch",
    "every_n_train_steps": 1,
    "filename": "step",
    "enable_version_counter": False,
}
OPTIONS = {
    "callbacks": [EVERY_STEP], "data.num_workers": 2, "data.train.length": 24,
    "trainer.max_epochs": 3, "trainer.deterministic": True,
    "trainer.enable_progress_bar": False, "trainer.enable_model_summary": False,
}  # fmt: skip


class PowerCut(L.Callback):
    """Stops the process's run after a number of steps of a pass through `fit`."""

    step = 0

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == PowerCut.step:
            raise RuntimeError("the power goes")


class StopAtEight(L.Callback):
    """As `max_time` ends a run."""

    def on_train_batch_end(self, trainer, *_):
        trainer.should_stop = trainer.global_step == 8


def state_of(folder):
    checkpoint = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    return checkpoint["state_dict"], checkpoint


def best_score(checkpoint):
    (score,) = [x["best_model_score"] for x in checkpoint["callbacks"].values() if x.get("monitor")]
    return score


def assert_same(folder, expected):
    state, checkpoint = state_of(folder)
    wanted, whole = expected
    assert checkpoint["images_seen"] == whole["images_seen"]
    assert checkpoint["global_step"] == whole["global_step"]
    for name, tensor in wanted.items():
        assert torch.equal(tensor, state[name]), name


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The same run without any break: 18 steps of 4 images."""
    return state_of(pretrain(CONFIG, OPTIONS, work_dir=tmp_path_factory.mktemp("whole") / "run"))


@pytest.mark.slow
def test_breaks_in_the_middle_and_at_the_ends_of_epochs(tmp_path, whole, capsys):
    options = OPTIONS | {"callbacks": [EVERY_STEP, {"type": "test_resume.PowerCut"}]}
    for step in (3, 6, 7, 17):
        PowerCut.step = step
        with pytest.raises(RuntimeError, match="the power goes"):
            pretrain(CONFIG, options, work_dir=tmp_path / "run", resume=True)
        np.random.rand(3), torch.rand(3), random.random()  # a new process starts otherwise
    PowerCut.step = -1
    half = tmp_path / "run" / "checkpoints" / "half.ckpt"
    half.write_bytes((tmp_path / "run" / "checkpoints" / "step.ckpt").read_bytes()[:5000])
    capsys.readouterr()
    pretrain(CONFIG, options, work_dir=tmp_path / "run", resume=True)
    shown = capsys.readouterr().out
    assert "half.ckpt: half written or damaged, skipped" in shown and "step.ckpt" in shown
    assert_same(tmp_path / "run", whole)
    rows = [list(csv.DictReader(path.open())) for path in (tmp_path / "run").glob("metrics*.csv")]
    validated = {row["epoch"] for part in rows for row in part if row.get("val/score")}
    assert validated == {"0", "1", "2"}


def test_a_length_that_the_run_has_already_is_refused(tmp_path):
    timed = OPTIONS | {"callbacks": [], "trainer.max_time": "00:00:10:00"}
    folder = pretrain(CONFIG, timed | {"trainer.max_epochs": 1}, work_dir=tmp_path / "run")
    before = (folder / "run.json").read_bytes()
    lengths = {
        "max_steps: .*last.ckpt has 6 steps already": {"trainer.max_steps": 6},
        "max_time: .*last.ckpt took 0:0.* already": {"trainer.max_time": {"microseconds": 1}},
    }
    for message, length in lengths.items():
        with pytest.raises(ConfigError, match=message):
            pretrain(CONFIG, timed | length, work_dir=folder, resume=True)
    assert (folder / "run.json").read_bytes() == before
    assert (folder / "metrics.csv").exists()


@pytest.mark.slow
def test_a_run_that_ends_inside_an_epoch_keeps_its_last_step(tmp_path):
    whole = OPTIONS | {"callbacks": []}
    each_epoch = {"trainer.max_steps": 8}  # of 6 an epoch
    by_steps = {"trainer.check_val_every_n_epoch": None, "trainer.val_check_interval": 5}
    by_time = {"callbacks": [{"type": "test_resume.StopAtEight"}], "trainer.max_epochs": 4}
    ways = {"epoch": each_epoch, "steps": each_epoch | by_steps, "time": by_time}
    for name, way in ways.items():
        folder = pretrain(CONFIG, whole | way, work_dir=tmp_path / name)
        assert state_of(folder)[1]["global_step"] == 8, name
        assert state_of(folder)[1]["images_seen"] == 32, name
        found = state_of(folder)[1]["ocrpretrain"]["metrics"]["val/score"]
        assert found == json.loads((folder / "run.json").read_text())["metrics"]["val/score"], name
        best = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)
        assert best_score(state_of(folder)[1]) == best_score(best), name
        # The epoch's rest, and a third one.
        pretrain(CONFIG, whole, work_dir=folder, resume=True)
        assert state_of(folder)[1]["global_step"] == 18, name
        assert state_of(folder)[1]["images_seen"] == 72, name


@pytest.mark.slow
@pytest.mark.timeout(60 * (KILLS + 4))
def test_kill_minus_nine_at_random_points(tmp_path):
    """With OCRPRETRAIN_KILLS=20: twenty kills in one run of 480 steps."""
    options = OPTIONS | {"trainer.max_epochs": 4 * KILLS}
    whole = state_of(pretrain(CONFIG, options, work_dir=tmp_path / "whole"))
    settings = [f"{key}={value}" for key, value in options.items()]
    command = [sys.executable, "tools/pretrain.py", str(CONFIG), "--resume", "--work-dir"]
    command += [str(tmp_path / "run"), "--cfg-options", *settings]
    environment = os.environ | {"PYTHONPATH": f"{EXTERNAL}{os.pathsep}{ROOT}"}
    rng = random.Random(KILLS)
    kills = 0
    while True:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, start_new_session=True, stdout=subprocess.DEVNULL
        )
        try:
            if kills == KILLS:
                assert process.wait(timeout=120) == 0
                break
            wait_for_steps(tmp_path / "run", process)
            time.sleep(rng.uniform(0, 0.3))
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                kills += 1
        if (tmp_path / "run" / "run.json").exists():
            break  # it ended before the next kill
    assert kills == KILLS
    assert_same(tmp_path / "run", whole)


def wait_for_steps(folder, process) -> None:
    """Until the process has written something of its own, or ended."""
    start = time.time()
    while process.poll() is None and time.time() - start < 120:
        files = list((folder / "checkpoints").glob("*.ckpt"))
        if any(file.stat().st_mtime > start for file in files):
            return
        time.sleep(0.02)


def test_random_states_come_back():
    random.seed(1), np.random.seed(2), torch.manual_seed(3)
    np.random.randn()  # leaves a cached gaussian behind
    stored = random_state()
    first = (random.random(), np.random.randn(), torch.rand(1).item())
    set_random_state(stored)
    assert (random.random(), np.random.randn(), torch.rand(1).item()) == first


def test_the_newest_readable_checkpoint_goes_on(tmp_path, capsys):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    assert newest_checkpoint(tmp_path) is None
    for name, step in (("a", 3), ("b", 7), ("c", 5)):
        torch.save({"global_step": step}, folder / f"{name}.ckpt")
    (folder / "empty.ckpt").write_bytes(b"")
    (folder / "foreign.ckpt").write_text("hello")
    assert newest_checkpoint(tmp_path) == folder / "b.ckpt"
    assert capsys.readouterr().out.count("skipped") == 2
