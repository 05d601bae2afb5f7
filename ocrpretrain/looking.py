"""Where a pretrained model looks: each word, and the pooled feature of the image."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch

from ocrpretrain.config import build
from ocrpretrain.data.views import VIEWS
from ocrpretrain.drawing import draw_attention, draw_words, tile
from ocrpretrain.errors import ConfigError
from ocrpretrain.weights.export import find_checkpoint, load_run

PathLike = str | os.PathLike[str]
MAX_WORDS = 4


@torch.no_grad()
def attention_picture(run: PathLike, count: int, which: str = "best") -> np.ndarray:
    """Validation images in rows: the sample, where the pool looks, where each word looks.

    Args:
        run: folder of a pretraining run.
        count: number of images.
        which: checkpoint, 'best' or 'last'.

    Returns:
        (H, W, 3) uint8.

    Raises:
        ConfigError: a head that draws no attention.
    """
    backbone, head, record = load_run(find_checkpoint(run, which))
    torch.nn.ModuleList([backbone, head]).eval()
    data = record["config"]["data"]
    view = VIEWS[head.view](**{**data["view"], "train": False})
    source = build(data["val"])
    rows = [view(source[index], seed=index) for index in range(min(count, len(source)))]
    batch = head.collator()(rows)
    features = head.encode(backbone, batch)
    try:
        words_BShw = head.attention(features, batch).numpy()
        pool_Bhw = head.pool_attention(features).numpy()
    except TypeError as error:
        raise ConfigError(f"{Path(run)}: {error}") from None
    columns = min(MAX_WORDS, max(len(words) for words in batch["text"]))
    tiles: list[np.ndarray] = []
    for index, sample in enumerate(rows):
        tiles.append(draw_words(sample.image, sample.text, sample.polygons))
        tiles.append(draw_attention(sample.image, pool_Bhw[index], "(pool)"))
        words = batch["text"][index][:columns]
        tiles += [
            draw_attention(sample.image, heat, word)
            for heat, word in zip(words_BShw[index], words, strict=False)
        ]
        blank = np.full_like(tiles[-1], 255)
        tiles += [blank] * (columns - len(words))
    return tile(tiles, columns + 2)
