"""The folder of a pretraining run: may it be written to, and which checkpoint goes on."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import Timer

from ocrpretrain.errors import ConfigError


def check_folder(
    folder: Path, resume: bool, overwrite: bool, trainer: Mapping[str, Any]
) -> Path | None:
    """Refuse to mix two runs; clear what `overwrite` replaces.

    Returns:
        The checkpoint that `resume` goes on from, if there is one.

    Raises:
        ConfigError: the folder holds a run, and nobody said what is to become of it; or it is as
            long already as the trainer's steps or time allow.
    """
    record = folder / "run.json"
    last = newest_checkpoint(folder) if resume and not overwrite else None
    if record.exists() and not overwrite:
        before = json.loads(record.read_text("utf-8"))["config"]["trainer"]
        lengths = ("max_epochs", "max_steps", "max_time")
        changed = any(before.get(key) != trainer.get(key) for key in lengths)
        if not (resume and changed):
            raise ConfigError(
                f"{folder}: holds a finished run; use another --work-dir, --overwrite to replace "
                "it, or --resume with another trainer.max_epochs, max_steps or max_time to train on"
            )
        if last is not None:
            _check_length(last, trainer)
        record.unlink()
    checkpoints = list((folder / "checkpoints").glob("*.ckpt"))
    if checkpoints and not (resume or overwrite):
        raise ConfigError(
            f"{folder}: holds an unfinished run; --resume goes on, --overwrite starts again"
        )
    if overwrite:
        for file in (record, folder / "metrics.csv", *checkpoints):
            file.unlink(missing_ok=True)
    return last


def _check_length(last: Path, trainer: Mapping[str, Any]) -> None:
    """Refuse a length that the run has already: Lightning would train nothing and end."""
    content = torch.load(last, map_location="cpu", weights_only=True, mmap=True)
    steps = trainer.get("max_steps") or -1
    if 0 <= steps <= content["global_step"]:
        raise ConfigError(f"trainer.max_steps: {last} has {content['global_step']} steps already")
    if trainer.get("max_time"):
        timer = Timer(trainer["max_time"])
        timer.load_state_dict(content["callbacks"].get(timer.state_key, {}))
        remaining, taken = timer.time_remaining(), timedelta(seconds=round(timer.time_elapsed()))
        if remaining is not None and remaining <= 0:
            raise ConfigError(f"trainer.max_time: {last} took {taken} already")


def newest_checkpoint(folder: Path) -> Path | None:
    """The readable checkpoint with the most steps; one that cannot be read is named and skipped."""
    found: list[tuple[int, bool, float, Path]] = []
    for path in sorted((folder / "checkpoints").glob("*.ckpt")):
        try:
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
            # The best one of the same step may count an epoch as finished that was broken off.
            last = path.stem == "last"
            found.append((content["global_step"], last, path.stat().st_mtime, path))
        except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError):
            print(f"{path}: half written or damaged, skipped")
    return max(found)[-1] if found else None


def keep_curve(folder: Path) -> None:
    """Lightning's CSV logger deletes what it finds: the curve before a resume gets a number."""
    curve = folder / "metrics.csv"
    if curve.exists():
        curve.rename(folder / f"metrics_part{len(list(folder.glob('metrics_part*.csv'))) + 1}.csv")
