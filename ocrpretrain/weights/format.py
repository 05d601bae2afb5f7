"""The weights file: safetensors with `backbone.*` (and `head.*`), and what they are as metadata.

A transfer file holds the backbone, a reader file the head too. Everything else is turned into
these keys first. Reading is strict: every tensor matches in name and shape, or it is an error.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ocrpretrain.errors import CheckpointMismatchError
from ocrpretrain.strides import Stride

KEY = "ocrpretrain"  # of the metadata; safetensors holds strings, so the value is JSON
VERSION = 1
MAX_SHOWN = 12

PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class WeightsInfo:
    """What a weights file is.

    Attributes:
        backbone: `dict(type=..., **arguments)` that builds the backbone.
        mean: per channel, RGB, in 0..1: what the weights were trained with.
        std: as `mean`.
        strides: of the backbone's maps, fine to coarse.
        out_channels: of the backbone's maps.
        head: `dict(type=..., **arguments)` of the pretext task, or None where there was none.
        files: by argument of the head, what the file says that it names; of a reader file.
        view: arguments of the view that the head was trained on; needed to read, not to transfer.
        data: one line that names the pretraining data.
        images_seen: training images until these weights, repeats counted.
        config_hash: of the resolved pretrain config.
        git: state of the checkout that trained them.
        seed: of the pretraining run.
        metrics: validation metrics of the run at these weights.
        group: of the pretraining on W&B, which finetunings join.
        version: of this format.
    """

    backbone: dict[str, Any]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    strides: tuple[Stride, ...]
    out_channels: tuple[int, ...]
    head: dict[str, Any] | None = None
    files: dict[str, str] = field(default_factory=dict)
    view: dict[str, Any] = field(default_factory=dict)
    data: str = ""
    images_seen: int = 0
    config_hash: str = ""
    git: str = ""
    seed: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    group: str = ""
    version: int = VERSION


def write_weights(path: PathLike, tensors: Mapping[str, Tensor], info: WeightsInfo) -> None:
    """Write a weights file; nothing under its name is ever half written."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(path.suffix + ".part")
    clean = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(clean, temporary, {KEY: json.dumps(asdict(info))})
    temporary.replace(path)


def read_info(path: PathLike) -> WeightsInfo:
    """The metadata of a weights file.

    Raises:
        CheckpointMismatchError: not a file of ours, or of a newer version.
    """
    with _open(path) as file:
        metadata = file.metadata() or {}
    if KEY not in metadata:
        raise CheckpointMismatchError(
            f"{path}: is safetensors, but was not written by ocrpretrain; convert it first"
        )
    values = json.loads(metadata[KEY])
    if values["version"] > VERSION:
        raise CheckpointMismatchError(f"{path}: written by a newer ocrpretrain; please update")
    known = {entry.name for entry in fields(WeightsInfo)}
    arguments: dict[str, Any] = {k: v for k, v in values.items() if k in known}
    for name in ("mean", "std", "out_channels"):
        arguments[name] = tuple(arguments[name])
    pairs = (stride if isinstance(stride, int) else tuple(stride) for stride in values["strides"])
    arguments["strides"] = tuple(pairs)
    return WeightsInfo(**arguments)


def read_weights(path: PathLike, prefix: str = "") -> dict[str, Tensor]:
    """Tensors whose name starts with `prefix`, with the prefix taken off.

    Raises:
        CheckpointMismatchError: not a safetensors file, or no tensor with that prefix.
    """
    with _open(path) as file:
        names = [name for name in file.keys() if name.startswith(prefix)]
        tensors = {name.removeprefix(prefix): file.get_tensor(name) for name in names}
    if not tensors:
        raise CheckpointMismatchError(f"{path}: holds no tensor {prefix}*")
    return tensors


def _open(path: PathLike) -> Any:
    if not Path(path).is_file():
        raise CheckpointMismatchError(f"{path}: no such file")
    try:
        return safe_open(path, "pt")
    except SafetensorError as error:
        raise CheckpointMismatchError(f"{path}: not a safetensors file ({error})") from None


def load_strict(module: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Copy tensors into a module; names and shapes must match one to one.

    Raises:
        CheckpointMismatchError: every missing, unexpected and misshapen tensor.
    """
    problems = mismatches(module.state_dict(), tensors)
    if problems:
        more = f"\n... and {len(problems) - MAX_SHOWN} more" if len(problems) > MAX_SHOWN else ""
        raise CheckpointMismatchError(
            f"{where}: does not fit {type(module).__name__}:\n  "
            + "\n  ".join(problems[:MAX_SHOWN])
            + more
        )
    module.load_state_dict(dict(tensors), strict=True)


def mismatches(own: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> list[str]:
    """How two state dicts differ in names and shapes, one line per tensor."""
    problems = [f"missing in the file: {name}" for name in sorted(own.keys() - other.keys())]
    problems += [f"unexpected in the file: {name}" for name in sorted(other.keys() - own.keys())]
    for name in sorted(own.keys() & other.keys()):
        if own[name].shape != other[name].shape:
            shapes = f"{tuple(other[name].shape)} in the file, {tuple(own[name].shape)} wanted"
            problems.append(f"shape of {name}: {shapes}")
    return problems


def initialise(module: nn.Module, files: Iterable[Mapping[str, Any]]) -> list[str]:
    """Fill a run's tensors from any number of weights files (`init` in a config).

    Args:
        module: with `backbone.*` and `head.*`.
        files: `dict(file=..., only=[prefixes])`; without `only` a file claims `backbone.`, and
            `head.` if it has one.

    Returns:
        Names of the tensors that stay as they were initialised.

    Raises:
        CheckpointMismatchError: a tensor inside a claimed prefix without an equal in the file, or
            of a head with another charset or tokenizer.
    """
    own = module.state_dict()
    filled: dict[str, Tensor] = {}
    for entry in files:
        tensors = read_weights(entry["file"])
        tops = sorted({name.partition(".")[0] + "." for name in tensors})
        prefixes = tuple(entry.get("only") or tops)
        wanted = {name: tensor for name, tensor in own.items() if name.startswith(prefixes)}
        claimed = {name: tensor for name, tensor in tensors.items() if name.startswith(prefixes)}
        problems = mismatches(wanted, claimed)
        if any(name.startswith("head.") for name in claimed):
            problems += _other_files(module.get_submodule("head"), entry["file"])
        problems += [
            f"no tensor of the model starts with {prefix!r}"
            for prefix in prefixes
            if not any(name.startswith(prefix) for name in own)
        ]
        if problems:
            raise CheckpointMismatchError(
                f"init: {entry['file']} does not fit:\n  " + "\n  ".join(problems[:MAX_SHOWN])
            )
        filled |= claimed
    module.load_state_dict({**own, **filled}, strict=True)
    return sorted(own.keys() - filled.keys())


def _other_files(head: nn.Module, path: PathLike) -> list[str]:
    """Files that a reader file names, its charset or tokenizer, and that differ from the head's."""
    own: Mapping[str, str] = getattr(head, "files", dict)()
    return [
        f"head.{name}: another one than the weights were trained with; ids would mean others: "
        "name the same, or leave the head out of `only`"
        for name, said in read_info(path).files.items()
        if own.get(name, said) != said
    ]


def after(files: Iterable[Mapping[str, Any]]) -> str:
    """What the files of an `init` were trained on, to be said behind a run's own data."""
    seen = dict.fromkeys(read_info(entry["file"]).data for entry in files)
    return f", after {' and '.join(seen)}" if seen else ""
