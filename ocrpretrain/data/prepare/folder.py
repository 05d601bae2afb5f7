"""Any source -> a folder with `labels.jsonl` and images."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
from rich.progress import track

from ocrpretrain.data.sources.base import Source
from ocrpretrain.data.sources.rows import format_row
from ocrpretrain.errors import DataError


def write_folder(source: Source, path: str | os.PathLike[str], quality: int = 95) -> Path:
    """Write every image of a source as JPEG, and `labels.jsonl` last: a half folder is none.

    Args:
        source: what to write.
        path: a new or empty folder.
        quality: of the JPEGs.

    Raises:
        DataError: a folder that holds something.
    """
    folder = Path(path)
    if folder.exists() and any(folder.iterdir()):
        raise DataError(f"{folder}: is not empty; give a new folder")
    (folder / "images").mkdir(parents=True, exist_ok=True)
    lines = []
    for index in track(range(len(source)), "write images"):
        item = source[index]
        name = f"images/{index:06d}.jpg"
        _, data = cv2.imencode(".jpg", item.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        (folder / name).write_bytes(data.tobytes())
        lines.append(json.dumps(format_row(item, name), ensure_ascii=False))
    temporary = folder / "labels.jsonl.part"
    temporary.write_text("\n".join(lines) + "\n", "utf-8")
    temporary.rename(folder / "labels.jsonl")
    return folder

