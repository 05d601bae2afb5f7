"""The documents' code runs: the head of one's own, and the README's lines at nano size."""

from __future__ import annotations

import re
import runpy
import shlex
import subprocess
import sys

import pytest
from conftest import ROOT
from test_tools import run

from ocrpretrain.data import SyntheticScenes
from ocrpretrain.data.prepare.folder import write_folder

NANO_PRETRAIN = [
    "trainer.max_epochs=2", "trainer.enable_progress_bar=False", "data.num_workers=0",
    "data.train.length=8", "data.val.length=4", "data.batch_size=4", "backbone.width=8",
]  # fmt: skip
NANO_FINETUNE = [
    "train_cfg.max_epochs=1", "param_scheduler.0.end=1", "param_scheduler.1.begin=1",
    "param_scheduler.1.end=4", "train_dataloader.num_workers=0", "train_dataloader.batch_size=2",
    "train_dataloader.persistent_workers=False",
]  # fmt: skip


def blocks(document: str) -> dict[str, str]:
    """File name (the first line's comment) -> content of each Python block."""
    text = (ROOT / "docs" / document).read_text("utf-8")
    found = re.findall(r"```python\n# (\S+\.py)\n(.*?)```", text, re.DOTALL)
    return dict(found)


@pytest.mark.slow
def test_the_head_of_your_own(tmp_path, monkeypatch):
    files = blocks("your-own-head.md")
    assert set(files) == {"my_count.py", "my_count_config.py", "my_trainer.py"}
    for name, content in files.items():
        (tmp_path / name).write_text(content, "utf-8")
    body = files["my_count.py"][files["my_count.py"].index("class CountHead") :]
    assert len(body.strip().splitlines()) <= 27
    monkeypatch.syspath_prepend(tmp_path)
    config, folder = str(tmp_path / "my_count_config.py"), str(tmp_path / "run")
    assert run(monkeypatch, "pretrain", config, "--dry-run") == 0
    assert run(monkeypatch, "pretrain", config, "--work-dir", folder) == 0
    assert run(monkeypatch, "export", folder) == 0
    assert (tmp_path / "run" / "transfer.safetensors").exists()
    runpy.run_path(str(tmp_path / "my_trainer.py"), run_name="__main__")
    sys.modules.pop("my_count")


@pytest.mark.slow
@pytest.mark.mmocr
def test_the_readmes_lines_at_nano_size(tmp_path, monkeypatch):
    for name, seed in (("TRAIN", 0), ("TEST", 1)):
        write_folder(SyntheticScenes(10, size=(160, 160), words=(2, 3), seed=seed), tmp_path / name)
    text = (ROOT / "README.md").read_text("utf-8").replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.startswith("python tools/")]
    tools = [re.match(r"python tools/(\w+)\.py", line)[1] for line in lines]
    assert tools == ["pretrain", "export", "finetune", "evaluate", "leaderboard"]
    options = {"pretrain": NANO_PRETRAIN, "finetune": NANO_FINETUNE}
    for tool, line in zip(tools, lines, strict=True):
        line = re.sub(r"\bruns\b", str(tmp_path / "runs"), line)
        line = re.sub(r"\b(TRAIN|TEST)\b", rf"{tmp_path}/\1", line)
        extra = ["--cfg-options", *options[tool]] if tool in options else []
        command = [sys.executable, *shlex.split(line)[1:], *extra]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    for made in ("dbnet", "oclip"):  # each in a process of its own, as a user would
        picture = [sys.executable, "tools/visualize.py", str(tmp_path / "runs" / made)]
        assert subprocess.run(picture, cwd=ROOT).returncode == 0
    assert "| OCLIPHead |" in (tmp_path / "runs" / "leaderboard.md").read_text()
