"""Build and run a pretraining: seed, data, model, callbacks, loggers, fit, resume, dry run."""

from __future__ import annotations

import logging
import os
import statistics
import warnings
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint

from ocrpretrain.callbacks import Cost, RandomState, RunRecord, StepClock, UntilEnd, WithinEpoch
from ocrpretrain.callbacks.cost import peak_memory
from ocrpretrain.config import DEFAULT_TYPES, build, dump, load
from ocrpretrain.data import OCRDataModule
from ocrpretrain.environment import emulates_bfloat16, share_cores
from ocrpretrain.errors import ConfigError
from ocrpretrain.loggers import log_file
from ocrpretrain.module import PretrainModule
from ocrpretrain.optim import build_optimizer
from ocrpretrain.runs import check_folder, keep_curve
from ocrpretrain.signature import resolve
from ocrpretrain.weights.format import after, initialise

WITHIN_EPOCH = timedelta(minutes=10)


def pretrain(
    config: str | os.PathLike[str],
    overrides: Mapping[str, Any] | None = None,
    work_dir: str | os.PathLike[str] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
) -> Path:
    """Run one pretraining from a config file.

    Args:
        config: a pretrain config.
        overrides: dotted path -> value, as `--cfg-options`.
        work_dir: where to write; `work_dirs/<config name>` by default.
        resume: go on from the run's last checkpoint if there is one; a finished run goes on where
            the trainer's length is now another.
        overwrite: start again where a finished run lies.
        dry_run: check, build, and take one training and one validation step; write nothing.

    Returns:
        The run's folder: `config.py`, `checkpoints/{best,last}.ckpt`, `metrics.csv`, `run.json`.

    Raises:
        ConfigError: mistakes in the config, or a folder that holds another run.
    """
    cfg = load(config, overrides)
    folder = Path(work_dir or cfg.get("work_dir") or Path("work_dirs") / Path(config).stem)
    last = None if dry_run else check_folder(folder, resume, overwrite, cfg["trainer"])
    _quiet()
    share_cores(cfg["data"].get("num_workers", 0))
    L.seed_everything(cfg.get("seed", 0), workers=True, verbose=False)
    narrow = "bf16" in str(cfg["trainer"].get("precision"))
    if narrow and emulates_bfloat16(cfg["trainer"].get("accelerator", "auto")):
        print("this CPU has no bfloat16: trainer.precision=32-true is several times as fast here")
    module, data = build_module(cfg)
    if module.head.needs_whole_batch and cfg["trainer"].get("accumulate_grad_batches", 1) > 1:
        raise ConfigError(
            f"{config}: trainer.accumulate_grad_batches: the images of a batch are each other's "
            "negatives, and accumulated parts would not see one another; use a larger "
            "data.batch_size or more processes"
        )
    cost = Cost()
    options: dict[str, Any] = {"use_distributed_sampler": False, **cfg["trainer"]}
    if dry_run:
        module.make_scheduler = None  # one step is shorter than any warm-up
        dry = {**options, "logger": False, "fast_dev_run": 1, "callbacks": [cost]}
        L.Trainer(**dry).fit(module, data)
        print(dry_report(module, data, cost, cfg))
        return folder

    folder.mkdir(parents=True, exist_ok=True)
    keep_curve(folder)
    dump(cfg, folder / "config.py")
    record = RunRecord(cfg, data.train.describe() + after(cfg.get("init", ())), folder, cost)
    loggers = build({"type": DEFAULT_TYPES["logger"], **cfg.get("logger", {})}).build(folder, cfg)
    trainer = L.Trainer(
        **options,
        logger=loggers,
        callbacks=[*_callbacks(folder, module.head.monitor), cost, record, *_extra_callbacks(cfg)],
        default_root_dir=folder,
    )
    print(f"resuming from {last}" if last else f"starting a new run in {folder}")
    trainer.fit(module, data, ckpt_path=last, weights_only=True)
    if len(loggers) > 1 and trainer.is_global_zero:
        import wandb

        if wandb.run is not None:
            best = folder / "checkpoints" / "best.ckpt"
            if best.exists():
                seen = {"images_seen": module.images_seen}
                log_file(wandb.run, f"{folder.name}-best", "checkpoint", best, seen)
            print(f"W&B run: {Path(wandb.run.dir).parent}")
        wandb.finish()
    return folder


def time_step(
    config: str | os.PathLike[str], overrides: Mapping[str, Any] | None = None, steps: int = 4
) -> float:
    """Median seconds of a training step, the first one left out; nothing is written."""
    cfg = load(config, overrides)
    _quiet()
    share_cores(cfg["data"].get("num_workers", 0))
    module, data = build_module(cfg)
    module.make_scheduler = None
    clock = StepClock()
    quiet = dict.fromkeys(
        ("logger", "enable_progress_bar", "enable_model_summary", "enable_checkpointing"), False
    )
    options = {"use_distributed_sampler": False, **cfg["trainer"], **quiet}
    options |= {"max_steps": steps, "limit_val_batches": 0, "callbacks": [clock]}
    L.Trainer(**options).fit(module, data)
    return statistics.median(clock.seconds[1:])


def build_module(cfg: Mapping[str, Any]) -> tuple[PretrainModule, OCRDataModule]:
    """The Lightning module and data module of a checked config."""
    backbone = build(cfg["backbone"])
    head = build(cfg["head"], in_channels=backbone.out_channels, strides=backbone.strides)
    optimizer = {"type": DEFAULT_TYPES["optimizer"], **cfg["optimizer"]}
    make_optimizer = partial(_make_optimizer, optimizer)
    make_scheduler = None
    if "scheduler" in cfg:
        make_scheduler = partial(_make_scheduler, cfg["scheduler"])
    # Faster on a CPU and made for tensor cores; names and values stay the same.
    backbone.to(memory_format=torch.channels_last)
    module = PretrainModule(backbone, head, make_optimizer, make_scheduler, cfg.get("freeze", ()))
    if cfg.get("init"):
        new = initialise(module, cfg["init"])
        print(f"init: {len(new)} tensors stay new: {', '.join(new[:8])}{' ...' * (len(new) > 8)}")
    data = build(
        {"type": DEFAULT_TYPES["data"], **cfg["data"]},
        seed=cfg.get("seed", 0),
        view_name=head.view,
        collator=head.collator(),
        size_divisor=backbone.size_divisor,
    )
    return module, data


def dry_report(
    module: PretrainModule, data: OCRDataModule, cost: Cost, cfg: Mapping[str, Any]
) -> str:
    """Parameters, shapes, steps, FLOPs and memory after one step, for people."""
    height, width = data.train_view.size
    image = torch.zeros(1, 3, height, width, dtype=torch.uint8)
    with torch.no_grad():
        maps = module.backbone(module.backbone.normalize(image.to(module.device))).maps
    trainer, batch = cfg["trainer"], data.batch_size
    per_epoch = len(data.train_dataloader())
    steps = trainer.get("max_steps", -1)
    steps = steps if steps > 0 else per_epoch * trainer.get("max_epochs", 1)
    gflop = {name: value / batch / 1e9 for name, value in cost.flops.items()}
    count = {
        name: sum(p.numel() for p in part.parameters())
        for name, part in (("backbone", module.backbone), ("head", module.head))
    }
    return "\n".join(
        (
            f"parameters: backbone {count['backbone']:,}, head {count['head']:,}",
            f"maps of a {height} x {width} image: "
            + ", ".join(f"{tuple(x.shape[1:])}" for x in maps),
            f"steps: {steps:,} of {batch} images and process ({per_epoch:,} an epoch), "
            f"validated on {len(data.val):,} images",
            f"GFLOP an image: forward {gflop['forward']:.2f}, backward {gflop['backward']:.2f}",
            f"peak memory: {peak_memory() / 2**30:.2f} GiB",
            "dry run: one training and one validation step went through",
        )
    )


def _make_optimizer(spec: Mapping[str, Any], module: Any) -> Any:
    options = {key: value for key, value in spec.items() if key != "type"}
    return build_optimizer(module, resolve(spec["type"]), **options)  # pyright: ignore


def _make_scheduler(spec: Mapping[str, Any], optimizer: Any, total_steps: int) -> Any:
    spec = {"type": DEFAULT_TYPES["scheduler"], **spec}
    return build(spec, optimizer=optimizer, total_steps=total_steps)


def _callbacks(folder: Path, monitor: str) -> list[L.Callback]:
    checkpoints = folder / "checkpoints"
    options: dict[str, Any] = {"dirpath": checkpoints, "enable_version_counter": False}
    best = ModelCheckpoint(filename="best", monitor=monitor, mode="max", **options)
    # Not 'save_last': the last checkpoint must also be written when the best one is not.
    last = UntilEnd(filename="last", **options)
    # A long epoch loses ten minutes at most.
    within = WithinEpoch(filename="within", train_time_interval=WITHIN_EPOCH, **options)
    return [best, last, within, RandomState(), LearningRateMonitor("step")]


def _extra_callbacks(cfg: Mapping[str, Any]) -> list[L.Callback]:
    return [build(spec) for spec in cfg.get("callbacks", ())]


def _quiet() -> None:
    """Leave out what Lightning says about folders that are ours and loggers that are not."""
    for message in (".*exists and is not empty", ".*LeafSpec", ".*many workers which may be"):
        warnings.filterwarnings("ignore", message)
    for name in ("lightning.pytorch.utilities.rank_zero", "lightning.pytorch"):
        logging.getLogger(name).addFilter(lambda record: "litlogger" not in record.getMessage())
