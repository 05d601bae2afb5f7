"""Vision tokens of pictures, for those who want an encoder alone."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities import move_data_to_device
from safetensors import safe_open
from safetensors.torch import save_file

from ocrpretrain.data.sources.base import AnnotatedImage
from ocrpretrain.data.views import PageView, stack_images
from ocrpretrain.environment import file_sha256
from ocrpretrain.errors import ConfigError, DataError
from ocrpretrain.reading.files import find_images, open_picture
from ocrpretrain.strides import sides
from ocrpretrain.weights.build import load_backbone
from ocrpretrain.weights.format import read_info

PathLike = str | os.PathLike[str]


@torch.no_grad()
def embed(
    weights: PathLike,
    images: Sequence[PathLike],
    out: PathLike,
    size: Sequence[int] | None = None,
    mode: str | None = None,
    half: bool = False,
) -> Iterator[str]:
    """Write the tokens of pictures, a file for each; files that are there are left as they are.

    `tokens` (n, C) are the cells of the backbone's last map, row by row; `tiles` (T, n, C) those of
    the tiles, where the mode cuts a picture into some. The file's metadata has the picture's name,
    `map` (height and width in cells), `grid` (columns and rows of tiles), weights and view.

    Args:
        weights: a file with a backbone.
        images: files, and folders of them.
        out: folder to write to; below it, pictures keep the folders that they do not share.
        size: height and width of the view; by default as the weights' own head saw pages.
        mode: in place of a size: see `PageView`.
        half: 16 bits a number.

    Yields:
        A line per picture, and one with counts.

    Raises:
        ConfigError: neither size nor mode, for weights that were not trained on pages; a size that
            the backbone does not divide.
        DataError: a file in `out` that was written otherwise.
    """
    view = _view(weights, size, mode)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    backbone, folder = load_backbone(weights).to(device), Path(out)
    for seen in view.sizes():
        by = sides(backbone.size_divisor)
        if any(side < 1 or side % own for side, own in zip(seen, by, strict=True)):
            raise ConfigError(
                f"--size, --mode: {seen} is not a multiple of {by}, as {weights} needs"
            )
    if folder.is_file():
        raise ConfigError(f"--out: {folder} is a file, not a folder")
    shown = [*view.size, view.resize, view.mode.tile if view.mode else 0]
    made = {"weights": file_sha256(Path(weights)), "view": shown, "half": half}
    paths = find_images(images)
    done, unreadable = 0, []
    places = (path if path.is_dir() else path.parent for path in map(Path, images))
    root = os.path.commonpath([path.absolute() for path in places])
    for path in paths:
        name = path.absolute().relative_to(root)
        file = folder / name.with_name(f"{name.name}.safetensors")
        if file.is_file():
            _check_made(file, made)
            continue
        try:
            image = open_picture(path)
        except DataError as error:
            unreadable.append(str(error))
            continue
        sample = view(AnnotatedImage(image, [], str(path)), seed=0)
        pixels, mask = move_data_to_device(stack_images([sample]), device)
        found = backbone(backbone.normalize(pixels), mask).maps[-1]
        tensors = {"tokens": found[0].flatten(1).T}
        if sample.tiles is not None:
            tiles = torch.from_numpy(sample.tiles).permute(0, 3, 1, 2).to(device)
            tensors["tiles"] = backbone(backbone.normalize(tiles)).maps[-1].flatten(2).mT
        kind = torch.float16 if half else torch.float32
        tensors = {key: value.to("cpu", kind).contiguous() for key, value in tensors.items()}
        info = {"image": str(path), "map": list(found.shape[2:]), "grid": list(sample.grid), **made}
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(".part")
        save_file(tensors, unfinished, {key: json.dumps(value) for key, value in info.items()})
        unfinished.rename(file)
        done += 1
        yield f"{path}: {' and '.join(f'{key} {tuple(x.shape)}' for key, x in tensors.items())}"
    yield from unreadable
    there = len(paths) - done - len(unreadable)
    yield f"{done} pictures, {there} were there already, {len(unreadable)} unreadable: {folder}"


def _check_made(file: Path, made: dict[str, Any]) -> None:
    with safe_open(file, "pt") as stored:
        known = {key: json.loads(value) for key, value in (stored.metadata() or {}).items()}
    if differs := [key for key, value in made.items() if known.get(key) != value]:
        raise DataError(f"{file} was written with other {', '.join(differs)}: another --out")


def _view(weights: PathLike, size: Sequence[int] | None, mode: str | None) -> PageView:
    if size or mode:
        return PageView(size, mode=mode, train=False)
    own = read_info(weights).view
    if not own.keys() & {"size", "mode"}:
        raise ConfigError(f"{weights}: was trained on no pictures; give --size or --mode")
    known = {key: own[key] for key in ("size", "mode", "resize") if key in own}
    return PageView(**known, train=False)
