"""Finetune an MMOCR detector on our backbone with MMEngine's Runner."""

from __future__ import annotations

import copy
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from ocrpretrain.config import digest, dump
from ocrpretrain.environment import file_sha256, git_state, machine, share_cores, versions
from ocrpretrain.errors import ConfigError
from ocrpretrain.loggers import has_wandb_key, log_file, use_axis
from ocrpretrain.transfer.adapter import plain
from ocrpretrain.transfer.hooks import RunLog, VerifyBackbone
from ocrpretrain.transfer.mmocr import backbone_info, insert_backbone, load, register
from ocrpretrain.weights.format import WeightsInfo

PathLike = str | os.PathLike[str]
SOURCE_DATASET = "ocrpretrain.transfer.dataset.SourceDataset"
# Shares of the images: training, held out to choose the score threshold, and test images where
# one folder serves for all.
WITH_TEST = {"train": (0.0, 0.9), "val": (0.9, 1.0)}
WITHOUT_TEST = {"train": (0.0, 0.7), "val": (0.7, 0.8), "test": (0.8, 1.0)}


def finetune(
    config: PathLike,
    weights: PathLike | None,
    like: PathLike | None = None,
    train: PathLike | None = None,
    test: PathLike | None = None,
    overrides: Mapping[str, Any] | None = None,
    work_dir: PathLike | None = None,
    seed: int = 0,
    overwrite: bool = False,
    resume: bool = False,
    wandb_mode: str = "offline",
) -> Path:
    """Train one detector.

    Args:
        config: an MMOCR text detection config.
        weights: a weights file, or None for random initialisation.
        like: where `weights` is None, the file whose architecture is initialised at random.
        train: folder or zip of training images, in place of the config's; a seeded tenth is held
            out of training, and a fifth is the test set where `test` is None.
        test: folder or zip of test images, in place of the config's.
        overrides: dotted path -> value, as `--cfg-options`.
        work_dir: where to write; `work_dirs/<config>_<weights>_seed<N>` by default.
        seed: of the run.
        overwrite: train again where a finished run lies.
        resume: go on from the run's newest readable checkpoint, at the border of an epoch.
        wandb_mode: 'offline', 'online' or 'disabled'.

    Returns:
        The run's folder: `config.py`, `detector.pth`, `losses.csv`, `run.json`.

    Raises:
        ConfigError: mistakes in the config, or a folder that holds another run.
        CheckpointMismatchError: weights that do not fit.
    """
    info = backbone_info(weights, like)
    cfg = load(config, overrides)
    for section, instead in (("load_from", "--weights"), ("resume", "--resume")):
        if cfg.get(section):
            raise ConfigError(
                f"{config}: {section}: MMEngine would load it without saying what did not fit; "
                f"use {instead}, and set {section}=None"
            )
    cfg = insert_backbone(cfg, info, weights)
    cfg = follow_seed(use_sources(cfg, train, test), seed)
    name = f"{Path(config).stem}_{Path(weights).stem if weights else 'random'}_seed{seed}"
    folder = Path(work_dir or Path("work_dirs") / name)
    _check_folder(folder, resume, overwrite)
    folder.mkdir(parents=True, exist_ok=True)
    cfg |= {"work_dir": str(folder), "randomness": {"seed": seed}, "experiment_name": folder.name}
    cfg.setdefault("log_level", "WARNING")
    dump(cfg, folder / "config.py")

    run = _wandb_run(wandb_mode, folder, cfg, info.group)
    register()
    share_cores(cfg["train_dataloader"].get("num_workers", 0))
    # Nothing is chosen while training: the last weights count, and MMOCR's configs would validate
    # on the test images. The held-out images choose the threshold later, in `evaluate`.
    kinds = ("dataloader", "cfg", "evaluator")
    unused = {f"{split}_{kind}": None for split in ("val", "test") for kind in kinds}
    last = newest_epoch(folder) if resume else None
    if resume:
        print(f"resuming from {last}" if last else f"starting a new run in {folder}")
    go_on = {"load_from": str(last), "resume": True} if last else {}
    runner = Runner.from_cfg(Config(copy.deepcopy({**cfg, **unused, **go_on})))
    runner.model.to(memory_format=torch.channels_last)
    log = RunLog(folder, wandb_run=run)
    runner.register_hook(VerifyBackbone())
    runner.register_hook(log)
    runner.train()
    state = {name: tensor.cpu() for name, tensor in runner.model.state_dict().items()}
    torch.save({"state_dict": state, "meta": {}}, folder / "detector.pth")
    record = run_record(cfg, info, weights, seed, log.seconds())
    record |= {"config_name": Path(config).stem, "iterations": runner.iter}
    record["new_parameters"] = count_new(runner.model)
    (folder / "run.json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    if run is not None:
        pretraining = {"pretraining_sha256": record["pretraining"]["sha256"]}
        log_file(run, f"{folder.name}-detector", "detector", folder / "detector.pth", pretraining)
        run.finish()
    return folder


def count_new(detector: torch.nn.Module) -> dict[str, int]:
    """Parameters that come from no weights file, by part of the detector."""
    counts: dict[str, int] = {}
    for name, parameter in detector.named_parameters():
        if not name.startswith("backbone.backbone."):
            part = name.split(".")[0] if not name.startswith("backbone.") else "pyramid"
            counts[part] = counts.get(part, 0) + parameter.numel()
    return counts


def follow_seed(cfg: dict[str, Any], seed: int) -> dict[str, Any]:
    """The config with a training sample's randomness made a function of seed, epoch and index."""
    loader = cfg["train_dataloader"]
    if loader["dataset"]["type"] != SOURCE_DATASET:
        return cfg  # a data set of MMOCR's own draws as MMEngine lets it
    sampler = {**loader["sampler"], "type": "ocrpretrain.transfer.dataset.EpochPositions"}
    dataset = {**loader["dataset"], "seed": seed}
    return {**cfg, "train_dataloader": {**loader, "sampler": sampler, "dataset": dataset}}


def _check_folder(folder: Path, resume: bool, overwrite: bool) -> None:
    epochs = list(folder.glob("epoch_*.pth"))
    if overwrite:
        for file in (folder / "run.json", *epochs):
            file.unlink(missing_ok=True)
    elif (folder / "run.json").exists():
        raise ConfigError(f"{folder}: holds a finished run; use another --work-dir, or --overwrite")
    elif epochs and not resume:
        raise ConfigError(
            f"{folder}: holds an unfinished run; --resume goes on, --overwrite starts again"
        )


def newest_epoch(folder: Path) -> Path | None:
    """The checkpoint of the latest epoch that was written to its end."""
    files = sorted(folder.glob("epoch_*.pth"), key=lambda path: int(path.stem.partition("_")[2]))
    for path in reversed(files):
        if zipfile.is_zipfile(path):
            return path
        print(f"{path}: half written or damaged, skipped")
    return None


def use_sources(
    cfg: Mapping[str, Any], train: PathLike | None, test: PathLike | None
) -> dict[str, Any]:
    """The config with its images replaced by folders or zips."""
    shares = {split: (train, share) for split, share in WITH_TEST.items()}
    if test is None:
        shares = {split: (train, share) for split, share in WITHOUT_TEST.items()}
    else:
        shares["test"] = (test, (0.0, 1.0))
    replaced = {
        f"{split}_dataloader": _with_source(cfg[f"{split}_dataloader"], path, *share)
        for split, (path, share) in shares.items()
        if path is not None
    }
    return {**cfg, **replaced}


def _with_source(
    loader: Mapping[str, Any], path: PathLike, start: float, stop: float
) -> dict[str, Any]:
    old = loader["dataset"]
    dataset = {
        "type": SOURCE_DATASET,
        "source": {
            "type": "ocrpretrain.data.Folder",
            "path": str(Path(path).resolve()),
            "start": start,
            "stop": stop,
        },
        "pipeline": old["pipeline"],
        "test_mode": old.get("test_mode", False),
    }
    return {**loader, "dataset": dataset}


def run_record(
    cfg: Mapping[str, Any],
    info: WeightsInfo,
    weights: PathLike | None,
    seed: int,
    seconds: float,
) -> dict[str, Any]:
    """What a leaderboard needs to know about a finetuning."""
    loader = cfg["train_dataloader"]
    pretrained = weights is not None
    return {
        "detector": cfg["model"]["type"],
        "backbone": plain(info.backbone),
        "head": info.head["type"].rpartition(".")[2] if pretrained and info.head else "none",
        "pretraining": {
            "data": info.data if pretrained else "none (random initialisation)",
            "images_seen": info.images_seen if pretrained else 0,
            "config_hash": info.config_hash if pretrained else None,
            "seed": info.seed if pretrained else None,
            "git": info.git if pretrained else None,
            "sha256": file_sha256(weights) if weights is not None else None,
        },
        "batch_size": loader["batch_size"],
        "epochs": cfg["train_cfg"].get("max_epochs"),
        "seed": seed,
        "config_hash": digest(comparable(cfg)),
        "git": git_state(),
        "environment": versions(),
        "machine": machine(),
        "seconds": round(seconds, 1),
    }


def comparable(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """The config without what may differ inside one comparison: weights, seed, names, folders."""
    left_out = {"randomness", "experiment_name", "work_dir"}
    rest: dict[str, Any] = plain({k: v for k, v in cfg.items() if k not in left_out})
    rest["model"]["backbone"].pop("weights", None)
    rest["train_dataloader"]["dataset"].pop("seed", None)
    for split in ("train", "val", "test"):
        source = rest[f"{split}_dataloader"]["dataset"].get("source", {})
        if "path" in source:
            source["path"] = Path(source["path"]).name
    return rest


def build_detector(folder: PathLike, cfg: Mapping[str, Any]) -> torch.nn.Module:
    """The finetuned detector of a run, in eval mode, from its own checkpoint only.

    Raises:
        ConfigError: a folder without a finished run.
        CheckpointMismatchError: a checkpoint that does not fit the run's config.
    """
    from mmocr.registry import MODELS

    from ocrpretrain.weights.format import load_strict

    file = Path(folder) / "detector.pth"
    if not file.is_file():
        raise ConfigError(f"{folder}: holds no detector.pth; was the run finished?")
    register()
    init_default_scope("mmocr")
    model = copy.deepcopy(dict(cfg["model"]))
    model["backbone"] = {**model["backbone"], "weights": None, "norm_eval": False}
    detector = MODELS.build(Config(model)._cfg_dict)
    state = torch.load(file, map_location="cpu", weights_only=True)["state_dict"]
    load_strict(detector, state, str(file))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return detector.eval().to(device, memory_format=torch.channels_last)


def _wandb_run(mode: str, folder: Path, cfg: Mapping[str, Any], group: str) -> Any:
    if mode == "disabled":
        return None
    import wandb

    if mode == "online" and not has_wandb_key():
        mode = "offline"
    run = wandb.init(
        project="ocrpretrain",
        name=folder.name,
        group=group or None,
        job_type="finetune",
        dir=folder,
        mode=cast(Any, mode),
        config=plain(cfg),
        settings=wandb.Settings(silent=True),
    )
    use_axis(run, "iteration", "train/*")
    return run
