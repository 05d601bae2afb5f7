"""One shard of a source: a tar that is whole or not there, of the same bytes whoever writes it."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ocrpretrain.data.prepare.encoding import encode
from ocrpretrain.data.prepare.index import load_index
from ocrpretrain.data.sources.base import Source


@dataclass(frozen=True)
class Job:
    """What is written where; see `write_shards`."""

    source: Source
    folder: Path
    per_shard: int
    quality: int

    @property
    def tars(self) -> list[Path]:
        """All shards of a finished set."""
        count = -(-len(self.source) // self.per_shard)
        return [self.folder / f"{number:06d}.tar" for number in range(count)]

    def images(self, number: int) -> range:
        """Which images a shard holds."""
        start = number * self.per_shard
        return range(len(self.source))[start : start + self.per_shard]


def write_shard(job: Job, number: int, tick: Callable[[], object]) -> None:
    """Write a tar under another name, rename it, and write its index; `tick` after each image."""
    tar = job.tars[number]
    part = tar.with_name(f"{tar.name}.part")
    with part.open("wb") as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            for index in job.images(number):
                row, data = encode(job.source, index, f"{index:09d}.jpg", job.quality)
                _add(archive, row["file"], data)
                _add(archive, f"{index:09d}.json", json.dumps(row, ensure_ascii=False).encode())
                tick()
        file.flush()
        os.fsync(file.fileno())
    part.replace(tar)
    load_index(tar)


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)  # no time, no owner: the same images are the same bytes
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))
