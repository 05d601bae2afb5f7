"""Reading the files of a data set from a folder or from a zip archive, without unpacking it."""

from __future__ import annotations

import hashlib
import io
import os
import warnings
import zipfile
from pathlib import Path, PurePosixPath
from zlib import crc32

import cv2
import numpy as np
import simplejpeg
from PIL import Image

from ocrpretrain.data.sources.base import Needs
from ocrpretrain.errors import DataError

MAX_PIXELS = 2**27  # 134 million: the largest scans, not a picture made to fill the memory
JPEG = b"\xff\xd8\xff"
ANNOTATIONS = (".jsonl", ".json", ".txt")


class FileStore:
    """Files under one folder or zip archive, addressed by relative names with forward slashes."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)
        if not self.root.exists():
            raise DataError(f"{self.root}: no such folder or zip archive")
        self.is_zip = self.root.is_file()
        if self.is_zip and not zipfile.is_zipfile(self.root):
            raise DataError(f"{self.root}: neither a folder nor a zip archive")
        self._archive: tuple[int, zipfile.ZipFile] | None = None

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_archive": None}  # file handles do not travel to workers

    def _zip(self) -> zipfile.ZipFile:
        # A handle shared across a fork shares its file position: each process opens its own.
        if self._archive is None or self._archive[0] != os.getpid():
            self._archive = (os.getpid(), zipfile.ZipFile(self.root))
        return self._archive[1]

    def names(self) -> list[str]:
        """All files, sorted."""
        if self.is_zip:
            return sorted(name for name in self._zip().namelist() if not name.endswith("/"))
        files = (path for path in self.root.rglob("*") if path.is_file())
        return sorted(path.relative_to(self.root).as_posix() for path in files)

    def fingerprint(self) -> str:
        """A hash of all names, sizes and annotations, without reading images."""
        if self.is_zip:
            entries = [(i.filename, i.file_size, i.CRC) for i in self._zip().infolist()]
        else:
            entries = [
                (name, (self.root / name).stat().st_size, crc32(self.read(name)))
                if name.endswith(ANNOTATIONS)
                else (name, (self.root / name).stat().st_size, 0)
                for name in self.names()
            ]
        return hashlib.sha256(repr(sorted(entries)).encode()).hexdigest()[:12]

    def read(self, name: str) -> bytes:
        """The bytes of one file.

        Raises:
            DataError: a name that leaves the root, or a file that is not there.
        """
        self._check(name)
        try:
            return self._zip().read(name) if self.is_zip else (self.root / name).read_bytes()
        except (KeyError, FileNotFoundError):
            raise DataError(f"{self.root}: has no file {name!r}") from None

    def has(self, name: str) -> bool:
        """Whether a file of a folder is there.

        Raises:
            DataError: a name that leaves the root.
        """
        self._check(name)
        return (self.root / name).is_file()

    def read_image(self, name: str) -> np.ndarray:
        """(H, W, 3) uint8 RGB; see `decode`."""
        return decode(self.read(name), f"{self.root}: {name!r}")[0]

    def _check(self, name: str) -> None:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise DataError(f"{self.root}: {name!r} points outside the data set")


def decode(data: bytes, where: str, needs: Needs | None = None) -> tuple[np.ndarray, int, int]:
    """Decode a picture as stored (no EXIF rotation), first frame, by content and not by name.

    Args:
        data: the bytes of the file.
        where: names the file in messages.
        needs: see `Source.read`; a JPEG is decoded at 1/2, 1/4 or 1/8 where that suffices.

    Returns:
        (H, W, 3) uint8 RGB, and height and width of the stored picture.

    Raises:
        DataError: bytes that are not a whole, readable image, or one of too many pixels.
    """
    try:
        height, width, colours = _header(data)
        size = (height, width)
        if height * width > MAX_PIXELS:
            raise DataError(f"{where}: {width} x {height} pixels are too many")
        if colours in ("YCbCr", "RGB", "Gray"):
            factor = _reduction(size, needs(*size)) if needs else 1
            low = [-(-side // factor) for side in size]
            image = simplejpeg.decode_jpeg(data, "RGB", min_height=low[0], min_width=low[1])
        else:
            flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
            image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
            if colours:
                # OpenCV fills what is missing with grey, without a word.
                Image.open(io.BytesIO(data)).load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = "empty file" if not data else str(error).split(" <")[0]
        raise DataError(f"{where} is not a readable image ({reason})") from None
    if image is None:
        raise DataError(f"{where} is not a readable image (damaged)")
    return image, *size


def _header(data: bytes) -> tuple[int, int, str]:
    """Height and width of a picture, and the colours of a JPEG."""
    if data.startswith(JPEG):
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        return int(height), int(width), colours
    formats = ("WEBP",) if data[8:12] == b"WEBP" else None  # not the other readers first
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        header = Image.open(io.BytesIO(data), formats=formats)  # reads the header only
    return header.height, header.width, ""


def _reduction(size: tuple[int, int], least: tuple[int, int]) -> int:
    """The largest of 8, 4, 2, 1 that leaves both sides long enough (others decode slowly)."""
    fits = (f for f in (8, 4, 2) if all(s // f >= n for s, n in zip(size, least, strict=True)))
    return next(fits, 1)
