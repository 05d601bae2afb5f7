"""Pretraining runs: a user's own head, resume, overwrite, dry run, records, untrained stages."""

from __future__ import annotations

import csv
import json

import pytest
import torch
import wandb
from conftest import EXTERNAL, ROOT
from test_tools import run
from torch.utils.flop_counter import FlopCounterMode

from ocrpretrain.backbones import CLIPResNet
from ocrpretrain.engine import build_module, pretrain
from ocrpretrain.errors import ConfigError, UntrainedError
from ocrpretrain.loggers import RunLogger
from ocrpretrain.optim import OneCycle, Steps, decays, parameter_groups
from ocrpretrain.weights.export import export, find_checkpoint
from ocrpretrain.weights.format import read_weights

CONFIG = EXTERNAL / "my_config.py"
TOY = ROOT / "configs/pretrain/oclip_clip-resnet-toy_32e_synthetic.py"
NANO = {
    "data.train.length": 16, "data.val.length": 8, "data.batch_size": 4, "data.num_workers": 0,
    "data.train.size": (64, 64), "data.val.size": (64, 64), "data.view.size": (64, 64),
    "backbone.width": 8, "head.grid": (2, 2), "trainer.max_epochs": 1,
    "trainer.check_val_every_n_epoch": 1,
    "trainer.enable_progress_bar": False,
    "trainer.enable_model_summary": False,
}  # fmt: skip


def weights_of(folder, which="last"):
    checkpoint = torch.load(find_checkpoint(folder, which), weights_only=True)
    return checkpoint["state_dict"], checkpoint


def test_a_run_leaves_config_checkpoints_record_and_curve(tmp_path):
    folder = pretrain(CONFIG, work_dir=tmp_path / "run")
    record = json.loads((folder / "run.json").read_text())
    assert record["images_seen"] == 32 and record["steps"] == 8
    assert record["config"]["head"]["type"] == "my_head.ColourHead"
    assert "torch" in record["environment"] and record["git"] and record["config_hash"]
    assert record["seconds"] > 0 and record["process_seconds"] > 0
    assert record["peak_memory_bytes"] > 2**20
    rows = list(csv.DictReader((folder / "metrics.csv").open()))
    scores = [float(row["val/score"]) for row in rows if row["val/score"]]
    assert len(scores) == 2 and scores[1] > scores[0]
    state, checkpoint = weights_of(folder, "best")
    assert checkpoint["images_seen"] == 32
    assert {name.partition(".")[0] for name in state} == {"backbone", "head"}


@pytest.mark.parametrize(
    "found, slow",
    [
        ({"architecture": "x86_64", "avx512_bf16": False, "amx_bf16": False}, True),
        ({"architecture": "x86_64", "avx512_bf16": True, "amx_bf16": False}, False),
        ({"architecture": "aarch64"}, False),
    ],
)
def test_bfloat16_that_the_cpu_does_not_have_is_said(monkeypatch, tmp_path, capsys, found, slow):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found, raising=False)
    pretrain(CONFIG, {"trainer.precision": "bf16-mixed"}, tmp_path, dry_run=True)
    assert ("this CPU has no bfloat16" in capsys.readouterr().out) == slow
    pretrain(CONFIG, {}, tmp_path, dry_run=True)
    assert "bfloat16" not in capsys.readouterr().out


def test_resume_goes_on_where_an_interrupted_run_stopped(tmp_path, capsys):
    whole = pretrain(CONFIG, work_dir=tmp_path / "whole")
    half = tmp_path / "half"
    with pytest.raises(RuntimeError, match="power"):
        _interrupted(half)
    with pytest.raises(ConfigError, match="--resume goes on"):
        pretrain(CONFIG, work_dir=half)
    pretrain(CONFIG, work_dir=half, resume=True)
    assert "resuming from" in capsys.readouterr().out
    expected, _ = weights_of(whole)
    resumed, checkpoint = weights_of(half)
    assert checkpoint["images_seen"] == 32
    for name, tensor in expected.items():
        assert torch.equal(tensor, resumed[name]), name


def _interrupted(folder):
    """The first epoch's checkpoint of the same run, and then the power goes."""
    import ocrpretrain.callbacks as callbacks

    original = callbacks.RunRecord.on_save_checkpoint

    def save_then_stop(self, trainer, pl_module, checkpoint):
        if trainer.current_epoch == 1:
            raise RuntimeError("the power goes")
        original(self, trainer, pl_module, checkpoint)

    callbacks.RunRecord.on_save_checkpoint = save_then_stop
    try:
        pretrain(CONFIG, work_dir=folder)
    finally:
        callbacks.RunRecord.on_save_checkpoint = original


def test_resume_without_a_run_says_so(tmp_path, capsys):
    pretrain(CONFIG, work_dir=tmp_path / "new", resume=True)
    assert "starting a new run" in capsys.readouterr().out


def test_a_finished_run_is_not_overwritten_unless_asked(tmp_path):
    folder = pretrain(CONFIG, work_dir=tmp_path / "run")
    before = (folder / "run.json").read_text()
    for resume in (False, True):
        with pytest.raises(ConfigError, match="finished run"):
            pretrain(CONFIG, work_dir=folder, resume=resume)
    assert (folder / "run.json").read_text() == before
    pretrain(CONFIG, {"seed": 1}, work_dir=folder, overwrite=True)
    assert json.loads((folder / "run.json").read_text())["config"]["seed"] == 1


def test_a_finished_run_is_trained_on_where_it_gets_longer(tmp_path):
    folder = pretrain(CONFIG, {"trainer.max_epochs": 1}, work_dir=tmp_path / "run")
    pretrain(CONFIG, {"trainer.max_epochs": 3}, work_dir=folder, resume=True)
    record = json.loads((folder / "run.json").read_text())
    assert record["images_seen"] == 48 and record["steps"] == 12


def test_flops_are_those_of_the_layers(tmp_path):
    record = json.loads((pretrain(CONFIG, work_dir=tmp_path / "run") / "run.json").read_text())
    backbone = CLIPResNet((1, 1, 1, 1), 8)
    with FlopCounterMode(display=False) as counter:
        backbone(torch.zeros(1, 3, 64, 64))
    head = record["flops_per_image"]["forward"] - counter.get_total_flops()
    assert 0 < head < 1e4  # a linear layer
    # Each product of the forward costs two in the backward, but for the gradient of the image.
    assert 1.8 < record["flops_per_image"]["backward"] / record["flops_per_image"]["forward"] < 2


def test_dry_run_writes_nothing(tmp_path, capsys):
    pretrain(CONFIG, work_dir=tmp_path / "run", dry_run=True)
    assert not (tmp_path / "run").exists()
    shown = capsys.readouterr().out
    for part in (
        "dry run",
        "parameters: backbone 1",
        "(32, 16, 16)",
        "steps: 8 of 4",
        "GFLOP",
        "GiB",
    ):
        assert part in shown


def test_a_stage_without_gradient_stops_the_run(tmp_path):
    with pytest.raises(UntrainedError, match=r"backbone\.trunk\.layer4"):
        pretrain(CONFIG, {"head.level": 1}, work_dir=tmp_path / "run")
    frozen = {"head.level": 1, "freeze": ["backbone.trunk.layer3", "backbone.trunk.layer4"]}
    folder = pretrain(CONFIG, frozen, work_dir=tmp_path / "frozen")
    state, _ = weights_of(folder)
    assert state["backbone.trunk.layer4.0.bn1.num_batches_tracked"] == 0  # eval mode
    assert state["backbone.trunk.layer1.0.bn1.num_batches_tracked"] == 8


def test_init_fills_and_names_what_stays_new(tmp_path, transfer_file, capsys):
    cfg_init = {"init": [{"file": str(transfer_file)}], "optimizer.lr": 0.0}
    folder = pretrain(CONFIG, cfg_init, work_dir=tmp_path / "run")
    assert "2 tensors stay new: head.fc.bias, head.fc.weight" in capsys.readouterr().out
    state, _ = weights_of(folder)
    expected = read_weights(transfer_file, "backbone.")
    assert torch.equal(state["backbone.trunk.conv1.weight"], expected["trunk.conv1.weight"])


def test_a_reader_goes_on_and_its_record_names_both_data(tmp_path, monkeypatch, capsys):
    first = pretrain(CONFIG, work_dir=tmp_path / "first")
    reader = tmp_path / "reader.safetensors"
    before = export(find_checkpoint(first, "last"), reader, reader=True)
    options = ["--cfg-options", "trainer.max_epochs=1", "optimizer.lr=0.0"]
    where = ["--init", str(reader), "--work-dir", str(tmp_path / "second")]
    assert run(monkeypatch, "pretrain", str(CONFIG), *where, *options) == 0
    assert "init: 0 tensors stay new" in capsys.readouterr().out
    state, _ = weights_of(tmp_path / "second")
    wanted = read_weights(reader)
    assert state.keys() == wanted.keys()
    parameters = [name for name in state if "running" not in name and "num_batches" not in name]
    assert all(torch.equal(state[name], wanted[name]) for name in parameters)
    record = json.loads((tmp_path / "second" / "run.json").read_text())
    assert record["data"].endswith(f", after {before.data}")


def test_the_curve_before_a_resume_is_kept(tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(RuntimeError, match="power"):
        _interrupted(folder)
    (folder / "metrics.csv").write_text("epoch\n0\n")
    pretrain(CONFIG, work_dir=folder, resume=True)
    assert (folder / "metrics_part1.csv").read_text() == "epoch\n0\n"


def test_same_seed_same_weights_other_seed_others(tmp_path):
    runs = [
        pretrain(CONFIG, {"seed": s}, work_dir=tmp_path / f"{i}") for i, s in enumerate((3, 3, 4))
    ]
    a, b, c = (weights_of(run)[0]["head.fc.weight"] for run in runs)
    assert torch.equal(a, b) and not torch.equal(a, c)


@pytest.mark.slow
def test_the_toy_config_at_nano_size_with_offline_wandb(tmp_path):
    folder = pretrain(TOY, NANO, work_dir=tmp_path / "run")
    metrics = json.loads((folder / "run.json").read_text())["metrics"]
    for name in ("recall", "i2t_recall1", "t2i_recall10", "char_accuracy"):
        assert 0 <= metrics[f"val/{name}"] <= 1 and f"val/blind_{name}" in metrics
    assert (folder / "samples.png").stat().st_size > 1000
    assert list((folder / "wandb").glob("offline-run-*/run-*.wandb"))
    info = export(find_checkpoint(folder), tmp_path / "reader.safetensors", reader=True)
    assert info.images_seen == 16 and info.head["type"] == "ocrpretrain.heads.OCLIPHead"
    from ocrpretrain import load_reader

    backbone, head = load_reader(tmp_path / "reader.safetensors")
    assert head.charset.vocab_size == 97 and not backbone.training


def test_online_without_credentials_goes_offline(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    loggers = RunLogger(mode="online").build(tmp_path, {})
    assert "no credentials" in capsys.readouterr().out
    assert loggers[1]._offline
    wandb.finish()  # an open run would take in the next one's values


def test_decay_by_parameter_type():
    module, _ = build_module(_toy_cfg())
    decaying = {n for n, p in module.named_parameters() if decays(module, n, p)}
    rest = {n for n, _ in module.named_parameters()} - decaying
    tables = {
        "head.image_pos",
        "head.logit_scale",
        "head.text.token_embedding.weight",
        "head.text.positional_embedding",
        "head.attnpool.positional_embedding",
        "backbone.trunk.layer1.0.downsample.1.weight",
        "head.text_class.bias",
    }
    matrices = {
        "head.text_projection",
        "backbone.trunk.conv1.weight",
        "head.decoder.resblocks.0.attn.in_proj_weight",
    }
    assert tables <= rest and matrices <= decaying


def test_custom_keys_multiply_and_must_match():
    module, _ = build_module(_toy_cfg())
    custom = {"head": {"lr_mult": 10}, "head.decoder": {"lr_mult": 2, "decay_mult": 0}}
    groups = parameter_groups(module, 0.1, 0.5, {"custom_keys": custom})
    rates = {id(p): (g["lr"], g["weight_decay"]) for g in groups for p in g["params"]}
    named = dict(module.named_parameters())
    assert rates[id(named["head.text_projection"])] == (1.0, 0.5)
    assert rates[id(named["head.decoder.resblocks.0.mlp.c_fc.weight"])] == (0.2, 0.0)
    assert rates[id(named["backbone.trunk.conv1.weight"])] == (0.1, 0.5)
    with pytest.raises(ConfigError, match=r"'head.decodr'.*Did you mean 'head.decoder'"):
        parameter_groups(module, 0.1, 0.5, {"custom_keys": {"head.decodr": {"lr_mult": 2}}})


def _toy_cfg():
    from ocrpretrain.config import load

    return load(TOY, NANO)


def test_one_cycle_takes_each_group_to_its_own_rate():
    """PyTorch's: from a 25th up to the rate at the share of warm-up, then to nearly 0."""
    parameters = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    groups = [{"params": [p], "lr": lr} for p, lr in zip(parameters, (1.0, 19.0), strict=True)]
    optimizer = torch.optim.AdamW(groups)
    schedule, rates = OneCycle(optimizer, total_steps=101, warmup=0.1), []
    for _ in range(100):
        rates.append(schedule.get_last_lr())
        optimizer.step()
        schedule.step()
    assert rates[0] == pytest.approx([1 / 25, 19 / 25])
    assert max(rate for rate, _ in rates) == pytest.approx(1.0, rel=0.01)
    assert max(range(100), key=lambda step: rates[step][1]) in (9, 10)
    assert rates[-1][0] < 0.001 and all(group["betas"][0] == 0.9 for group in groups)


def test_steps_cut_the_rate_at_shares_of_all_steps():
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule, rates = Steps(optimizer, total_steps=100, warmup_steps=10), []
    for _ in range(100):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    assert rates[0] == 0.1 and rates[9:80] == [1.0] * 71
    assert rates[80:90] == [0.316] * 10 and rates[90:] == pytest.approx([0.1] * 10, rel=0.01)
    with pytest.raises(ConfigError, match="2000 warm-up steps of 100"):
        Steps(optimizer, total_steps=100)


def test_negatives_are_not_split_by_accumulation(tmp_path):
    options = NANO | {"trainer.accumulate_grad_batches": 2}
    with pytest.raises(ConfigError, match="each other's negatives"):
        pretrain(TOY, options, work_dir=tmp_path / "a", dry_run=True)
    pretrain(TOY, options | {"head.contrastive": False}, work_dir=tmp_path / "a", dry_run=True)


def test_freeze_and_init_must_match(tmp_path):
    with pytest.raises(ConfigError, match="backbone.trunk"):
        pretrain(CONFIG, {"freeze": ["backbone.trunc"]}, work_dir=tmp_path / "a", dry_run=True)
