"""Where a pretraining is logged: a CSV file always, W&B offline by default."""

from __future__ import annotations

import netrc
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch.loggers import CSVLogger, Logger, WandbLogger


class RunLogger:
    """Where a run is logged: `metrics.csv` always, W&B by default without a connection.

    Args:
        project: W&B project.
        mode: 'offline' writes into the run's folder (`wandb sync` uploads it), 'online' streams,
            'disabled' leaves W&B out.
        name: of the run; its folder's name by default.
        group: W&B group.
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
                group=self.group,
                tags=self.tags,
                settings=wandb.Settings(silent=True),
            )
            wandb_logger.log_hyperparams(dict(cfg))
            loggers.append(wandb_logger)
        return loggers


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
