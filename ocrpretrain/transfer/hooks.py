"""MMEngine hooks of a finetuning: proof of the weights, progress with time left, the loss curve."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import Any, cast

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ocrpretrain.errors import CheckpointMismatchError
from ocrpretrain.transfer.adapter import Adapter
from ocrpretrain.weights.format import read_weights


class VerifyBackbone(Hook):
    """Compares the built and initialised backbone with the weights file before the first step."""

    def before_train(self, runner: Runner) -> None:
        adapter = runner.model.backbone
        if runner.iter:  # resumed: it was compared at its first step, and has trained since
            return
        if not isinstance(adapter, Adapter) or adapter.weights is None:
            return
        wanted = read_weights(adapter.weights, "backbone.")
        own = {name: tensor.cpu() for name, tensor in adapter.backbone.state_dict().items()}
        differs = [
            name
            for name in sorted(wanted.keys() | own.keys())
            if name not in own or name not in wanted or not torch.equal(own[name], wanted[name])
        ]
        if differs:
            raise CheckpointMismatchError(
                f"after initialisation {len(differs)} tensors of the backbone differ from "
                f"{adapter.weights}: {', '.join(differs[:8])}"
            )
        print(f"backbone: all {len(wanted)} tensors equal {Path(adapter.weights).name}")


class RunLog(Hook):
    """Progress bar on the terminal, `losses.csv` in the run's folder, and the W&B run if any.

    Args:
        folder: of the run.
        interval: iterations between two points of the curve.
        wandb_run: a W&B run that the caller owns and finishes, or None.
    """

    priority = "VERY_LOW"

    def __init__(self, folder: Path, interval: int = 10, wandb_run: Any = None) -> None:
        self.file, self.interval, self.wandb_run = folder / "losses.csv", interval, wandb_run
        self.before, self.start = 0.0, time.monotonic()
        self.progress = Progress(
            TextColumn("finetune"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.3f}"),
            TextColumn("{task.fields[rate]:.1f} it/s"),
            TimeRemainingColumn(elapsed_when_finished=True),
        )

    def before_train(self, runner: Runner) -> None:
        self.progress.start()
        unknown = float("nan")
        self.task = self.progress.add_task("", total=runner.max_iters, loss=unknown, rate=unknown)
        self.start, self.first = time.monotonic(), runner.iter
        kept = self._rows_until(runner.iter)
        self.file.write_text("".join(kept), "utf-8")

    def _rows_until(self, step: int) -> list[str]:
        """The header and the rows of a resumed run that are not trained again."""
        if not step or not self.file.exists():
            return []
        header, *rows = self.file.read_text("utf-8").splitlines(keepends=True)
        return [header, *(row for row in rows if int(row.partition(",")[0]) <= step)]

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        step = runner.iter + 1
        values = {name: value.item() for name, value in outputs.items()}
        rate = (step - self.first) / (time.monotonic() - self.start)
        self.progress.update(self.task, completed=step, loss=values["loss"], rate=rate)
        if step % self.interval and step != runner.max_iters:
            return
        rates = {"lr": cast(Any, runner.optim_wrapper).get_lr()["lr"][0]}
        row = {"step": step, **rates, **dict(sorted(values.items()))}
        with self.file.open("a", newline="") as file:
            writer = csv.DictWriter(file, list(row), lineterminator="\n")
            if not file.tell():
                writer.writeheader()
            writer.writerow(row)
        if self.wandb_run is not None:
            named = {f"train/{name}": value for name, value in row.items() if name != "step"}
            self.wandb_run.log({**named, "iteration": step})

    def seconds(self) -> float:
        """Of training, breaks left out."""
        return self.before + time.monotonic() - self.start

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        checkpoint["meta"]["seconds"] = self.seconds()
        # MMEngine's histories pickle methods: without them the file is plain, and loads safely.
        empty = dict.fromkeys(("log_scalars", "runtime_info", "resumed_keys"), {})
        checkpoint["message_hub"] = empty

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        self.before = checkpoint["meta"].get("seconds", 0.0)

    def after_train(self, runner: Runner) -> None:
        self.progress.stop()
