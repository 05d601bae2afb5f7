"""What a run costs: FLOPs, memory, time."""

from __future__ import annotations

import os
import resource
import sys
import time
from typing import Any

import lightning as L
import torch
from torch.utils.flop_counter import FlopCounterMode


class Cost(L.Callback):
    """FLOPs of the first step's forward and backward, peak memory, wall and process time.

    The counter only watches: the step's numbers do not change. Times add up across resumes; process
    time includes finished loader workers.
    """

    def __init__(self) -> None:
        self.flops = {"forward": 0, "backward": 0}
        self.before = {"seconds": 0.0, "process_seconds": 0.0}
        self._start = (time.monotonic(), _process_seconds())
        self._counter: FlopCounterMode | None = None
        self._done = False

    def summary(self, images: int) -> dict[str, Any]:
        """The record's part, FLOPs per image of a step of `images` images."""
        return {
            **self.state_dict(),
            "flops_per_image": {name: value / max(images, 1) for name, value in self.flops.items()},
            "peak_memory_bytes": peak_memory(),
        }

    def state_dict(self) -> dict[str, Any]:
        return {
            "seconds": self.before["seconds"] + time.monotonic() - self._start[0],
            "process_seconds": self.before["process_seconds"] + _process_seconds() - self._start[1],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.before = {name: state_dict[name] for name in self.before}

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if not self._done:
            self._counter = FlopCounterMode(display=False)
            self._counter.__enter__()

    def on_before_backward(
        self, trainer: L.Trainer, pl_module: L.LightningModule, loss: torch.Tensor
    ) -> None:
        if self._counter is not None:
            self.flops["forward"] = self._counter.get_total_flops()

    def on_after_backward(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self._counter is not None:
            self._counter.__exit__(None, None, None)
            self.flops["backward"] = self._counter.get_total_flops() - self.flops["forward"]
            self._counter, self._done = None, True


def peak_memory() -> int:
    """Bytes: of the accelerator where there is one, else the process's largest resident size."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _process_seconds() -> float:
    return sum(os.times()[:4])


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
