"""Picture files and folders, read one after the other: what `tools/read.py` prints."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ocrpretrain.config import resolve
from ocrpretrain.data.sources.base import AnnotatedImage
from ocrpretrain.data.sources.files import FileStore
from ocrpretrain.drawing import save_picture
from ocrpretrain.environment import file_sha256
from ocrpretrain.errors import CheckpointMismatchError, ConfigError, DataError
from ocrpretrain.evaluation.pages import PageAnswer
from ocrpretrain.evaluation.word_scores import Answer
from ocrpretrain.reading.lexicon import LexiconReader, read_lexicon
from ocrpretrain.reading.pages import PageFileReader
from ocrpretrain.reading.words import WordFileReader
from ocrpretrain.weights.format import read_info

PathLike = str | os.PathLike[str]
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
BEGINNING = b'{"file": "'  # of a line of ours


def read(
    weights: PathLike,
    images: Sequence[PathLike],
    out: PathLike | None = None,
    save: PathLike | None = None,
    upright: bool = False,
    batch_size: int | None = None,
    half: bool = False,
) -> Iterator[str]:
    """Read words or pages in pictures, as the reader's head does.

    Args:
        weights: a reader file of a head that reads.
        images: files, and folders of them.
        out: JSON lines to append to; pictures that it has are not read again. A line names its
            picture from the file's folder, and its reader by the first digits of a sha256. `Folder`
            opens such a file where it lies beside or above its pictures.
        save: folder for a picture per image of where the head looks.
        upright: see `WordFileReader`.
        batch_size: see the readers, whose own is the default.
        half: see `WordFileReader`.

    Yields:
        A line per picture, also for those that cannot be read, and one with counts and speed.

    Raises:
        ConfigError: words' options for a reader of pages.
        DataError: `out` has lines of another reader.
    """
    reader = open_reader(weights, upright, batch_size, save is not None, half)
    paths = find_images(images)
    name = file_sha256(Path(weights))[:12] + "-upright" * upright + "-half" * half
    known = _known(Path(out), name) if out else set()
    if out:
        Path(out).parent.mkdir(parents=True, exist_ok=True)
    fresh = [path for path in paths if _spell(path, out) not in known]
    unreadable: list[str] = []
    drawn: set[Path] = set()
    start, count = time.monotonic(), 0
    for answer in reader.read(_open(fresh, unreadable)):
        count += 1
        if out:
            with open(out, "a", encoding="utf-8") as file:
                file.write(_json(answer, _spell(answer.id, out), name) + "\n")
        if save and isinstance(reader, WordFileReader):
            _draw(reader, Path(answer.id), _free(Path(save), Path(answer.id).stem, drawn))
        text = answer.text.replace("\n", "\n  ")
        yield f"{answer.id}: {text}  {answer.score:.3f}"
    speed = count / max(time.monotonic() - start, 1e-9)
    yield from unreadable
    yield (
        f"{count} {reader.unit}, {speed:.1f} {reader.unit}/s; "
        f"{len(paths) - len(fresh)} were there already, {len(unreadable)} unreadable"
        + "".join(f", {number} {what}" for what, number in reader.counts.items())
    )


def rank(
    weights: PathLike,
    lexicon: PathLike,
    images: Sequence[PathLike],
    top: int,
    save: PathLike | None,
) -> Iterator[str]:
    """Rank a lexicon for each picture; lines as `read` yields them."""
    reader = LexiconReader(weights, read_lexicon(lexicon))
    drawn: set[Path] = set()
    if reader.unreadable:
        yield f"left out, no character in the charset: {', '.join(reader.unreadable)}"
    if reader.changed:
        yield f"read without some of their characters: {', '.join(reader.changed)}"
    for image in find_images(images):
        sample = reader.sample(image)
        ranking = reader.rank(sample, top)
        yield f"{image}: " + ", ".join(f"{label} {score:.3f}" for label, score in ranking)
        if save:
            picture = _free(Path(save), f"{image.stem}_attention", drawn)
            save_picture(reader.picture(sample, [label for label, _ in ranking]), picture)
            yield f"  attention per word: {picture}"


def find_images(images: Sequence[PathLike]) -> list[Path]:
    """Files as given, and the pictures of folders, sorted.

    Raises:
        DataError: paths that do not exist, folders without a picture.
    """
    found, wrong = [], []
    for path in map(Path, images):
        inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES)
        if path.is_dir() and not inside:
            wrong.append(f"{path}: no picture in this folder")
        elif not path.exists():
            wrong.append(f"{path}: no such file or folder")
        found += inside if path.is_dir() else [path]
    if wrong:
        raise DataError("\n".join(wrong))
    return list(dict.fromkeys(found))


def _open(paths: list[Path], unreadable: list[str]) -> Iterator[AnnotatedImage]:
    for path in paths:
        try:
            image = open_picture(path)
        except DataError as error:
            unreadable.append(str(error))
        else:
            yield AnnotatedImage(image, [], str(path))


def open_picture(path: Path) -> np.ndarray:
    """(H, W, 3) uint8.

    Raises:
        DataError: no picture, or a name that is no text, which no line could hold.
    """
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        raise DataError(f"{ascii(str(path))}: the name is not UTF-8") from None
    return FileStore(path.parent).read_image(path.name)


def _known(out: Path, reader: str) -> set[str]:
    """Pictures of whole lines; a half one, of a run that was killed, is cut off.

    Raises:
        DataError: another reader wrote the file, or none.
    """
    if not out.exists():
        return set()
    if out.is_dir():
        raise DataError(f"{out}: is a folder, not a file of JSON lines; see --out")
    try:
        *lines, half = out.read_bytes().split(b"\n")  # a letter may be cut, too
        rows = [json.loads(line) for line in lines]
        others = {row["reader"] for row in rows} - {reader}
        known = {row["file"] for row in rows}
        if not (half.startswith(BEGINNING) or BEGINNING.startswith(half)):
            raise ValueError(half)
    except (ValueError, LookupError, TypeError):
        raise DataError(f"{out}: holds other things than lines of a reader; see --out") from None
    if others:
        raise DataError(f"{out} was written by other readers, {others}, not {reader}: see --out")
    if half:
        out.write_bytes(b"".join(line + b"\n" for line in lines))
    return known


def open_reader(
    weights: PathLike, upright: bool, batch_size: int | None, save: bool, half: bool = False
) -> WordFileReader | PageFileReader:
    """The reader that a file's head asks for."""
    info = read_info(weights)
    spec = info.head
    size: dict[str, Any] = {} if batch_size is None else {"batch_size": batch_size}
    if batch_size is not None and batch_size < 1:
        raise ConfigError(f"--batch-size: 1 or more, found {batch_size}")
    head: Any = resolve(spec["type"]) if spec else None
    if head is None or head.view != "page":
        reader = WordFileReader(weights, upright, half=half, **size)
        if save:
            reader.check_attention()
        return reader
    if upright or save or half:
        raise ConfigError(f"{weights} reads pages: --upright, --save and --half are for words")
    if spec is not None and spec.get("sees", "page") != "page":
        raise CheckpointMismatchError(f"{weights}: is a control that sees no page")
    if info.view.get("optical_share", 1) < 1:
        raise CheckpointMismatchError(f"{weights}: was trained with a part of the text as tokens")
    return PageFileReader(weights, **size)


def _spell(path: PathLike, out: PathLike | None) -> str:
    """A picture's name in `out`."""
    return Path(os.path.relpath(path, Path(out).parent if out else None)).as_posix()


def _json(answer: Answer | PageAnswer, file: str, reader: str) -> str:
    row: dict[str, Any] = {"file": file, "text": answer.text, "score": answer.score}
    row["reader"] = reader
    if isinstance(answer, Answer) and answer.branches:
        row["branches"] = {name: list(pair) for name, pair in answer.branches.items()}
    return json.dumps(row, ensure_ascii=False)


def _draw(reader: WordFileReader, path: Path, out: Path) -> None:
    save_picture(reader.picture(AnnotatedImage(open_picture(path), [], str(path))), out)


def _free(folder: Path, stem: str, drawn: set[Path]) -> Path:
    """A file that this run has not drawn: pictures of several folders may share a name."""
    folder.mkdir(parents=True, exist_ok=True)
    names = (f"{stem}{suffix}.png" for suffix in ("", *(f"_{n}" for n in range(2, len(drawn) + 3))))
    path = next(folder / name for name in names if folder / name not in drawn)
    drawn.add(path)
    return path
