"""What to write: generated images, a data set, or what a config trains on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ocrpretrain import config, data
from ocrpretrain.data.sources.base import Source
from ocrpretrain.errors import ConfigError

GENERATORS = {
    "scenes": data.SyntheticScenes,
    "words": data.SyntheticWords,
    "pages": data.SyntheticPages,
}


def draw(kind: str, count: int, size: Sequence[int] | None, **options: Any) -> Source:
    """So many generated scenes, words or pages.

    Args:
        kind: which.
        count: how many.
        size: height and width; words have their own.
        options: further arguments of the generator.
    """
    own = {"size": size} if size and kind != "words" else {}
    return GENERATORS[kind](count, fresh=False, **own, **options)


def open_source(path: str, count: int | None = None) -> Source:
    """What `Folder` opens; or a pretraining config's `data.train`, so that no run has to draw it.

    Args:
        path: a data set, or a config (.py).
        count: images of a config; by default those of an epoch.

    Raises:
        ConfigError: mistakes in the config; a count for what is no config or has no `length`.
    """
    if not path.endswith(".py"):
        if count is not None:
            raise ConfigError(f"--images: only for configs; {path} is written whole")
        return data.Folder(path)
    changed = {} if count is None else {"data.train.length": count}
    return config.build(config.load(path, changed)["data"]["train"])
