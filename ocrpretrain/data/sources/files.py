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
from PIL import Image

from ocrpretrain.errors import DataError

MAX_PIXELS = 2**27  # 134 million: the largest scans, not a picture made to fill the memory
JPEG_END = b"\xff\xd9"
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
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise DataError(f"{self.root}: {name!r} points outside the data set")
        try:
            return self._zip().read(name) if self.is_zip else (self.root / name).read_bytes()
        except (KeyError, FileNotFoundError):
            raise DataError(f"{self.root}: has no file {name!r}") from None

    def read_image(self, name: str) -> np.ndarray:
        """Decode one image to (H, W, 3) uint8 RGB, as stored (no EXIF rotation), first frame.

        Raises:
            DataError: bytes that are not a whole, readable image, or one of too many pixels.
        """
        return decode_image(self.read(name), f"{self.root}: {name!r}")


def decode_image(data: bytes, where: str) -> np.ndarray:
    """Bytes of a picture, whatever its file is called, to (H, W, 3) uint8 RGB.

    Raises:
        DataError: see `FileStore.read_image`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            header = Image.open(io.BytesIO(data))  # reads the header only
            if header.width * header.height > MAX_PIXELS:
                raise DataError(f"{where}: {header.width} x {header.height} pixels are too many")
            if header.format == "JPEG" and data[-2:] != JPEG_END:
                header.load()  # OpenCV fills what is missing with grey, without a word
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = "empty file" if not data else str(error).split(" <")[0]
        raise DataError(f"{where} is not a readable image ({reason})") from None
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if image is None:
        raise DataError(f"{where} is not a readable image (damaged)")
    return image
