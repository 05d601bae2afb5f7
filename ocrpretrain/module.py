"""The Lightning side of pretraining: features -> losses -> total; optimizer; logging."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from ocrpretrain.backbones.base import Backbone
from ocrpretrain.errors import UntrainedError
from ocrpretrain.heads.base import Batch, Head
from ocrpretrain.optim import freeze, trainable


class PretrainModule(L.LightningModule):
    """A backbone, a head, and how to step them.

    Args:
        backbone: what is carried on.
        head: the pretext task.
        make_optimizer: (module) -> optimizer.
        make_scheduler: (optimizer, total_steps) -> scheduler, stepped once per step.
        freeze_prefixes: names that get no gradient and stay in eval mode.
    """

    def __init__(
        self,
        backbone: Backbone,
        head: Head,
        make_optimizer: Callable[[nn.Module], Optimizer],
        make_scheduler: Callable[[Optimizer, int], LRScheduler] | None = None,
        freeze_prefixes: Iterable[str] = (),
    ) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head
        self.make_optimizer, self.make_scheduler = make_optimizer, make_scheduler
        self.frozen = freeze(self, freeze_prefixes)
        self.images_seen = 0
        self._collected: dict[str, list[Tensor]] = defaultdict(list)
        self.train()  # Lightning keeps the mode it finds

    def train(self, mode: bool = True) -> PretrainModule:
        super().train(mode)
        for module in self.frozen:
            module.eval()
        return self

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        features = self.head.encode(self.backbone, batch)
        losses, metrics = self.head(features, batch)
        weights = self.head.loss_weights
        total = torch.stack([weights[name] * loss for name, loss in losses.items()]).sum()
        logs = {"train/loss": total, **{f"train/loss_{k}": v for k, v in losses.items()}}
        logs |= {f"train/{name}": value for name, value in metrics.items()}
        size = len(batch["image"])
        self.images_seen += size * self.trainer.world_size
        self.log("train/loss", logs.pop("train/loss"), prog_bar=True, batch_size=size)
        self.log_dict(logs, batch_size=size)
        self.log("images_seen", float(self.images_seen))
        return total

    def on_after_backward(self) -> None:
        if self.trainer.global_step == 0:
            idle = [name for name, p in trainable(self.backbone).items() if p.grad is None]
            if idle:
                raise UntrainedError(
                    "no gradient reaches these tensors of the backbone, so they would be exported "
                    "as they were initialised; freeze them or let the head use their stage: "
                    + ", ".join(f"backbone.{name}" for name in idle)
                )

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        features = self.head.encode(self.backbone, batch)
        for name, value in self.head.validate(features, batch).items():
            self._collected[name].append(value.detach().cpu())

    def on_validation_epoch_end(self) -> None:
        collected = {name: torch.cat(values) for name, values in self._collected.items()}
        self._collected.clear()
        for name, value in self.head.summarize(collected).items():
            shown = f"val/{name}" == self.head.monitor
            self.log(f"val/{name}", value, prog_bar=shown, sync_dist=True)

    def configure_optimizers(self) -> Any:
        optimizer = self.make_optimizer(self)
        if self.make_scheduler is None:
            return optimizer
        scheduler = self.make_scheduler(optimizer, int(self.trainer.estimated_stepping_batches))
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["images_seen"] = self.images_seen

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.images_seen = checkpoint["images_seen"]
