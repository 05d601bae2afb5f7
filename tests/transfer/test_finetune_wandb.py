"""The offline W&B run of a finetuning, read back."""

from __future__ import annotations

import pytest
from test_mmocr import CONFIG, TINY
from test_wandb import content

from ocrpretrain.environment import file_sha256

pytestmark = [pytest.mark.mmocr, pytest.mark.slow]


def test_a_finetuning_joins_the_group_of_its_pretraining(transfer_file, tmp_path):
    from ocrpretrain.transfer.finetune import finetune

    folder = finetune(CONFIG, transfer_file, None, overrides=TINY, work_dir=tmp_path / "tuned")
    run = content(folder)
    assert (run["group"], run["job"]) == ("run", "finetune")
    assert run["axes"]["train/*"] == "iteration"
    assert [row["iteration"] for row in run["history"] if "train/loss" in row] == [4]
    detector = run["artifacts"]["detector"]
    assert detector["sha256"] == file_sha256(folder / "detector.pth")
    assert detector["pretraining_sha256"] == file_sha256(transfer_file)
