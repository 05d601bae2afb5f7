"""Lightning callbacks: the run record inside checkpoints and on disk, and pictures of samples."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
import torch.distributed
from lightning.pytorch.loggers import WandbLogger

from ocrpretrain.drawing import draw_words, save_picture, tile
from ocrpretrain.environment import git_state, machine, versions


class RunRecord(L.Callback):
    """Puts config, data, git state and metrics into checkpoints, and `run.json` beside them.

    Args:
        cfg: the resolved config, plain dicts.
        data: one line that names the training data.
        folder: the run's folder.
    """

    def __init__(self, cfg: Mapping[str, Any], data: str, folder: Path) -> None:
        self.cfg, self.data, self.folder = dict(cfg), data, folder
        self.git = git_state()
        self.seconds = 0.0
        self._start = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self._elapsed()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.seconds = state_dict["seconds"]

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._start = time.monotonic()

    def on_save_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint["ocrpretrain"] = self._record(trainer, pl_module)

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not trainer.is_global_zero or trainer.interrupted:
            return
        record = self._record(trainer, pl_module)
        record |= {"seconds": self._elapsed(), "environment": versions(), "machine": machine()}
        text = json.dumps(record, indent=1, default=list)
        (self.folder / "run.json").write_text(text + "\n", "utf-8")

    def _elapsed(self) -> float:
        return self.seconds + time.monotonic() - self._start

    def _record(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        return {
            "config": self.cfg,
            "data": self.data,
            "git": self.git,
            "images_seen": int(pl_module.images_seen),  # pyright: ignore[reportArgumentType]
            "steps": trainer.global_step,
            "metrics": metrics,
        }


class RandomState(L.Callback):
    """Carries the random states of Python, NumPy and torch, of each process, across a resume."""

    def __init__(self) -> None:
        self._stored: list[dict[str, Any]] = []

    def on_save_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        states: list[Any] = [random_state()]
        if trainer.world_size > 1:
            states = [None] * trainer.world_size
            torch.distributed.all_gather_object(states, random_state())
        checkpoint["random_states"] = states

    def on_load_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self._stored = checkpoint.get("random_states", [])

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        # Not when the checkpoint is read: what Lightning does until here draws numbers too.
        if len(self._stored) == trainer.world_size:
            set_random_state(self._stored[trainer.global_rank])
        elif self._stored:
            print(
                f"random states of {len(self._stored)} processes do not fit {trainer.world_size}: "
                "the run goes on, but not as it would have without the break"
            )
        self._stored = []


def random_state() -> dict[str, Any]:
    """The states of all generators of this process, as tensors and numbers."""
    name, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (name, torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Put back what `random_state` returned."""
    version, keys, gauss = state["python"]
    random.setstate((version, tuple(keys), gauss))
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    if state["cuda"] and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])


class StepClock(L.Callback):
    """Seconds from one finished training step to the next, loading included."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._last = 0.0

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._last = time.monotonic()

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        now = time.monotonic()
        self.seconds.append(now - self._last)
        self._last = now


class SamplePicture(L.Callback):
    """Draws training samples as the head sees them, with words and polygons, before step 0.

    Args:
        count: number of samples.
        columns: samples per row.
    """

    def __init__(self, count: int = 16, columns: int = 4) -> None:
        self.count, self.columns = count, columns

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        loader = trainer.datamodule.train_dataloader()  # pyright: ignore
        dataset, folder = loader.dataset, Path(trainer.default_root_dir)
        if not trainer.is_global_zero:
            return
        samples = [dataset[index] for index in range(min(self.count, len(dataset)))]
        drawn = [draw_words(s.image, s.text, s.polygons) for s in samples]
        picture = tile(drawn, self.columns)
        save_picture(picture, folder / "samples.png")
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.log_image("samples", [picture])
