"""What all layouts share: an image as JPEG, its labels as a row, a bar with rate and rest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text
from torch.utils.data import DataLoader, Dataset

from ocrpretrain.data.sources.base import Source
from ocrpretrain.data.sources.listed import ListedImages
from ocrpretrain.data.sources.lmdb_words import LMDBWords
from ocrpretrain.data.sources.part import Part
from ocrpretrain.data.sources.rows import format_row
from ocrpretrain.data.sources.shards import Shards

JPEG = b"\xff\xd8\xff"
Encoded = tuple[dict[str, Any], bytes]


def encode(source: Source, index: int, name: str, quality: int) -> Encoded:
    """An image's row and JPEG; what is stored as JPEG already stays as it is.

    Args:
        source: of the image.
        index: which.
        name: under which it will be stored.
        quality: of a new JPEG.
    """
    item = source[index]
    row = {**format_row(item, name), "id": item.id}
    stored = _stored(source, index)
    if stored.startswith(JPEG):
        return row, stored
    _, data = cv2.imencode(".jpg", item.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return row, data.tobytes()


def _stored(source: Source, index: int) -> bytes:
    """The file that an image is read from, empty where it is from none."""
    if isinstance(source, Part):
        return _stored(source.source, int(source.indices[index]))
    if isinstance(source, ListedImages):
        return source.store.read(source.items[index][0])
    return source.picture(index) if isinstance(source, Shards | LMDBWords) else b""


class EncodedImages(Dataset[Encoded]):
    """All images of a source, stored under `name.format(index)`; see `encode`."""

    def __init__(self, source: Source, name: str, quality: int) -> None:
        self.source, self.name, self.quality = source, name, quality

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Encoded:
        return encode(self.source, index, self.name.format(index), self.quality)


def encode_all(source: Source, name: str, quality: int, workers: int) -> Iterator[Encoded]:
    """Rows and JPEGs in order, with a bar; `workers` processes where there is more than one."""
    loader = DataLoader(
        EncodedImages(source, name, quality),
        batch_size=None,
        num_workers=workers if workers > 1 else 0,
        collate_fn=_as_it_is,
    )
    with progress() as bar:
        yield from bar.track(loader, len(source), description="write images")


def _as_it_is(pair: Any) -> Any:
    return pair


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed or 0:.1f} images/s")


def progress() -> Progress:
    """A bar with count, images per second and time left."""
    text = TextColumn("{task.description}")
    return Progress(text, BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
