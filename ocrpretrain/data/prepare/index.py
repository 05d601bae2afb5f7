"""The index beside a tar of samples: where each lies, so that any can be read at once."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ocrpretrain.errors import DataError

KINDS = dict.fromkeys(("jpg", "jpeg", "png", "webp"), "picture") | {"json": "json", "txt": "text"}


class Sample(NamedTuple):
    """Where a sample lies in its tar, in bytes, and whether the label is a plain text."""

    key: str
    start: int
    size: int
    label_start: int
    label_size: int
    is_text: bool


class Index(NamedTuple):
    """What is known of a tar: its size and checksum, samples, broken ones, and other files."""

    size: int
    sha256: str
    samples: list[Sample]
    errors: list[str]
    others: int


def load_index(tar: Path, verify: bool = False) -> Index:
    """The index beside a tar, which is built and written where there is none.

    Args:
        tar: the tar.
        verify: compare the tar's checksum too, which reads all of it.

    Raises:
        DataError: a damaged tar or index, or two that do not belong together.
    """
    file = tar.with_suffix(".idx")
    if not file.exists():
        index = _build(tar)
        try:
            write_whole(file, json.dumps(index._asdict()))
        except OSError as error:
            print(f"{file}: not written, kept in memory ({error.strerror})")
        return index
    try:
        index = Index(**json.loads(file.read_bytes()))
        index = index._replace(samples=[Sample(*sample) for sample in index.samples])
    except (TypeError, ValueError) as error:
        raise DataError(f"{file}: damaged ({error}); delete it to have it built anew") from None
    if tar.stat().st_size != index.size:
        raise DataError(f"{tar}: has {tar.stat().st_size} bytes, its index says {index.size}")
    if verify and checksum(tar) != index.sha256:
        raise DataError(f"{tar}: is not the tar of its index, the checksums differ")
    return index


def write_whole(path: Path, text: str) -> None:
    """Write a file under another name first, so that it is whole or not there."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def checksum(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _build(tar: Path) -> Index:
    found: defaultdict[str, defaultdict[str, list[tarfile.TarInfo]]]
    found = defaultdict(lambda: defaultdict(list))
    samples, errors, others = list[Sample](), list[str](), 0
    for member in _members(tar):
        path = PurePosixPath(member.name)
        name, _, suffix = path.name.partition(".")
        kind = KINDS.get(suffix.lower())
        if name and kind:
            found[path.with_name(name).as_posix()][kind].append(member)
        else:
            others += 1
    for key, members in found.items():
        pictures, labels = members["picture"], members["text"] or members["json"]
        if len(pictures) != 1 or len(labels) != 1:
            count = f"{len(pictures)} pictures and {len(labels)} labels"
            errors.append(f"{tar.name}: {key!r} has {count}")
            continue
        picture, label = pictures[0], labels[0]
        places = (picture.offset_data, picture.size, label.offset_data, label.size)
        samples.append(Sample(key, *places, bool(members["text"])))
    return Index(tar.stat().st_size, checksum(tar), samples, errors, others)


def _members(tar: Path) -> Iterator[tarfile.TarInfo]:
    try:
        with tar.open("rb") as file:
            file.seek(-tarfile.BLOCKSIZE, os.SEEK_END)
            if file.read().strip(b"\0"):
                raise tarfile.ReadError("the end is missing")
        with tarfile.open(tar, "r:") as archive:
            yield from filter(tarfile.TarInfo.isfile, archive)
    except (tarfile.TarError, OSError) as error:
        raise DataError(f"{tar}: not a whole tar ({error})") from None
