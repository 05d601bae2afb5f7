"""Where a pretraining is logged: a CSV file always, W&B offline by default."""

from __future__ import annotations

import netrc
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch.loggers import CSVLogger, Logger, WandbLogger

from ocrpretrain.environment import file_sha256


class RunLogger:
    """Where a run is logged: `metrics.csv` always, W&B by default without a connection.

    Args:
        project: W&B project.
        mode: 'offline' writes into the run's folder (`wandb sync` uploads it), 'online' streams,
            'disabled' leaves W&B out.
        name: of the run; its folder's name by default.
        group: W&B group; the run's own name by default. Finetunings of its weights join it.
        tags: W&B tags.
    """

    def __init__(
        self,
        project: str = "ocrpretrain",
        mode: Literal["offline", "online", "disabled"] = "offline",
        name: str | None = None,
        group: str | None = None,
        tags: list[str] | None = None,
    ) -> None:
        self.project, self.mode, self.name, self.group, self.tags = project, mode, name, group, tags

    def build(self, folder: Path, cfg: Mapping[str, Any]) -> list[Logger]:
        """The Lightning loggers of a run."""
        loggers: list[Logger] = [CSVLogger(folder, name="", version="")]
        if self.mode != "disabled":
            import wandb

            wandb_logger = WandbLogger(
                name=self.name or folder.name,
                save_dir=folder,
                project=self.project,
                offline=not (self.mode == "online" and has_wandb_key()),
                group=self.group or folder.name,
                job_type="pretrain",
                tags=self.tags,
                settings=wandb.Settings(silent=True),
            )
            wandb_logger.log_hyperparams(dict(cfg))
            use_axis(wandb_logger.experiment, "images_seen", "train/*", "val/*")
            loggers.append(wandb_logger)
        return loggers


def use_axis(run: Any, axis: str, *metrics: str) -> None:
    """Draw metrics over `axis`, which is logged with them, in place of W&B's own step."""
    if hasattr(run, "define_metric"):  # ranks but the first have no run
        run.define_metric(axis)
        for name in metrics:
            run.define_metric(name, step_metric=axis)


def log_file(run: Any, name: str, kind: str, file: Path, metadata: Mapping[str, Any]) -> None:
    """Name a file and its sha256 as an artifact of a W&B run; the file stays where it is."""
    import wandb

    details = {"sha256": file_sha256(file), "file": file.name, **metadata}
    artifact = wandb.Artifact(name, type=kind, metadata=details)
    artifact.add_reference(file.resolve().as_uri(), name=file.name)
    run.log_artifact(artifact)


def has_wandb_key() -> bool:
    """Whether W&B could log in without asking; says so where it could not."""
    try:
        hosts = list(netrc.netrc().hosts)
    except (OSError, netrc.NetrcParseError):
        hosts = []
    if os.environ.get("WANDB_API_KEY") or any("wandb" in host for host in hosts):
        return True
    print("W&B: no credentials found, logging offline (`wandb login`, then `wandb sync`)")
    return False
