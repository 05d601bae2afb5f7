"""The model card beside a weights file: what it is, what it saw, how to use it."""

from __future__ import annotations

import json
import os
from pathlib import Path

from ocrpretrain.environment import file_sha256
from ocrpretrain.weights.format import WeightsInfo

PathLike = str | os.PathLike[str]


def write_card(weights: PathLike, info: WeightsInfo) -> Path:
    """Write `<weights>.md`, and return its path."""
    weights = Path(weights)
    head = info.head["type"].rpartition(".")[2] if info.head else "none"
    rows = {
        "sha256": file_sha256(weights),
        "backbone": f"`{json.dumps(info.backbone)}`",
        "pretext task": head,
        "maps": f"channels {list(info.out_channels)} at strides {list(info.strides)}",
        "input": f"RGB in 0..1, mean {_short(info.mean)}, std {_short(info.std)}",
        "pretraining data": info.data or "unknown",
        "images seen": f"{info.images_seen:,}" if info.images_seen else "unknown",
        "seed": "unknown" if info.seed is None else info.seed,
        "config hash": info.config_hash or "unknown",
        "code": info.git or "unknown",
    }
    metrics = "".join(f"| {name} | {value:.4f} |\n" for name, value in sorted(info.metrics.items()))
    table = "".join(f"| {name} | {value} |\n" for name, value in rows.items())
    text = (
        f"# {weights.name}\n\n| | |\n| --- | --- |\n{table}\n"
        + (f"Validation while pretraining:\n\n| | |\n| --- | --- |\n{metrics}\n" if metrics else "")
        + f'```python\nfrom ocrpretrain import load_backbone\n\nbackbone = load_backbone("'
        f'{weights.name}")\n```\n\n'
        "Licence and limits follow the pretraining data and, where converted, the source of the "
        "weights.\n"
    )
    card = weights.with_suffix(".md")
    card.write_text(text, "utf-8")
    return card


def _short(values: tuple[float, ...]) -> list[float]:
    return [round(value, 4) for value in values]
