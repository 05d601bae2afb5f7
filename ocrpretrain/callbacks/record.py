"""The record of a run: inside its checkpoints, and as `run.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L

from ocrpretrain.callbacks.cost import Cost
from ocrpretrain.config import digest
from ocrpretrain.environment import describe


class RunRecord(L.Callback):
    """Puts config, data, git state and metrics into checkpoints, and `run.json` beside them.

    Args:
        cfg: the resolved config, plain dicts.
        data: one line that names the training data.
        folder: the run's folder.
        cost: what the run costs.
    """

    def __init__(self, cfg: Mapping[str, Any], data: str, folder: Path, cost: Cost) -> None:
        self.cfg, self.data, self.folder, self.cost = dict(cfg), data, folder, cost
        self.surroundings = describe()  # the checkout may change while the run goes on

    def on_save_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint["ocrpretrain"] = self._record(trainer, pl_module)

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not trainer.is_global_zero or trainer.interrupted:
            return
        text = json.dumps(self._record(trainer, pl_module), indent=1, default=list)
        (self.folder / "run.json").write_text(text + "\n", "utf-8")

    def _record(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        return {
            "config": self.cfg,
            "config_hash": digest(self.cfg),
            "seed": self.cfg.get("seed", 0),
            "group": self.cfg.get("logger", {}).get("group") or self.folder.name,
            "data": self.data,
            "images_seen": int(pl_module.images_seen),  # pyright: ignore[reportArgumentType]
            "steps": trainer.global_step,
            "metrics": {name: float(value) for name, value in trainer.callback_metrics.items()},
            **self.cost.summary(self.cfg["data"]["batch_size"]),
            **self.surroundings,
        }
