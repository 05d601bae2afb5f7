"""Any source -> a folder with `labels.jsonl` and images."""

from __future__ import annotations

import json
import os
from pathlib import Path

from ocrpretrain.data.prepare.encoding import encode_all
from ocrpretrain.data.prepare.index import write_whole
from ocrpretrain.data.sources.base import Source
from ocrpretrain.errors import DataError


def write_folder(
    source: Source, path: str | os.PathLike[str], quality: int = 95, workers: int = 1
) -> Path:
    """Write every image of a source as JPEG, and `labels.jsonl` last: a half folder is none.

    Args:
        source: what to write; files that are JPEGs are copied.
        path: a new or empty folder.
        quality: of new JPEGs.
        workers: processes that draw or read the images.

    Raises:
        DataError: a folder that holds something.
    """
    folder = Path(path)
    if folder.exists() and any(folder.iterdir()):
        raise DataError(f"{folder}: is not empty; give a new folder")
    (folder / "images").mkdir(parents=True, exist_ok=True)
    lines = []
    for row, data in encode_all(source, "images/{:06d}.jpg", quality, workers):
        (folder / row["file"]).write_bytes(data)
        lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    write_whole(folder / "labels.jsonl", "".join(lines))
    return folder
