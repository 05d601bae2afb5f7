"""The folder of a pretraining run: may it be written to, and which checkpoint goes on."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ocrpretrain.errors import ConfigError


def check_folder(folder: Path, resume: bool, overwrite: bool, trainer: Mapping[str, Any]) -> None:
    """Refuse to mix two runs; clear what `overwrite` replaces.

    Raises:
        ConfigError: the folder holds a run, and nobody said what is to become of it.
    """
    record = folder / "run.json"
    if record.exists() and not overwrite:
        before = json.loads(record.read_text("utf-8"))["config"]["trainer"]
        lengths = ("max_epochs", "max_steps", "max_time")
        changed = any(before.get(key) != trainer.get(key) for key in lengths)
        if not (resume and changed):
            raise ConfigError(
                f"{folder}: holds a finished run; use another --work-dir, --overwrite to replace "
                "it, or --resume with another trainer.max_epochs, max_steps or max_time to train on"
            )
        record.unlink()
    checkpoints = list((folder / "checkpoints").glob("*.ckpt"))
    if checkpoints and not (resume or overwrite):
        raise ConfigError(
            f"{folder}: holds an unfinished run; --resume goes on, --overwrite starts again"
        )
    if overwrite:
        for file in (record, folder / "metrics.csv", *checkpoints):
            file.unlink(missing_ok=True)


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
