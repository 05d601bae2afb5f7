"""Vision tokens of pictures, for those who want an encoder alone."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file

from ocrpretrain.data.sources.base import AnnotatedImage
from ocrpretrain.data.sources.files import FileStore
from ocrpretrain.data.views import PageView, stack_images
from ocrpretrain.environment import file_sha256
from ocrpretrain.errors import ConfigError
from ocrpretrain.reading.files import find_images
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
    `map` (height and width in cells), `grid` (columns and rows of tiles) and the weights' sha256.

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
        ConfigError: neither size nor mode, for weights that were not trained on pages.
    """
    backbone, view = load_backbone(weights), _view(weights, size, mode)
    sha256, folder = file_sha256(Path(weights)), Path(out)
    paths = find_images(images)
    done = 0
    root = os.path.commonpath([path.absolute().parent for path in paths])
    for path in paths:
        name = path.absolute().relative_to(root)
        file = folder / name.with_name(f"{name.name}.safetensors")
        if file.is_file():
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        item = AnnotatedImage(FileStore(path.parent).read_image(path.name), [], str(path))
        sample = view(item, seed=0)
        image, mask = stack_images([sample])
        found = backbone(backbone.normalize(image), mask).maps[-1]
        tensors = {"tokens": found[0].flatten(1).T.contiguous()}
        if sample.tiles is not None:
            tiles = torch.from_numpy(sample.tiles).permute(0, 3, 1, 2)
            cells = backbone(backbone.normalize(tiles)).maps[-1]
            tensors["tiles"] = cells.flatten(2).mT.contiguous()
        if half:
            tensors = {name: value.half() for name, value in tensors.items()}
        info = {
            "image": str(path),
            "map": list(found.shape[2:]),
            "grid": list(sample.grid),
            "weights": sha256,
        }
        unfinished = file.with_suffix(".part")
        save_file(tensors, unfinished, {key: json.dumps(value) for key, value in info.items()})
        unfinished.rename(file)
        done += 1
        yield f"{path}: {' and '.join(f'{name} {tuple(x.shape)}' for name, x in tensors.items())}"
    yield f"{done} pictures, {len(paths) - done} were there already: {folder}"


def _view(weights: PathLike, size: Sequence[int] | None, mode: str | None) -> PageView:
    if size or mode:
        return PageView(size, mode=mode, train=False)
    own = read_info(weights).view
    if not own.keys() & {"size", "mode"}:
        raise ConfigError(f"{weights}: was trained on no pictures; give --size or --mode")
    known = {key: own[key] for key in ("size", "mode", "resize") if key in own}
    return PageView(**known, train=False)
