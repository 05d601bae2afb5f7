"""Any source -> a folder of WebDataset tars; it can be stopped and goes on where it was."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor, wait
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

import cv2
from filelock import FileLock, Timeout

from ocrpretrain.data.prepare.encoding import progress
from ocrpretrain.data.prepare.index import load_index, write_whole
from ocrpretrain.data.prepare.shard import Job, write_shard
from ocrpretrain.data.sources.base import Source
from ocrpretrain.errors import DataError


def write_shards(
    source: Source,
    path: str | os.PathLike[str],
    per_shard: int = 1000,
    workers: int = 1,
    quality: int = 92,
) -> Path:
    """Write a source as tars of `KEY.jpg` and `KEY.json`, with an index each and `SHA256SUMS`.

    Shard k holds the images from k * per_shard on, whoever writes it. Stopped at any moment, the
    same call goes on behind the last whole shards and ends with the same bytes.

    Args:
        source: what to write; files that are JPEGs are copied.
        path: a new or empty folder, or one that the same call has begun.
        per_shard: images per tar.
        workers: processes that draw or read the images.
        quality: of new JPEGs.

    Raises:
        DataError: a folder that holds something else, or that another process is writing.
    """
    job = Job(source, Path(path), per_shard, quality)
    job.folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(job.folder / ".lock", timeout=2):
            _claim(job)
            missing = [number for number, tar in enumerate(job.tars) if not tar.exists()]
            if workers > 1:
                _write_in_parallel(job, missing, workers)
            else:
                _write_in_turn(job, missing)
            sums = [f"{load_index(tar).sha256}  {tar.name}\n" for tar in job.tars]
            write_whole(job.folder / "SHA256SUMS", "".join(sums))
    except Timeout:
        raise DataError(f"{job.folder}: is being written by another process") from None
    return job.folder


def _claim(job: Job) -> None:
    """Note what is written here, or compare with the note."""
    for left in job.folder.glob("*.part"):
        left.unlink()
    about = {
        "source": job.source.describe(),
        "fingerprint": hashlib.sha256(job.source.fingerprint().encode()).hexdigest()[:12],
        "count": len(job.source),
        "per_shard": job.per_shard,
        "quality": job.quality,
    }
    file = job.folder / "source.json"
    if not file.exists():
        if any(other.name != ".lock" for other in job.folder.iterdir()):
            raise DataError(f"{job.folder}: is not empty; give a new folder")
        write_whole(file, json.dumps(about, indent=1))
    before = json.loads(file.read_text("utf-8"))
    changed = [f"{k} {before.get(k)!r}, now {v!r}" for k, v in about.items() if before.get(k) != v]
    if changed:
        raise DataError(f"{job.folder}: begun with another {'; '.join(changed)}; give a new folder")


def _write_in_turn(job: Job, numbers: list[int]) -> None:
    with progress() as bar:
        task = bar.add_task("write shards", total=sum(len(job.images(n)) for n in numbers))
        for number in numbers:
            write_shard(job, number, lambda: bar.advance(task))


def _write_in_parallel(job: Job, numbers: list[int], workers: int) -> None:
    written = multiprocessing.Value("q", 0)
    pool = ProcessPoolExecutor(workers, initializer=_start, initargs=(job, written))
    try:
        # Submitted, and so forked, before the bar has its thread.
        left = {pool.submit(_write_in_worker, number) for number in numbers}
        with progress() as bar:
            task = bar.add_task("write shards", total=sum(len(job.images(n)) for n in numbers))
            while left:
                done, left = wait(left, timeout=0.5)
                bar.update(task, completed=written.value)
                for future in done:
                    future.result()
    finally:
        pool.shutdown(cancel_futures=True)


_job: Job
_written: Synchronized[int]


def _start(job: Job, written: Synchronized[int]) -> None:
    """Prepare a worker, which ends with its parent, however that ends."""
    global _job, _written
    _job, _written = job, written
    cv2.setNumThreads(0)
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def _write_in_worker(number: int) -> None:
    def tick() -> None:
        with _written.get_lock():
            _written.value += 1

    write_shard(_job, number, tick)
