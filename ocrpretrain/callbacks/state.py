"""What makes a resumed run go on as if nothing had happened."""

from __future__ import annotations

import random
from typing import Any

import lightning as L
import numpy as np
import torch
import torch.distributed
from lightning.pytorch.callbacks import ModelCheckpoint


class WithinEpoch(ModelCheckpoint):
    """`ModelCheckpoint` inside epochs, but never at their last step.

    From there Lightning would go on with the next epoch, and leave out the validation and the
    checkpoints of the one that ended; `last.ckpt` follows a moment later anyway.
    """

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        if not trainer.is_last_batch:
            super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)


class UntilEnd(ModelCheckpoint):
    """`ModelCheckpoint` that keeps a run's last step, also where that is inside an epoch.

    Where `max_steps` or `max_time` end a run between two validations, Lightning's may leave the
    weights of the earlier one, or count the epoch as finished: a resumed run left out its rest.
    """

    _kept = -1  # the step that was saved inside an epoch

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        stops = trainer.should_stop and trainer.fit_loop._can_stop_early
        if (stops or trainer.global_step == trainer.max_steps) and not trainer.is_last_batch:
            _save(self, trainer)
            self._kept = trainer.global_step

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        super().on_validation_end(trainer, pl_module)
        if self._kept != trainer.global_step:
            return
        for callback in trainer.checkpoint_callbacks:  # whose states are part of this one's file
            if isinstance(callback, ModelCheckpoint) and callback.monitor:
                _save(callback, trainer)
        self._last_global_step_saved = 0
        _save(self, trainer)  # again, with what was validated

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self._kept != trainer.global_step:
            super().on_train_epoch_end(trainer, pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        super().on_train_end(trainer, pl_module)
        if self._kept != trainer.global_step:
            _save(self, trainer)


def _save(callback: ModelCheckpoint, trainer: L.Trainer) -> None:
    if not callback._should_skip_saving_checkpoint(trainer):
        callback._save_topk_checkpoint(trainer, callback._monitor_candidates(trainer))


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
