"""A finetuning that was stopped and resumed ends with the weights of one that was not."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch
from conftest import ROOT

from ocrpretrain.data import SyntheticScenes
from ocrpretrain.data.prepare.folder import write_folder
from ocrpretrain.errors import ConfigError
from ocrpretrain.transfer import compat

pytestmark = [pytest.mark.mmocr, pytest.mark.slow]
ICDAR = ROOT / "configs/finetune/textdet/dbnet_clip-resnet-toy_240e_icdar2015.py"
SHORT = {
    "train_cfg.max_epochs": 3,
    "param_scheduler.0.end": 1,
    "param_scheduler.1.begin": 1,
    "param_scheduler.1.end": 3,
    "train_dataloader.batch_size": 2,
    "train_dataloader.num_workers": 0,
    "train_dataloader.persistent_workers": False,
    "default_hooks.checkpoint.interval": 1,
}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Nine pictures, of which six are trained on with the real recipe's augmentation."""
    folder = tmp_path_factory.mktemp("images")
    write_folder(SyntheticScenes(9, size=(200, 240), words=(2, 4)), folder)
    return folder


def tune(transfer_file, images, work_dir, **options):
    compat.install()
    from ocrpretrain.transfer.finetune import finetune

    changes = SHORT | options.pop("changes", {})
    return finetune(
        ICDAR, transfer_file, train=images, overrides=changes, work_dir=work_dir,
        wandb_mode="disabled", **options,
    )  # fmt: skip


def weights(run):
    return torch.load(run / "detector.pth", weights_only=True)["state_dict"]


def steps(run):
    with (run / "losses.csv").open() as file:
        return [int(row["step"]) for row in csv.DictReader(file)]


def test_break_and_resume_with_other_workers(transfer_file, images, tmp_path, monkeypatch, capsys):
    from ocrpretrain.transfer import hooks

    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # sums depend on the number of threads
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setattr(hooks.RunLog.__init__, "__defaults__", (1, None))  # every step's row
    whole = tune(transfer_file, images, tmp_path / "whole")
    after = hooks.RunLog.after_train_iter

    def power_cut(self, runner, *args, **kwargs):
        after(self, runner, *args, **kwargs)
        if runner.epoch == 1:
            raise RuntimeError("the power goes")

    monkeypatch.setattr(hooks.RunLog, "after_train_iter", power_cut)
    with pytest.raises(RuntimeError, match="the power goes"):
        tune(transfer_file, images, tmp_path / "half")
    monkeypatch.setattr(hooks.RunLog, "after_train_iter", after)
    (tmp_path / "half" / "epoch_9.pth").write_bytes(b"PK half written")
    with pytest.raises(ConfigError, match="unfinished run; --resume goes on"):
        tune(transfer_file, images, tmp_path / "half")
    np.random.rand(7), torch.rand(7)
    workers = {"train_dataloader.num_workers": 2}
    half = tune(transfer_file, images, tmp_path / "half", resume=True, changes=workers)
    shown = capsys.readouterr().out
    assert "epoch_9.pth: half written or damaged, skipped" in shown
    assert "resuming from" in shown and "epoch_1.pth" in shown
    torch.set_num_threads(threads)
    expected, resumed = weights(whole), weights(half)
    assert all(torch.equal(expected[name], resumed[name]) for name in expected)
    assert steps(whole) == steps(half) == list(range(1, 10))
    assert json.loads((half / "run.json").read_text())["iterations"] == 9


def test_another_seed_augments_otherwise(transfer_file, images, tmp_path):
    same, other = (tune(transfer_file, images, tmp_path / str(seed), seed=seed) for seed in (0, 1))
    name = "neck.lateral_convs.0.conv.weight"
    assert not torch.equal(weights(same)[name], weights(other)[name])
    records = [json.loads((run / "run.json").read_text()) for run in (same, other)]
    assert records[0]["config_hash"] == records[1]["config_hash"]  # one recipe


def test_samples_follow_seed_epoch_and_index(images):
    compat.install()
    from mmengine.registry import init_default_scope
    from mmocr.registry import DATASETS

    from ocrpretrain.transfer.finetune import follow_seed, use_sources
    from ocrpretrain.transfer.mmocr import load, register

    register()
    init_default_scope("mmocr")
    cfg = follow_seed(use_sources(load(ICDAR), images, None), 3)
    dataset = DATASETS.build(cfg["train_dataloader"]["dataset"])
    length = len(dataset)
    before = torch.get_rng_state()
    first, again, later = (dataset[i]["inputs"] for i in (1, 1, 1 + length))
    assert torch.equal(first, again) and not torch.equal(first, later)
    assert torch.equal(torch.get_rng_state(), before)  # the model's randomness is its own
