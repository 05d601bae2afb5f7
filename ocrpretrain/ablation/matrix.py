"""An ablation file -> cells: pretrainings, and finetunings that share them."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ocrpretrain import config
from ocrpretrain.config import build, read
from ocrpretrain.data.sources.base import Source
from ocrpretrain.environment import file_sha256
from ocrpretrain.errors import ConfigError
from ocrpretrain.signature import hint

PathLike = str | os.PathLike[str]
KEYS = {
    "": {"pretrain": dict, "axes": dict, "finetune": list, "baseline": dict}
    | {"metric": str, "show": list},
    "pretrain": {"config": str, "overrides": dict, "seeds": list},
    "finetune": {
        **{"config": str, "overrides": dict, "seeds": list, "train": str, "test": str},
        "random": bool,
    },
}


@dataclass(frozen=True)
class Cell:
    """One run of a matrix.

    Attributes:
        stage: 'pretrain' or 'finetune'.
        config: the file it starts from.
        overrides: dotted path -> value.
        labels: axis -> value, as the table shows them.
        seed: of the run.
        id: hash of the resolved config and of the data behind it: equal cells are one.
        steps: optimizer steps, where they are known before.
        parent: id of the pretraining that a finetuning starts from.
        random: whether a finetuning starts from random weights (of the parent's architecture).
        train: training images in place of the config's.
        test: test images in place of the config's.
    """

    stage: str
    config: str
    overrides: dict[str, Any]
    labels: dict[str, str]
    seed: int
    id: str
    steps: int | None = None
    parent: str | None = None
    random: bool = False
    train: str | None = None
    test: str | None = None

    @property
    def name(self) -> str:
        """Its folder's name."""
        return f"{self.stage}-{self.id}"

    def title(self) -> str:
        """What varies, for people."""
        shown = ", ".join(f"{axis}={value}" for axis, value in self.labels.items())
        return f"{self.stage} {shown or Path(self.config).stem} seed {self.seed}"


@dataclass
class Matrix:
    """What an ablation file says, and its cells.

    Attributes:
        cells: pretrainings first; equal cells appear once.
        rows: one per (labels, seeds of all stages): the cell that is judged, by its id.
        axes: names of what varies, in the file's order.
        metric: by which rows are compared.
        show: further metrics of the table.
        baseline: labels of the row that others are compared with.
    """

    cells: list[Cell] = field(default_factory=list)
    rows: list[tuple[dict[str, str], str]] = field(default_factory=list)
    axes: list[str] = field(default_factory=list)
    metric: str = ""
    show: list[str] = field(default_factory=list)
    baseline: dict[str, str] = field(default_factory=dict)

    def add(self, cell: Cell) -> None:
        """Add a cell unless an equal one is there."""
        if all(other.id != cell.id for other in self.cells):
            self.cells.append(cell)


def load_matrix(path: PathLike, with_data: bool = True) -> Matrix:
    """Expand an ablation file.

    Args:
        path: the file.
        with_data: look at the images, whose fingerprint is part of a cell's id.

    Raises:
        ConfigError: all mistakes of the file, and of every config that its values make.
    """
    spec = read(path)
    errors = list(_errors(spec, "", KEYS[""]))
    errors += _errors(spec.get("pretrain"), "pretrain", KEYS["pretrain"])
    for index, entry in enumerate(spec.get("finetune", [])):
        errors += _errors(entry, f"finetune.{index}", KEYS["finetune"])
    config.raise_errors(path, errors)
    matrix = Matrix(axes=list(spec.get("axes", {})), show=list(spec.get("show", [])))
    marks = fingerprint if with_data else lambda spec: []
    for labels, changes in _combinations(spec.get("axes", {})):
        _add_pretrainings(matrix, Path(path).parent, spec, labels, changes, marks)
    finetunings = spec.get("finetune", [])
    matrix.metric = spec.get("metric", "hmean" if finetunings else "val/recall")
    first = {axis: value for axis, value in matrix.rows[0][0].items() if axis in matrix.axes}
    matrix.baseline = {**first, **{k: str(v) for k, v in spec.get("baseline", {}).items()}}
    known = [labels for labels, _ in matrix.rows]
    if not any(matrix.baseline.items() <= labels.items() for labels in known):
        raise ConfigError(f"{path}: baseline: {matrix.baseline} is no row; there is {known[0]} ...")
    return matrix


def _errors(value: Any, where: str, keys: Mapping[str, type]) -> Iterator[tuple[str, str]]:
    if not isinstance(value, Mapping):
        yield where, f"wants a dict, found {value!r}"
        return
    for key, item in value.items():
        path = f"{where}.{key}" if where else key
        if key not in keys:
            if where or not key.startswith("_"):
                yield path, f"unknown key{hint(key, list(keys))}"
        elif not isinstance(item, keys[key]):
            yield path, f"wants {keys[key].__name__}, found {item!r}"
    for key in ("pretrain", "config"):
        if key in keys and key not in value:
            yield f"{where}.{key}".strip("."), "is missing"
    if "seeds" in value and (not value["seeds"] or len(set(value["seeds"])) < len(value["seeds"])):
        yield f"{where}.seeds", f"wants different numbers, found {value['seeds']}"


def _combinations(
    axes: Mapping[str, Any],
) -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
    """Each combination of values: labels, and what it changes.

    An axis is `{label: {dotted path: value}}`, or a dotted path with a list of values.
    """
    options: list[list[tuple[str, str, dict[str, Any]]]] = []
    for axis, values in axes.items():
        if isinstance(values, Mapping):
            options.append([(axis, str(label), dict(change)) for label, change in values.items()])
        elif isinstance(values, list | tuple) and values:
            options.append([(axis, _label(value), {axis: value}) for value in values])
        else:
            raise ConfigError(f"axes.{axis}: wants {{label: {{path: value}}}} or a list of values")
    for chosen in itertools.product(*options):
        changes = {path: value for _, _, change in chosen for path, value in change.items()}
        yield {axis: label for axis, label, _ in chosen}, changes


def _label(value: Any) -> str:
    if isinstance(value, Mapping) and "type" in value:
        return str(value["type"]).rpartition(".")[2]
    return str(value)


def _add_pretrainings(
    matrix: Matrix,
    folder: Path,
    spec: Mapping[str, Any],
    labels: dict[str, str],
    changes: dict[str, Any],
    marks: Callable[[Any], list[str]],
) -> None:
    base = spec["pretrain"]
    for seed in base.get("seeds", [0]):
        overrides = {**base.get("overrides", {}), **changes, "seed": seed}
        # A whole section of another class takes nothing over from the one that it replaces.
        overrides = {
            path: {**value, "_delete_": True}
            if isinstance(value, Mapping) and "type" in value
            else value
            for path, value in overrides.items()
        }
        file = str((folder / base["config"]).resolve())
        cfg = config.load(file, overrides)
        identity = _identity("pretrain", cfg, marks(cfg["data"]), *_beginnings(cfg))
        steps = _pretrain_steps(cfg)
        cell = Cell("pretrain", file, overrides, labels, seed, identity, steps)
        matrix.add(cell)
        if not spec.get("finetune"):
            matrix.rows.append((labels, cell.id))
        for entry in spec.get("finetune", []):
            _add_finetunings(matrix, folder, entry, labels, cell, marks)


def _add_finetunings(
    matrix: Matrix,
    folder: Path,
    entry: Mapping[str, Any],
    labels: dict[str, str],
    parent: Cell,
    marks: Callable[[Any], list[str]],
) -> None:
    from ocrpretrain.transfer.mmocr import load

    file = str((folder / entry["config"]).resolve())
    images = {
        key: str((folder / entry[key]).resolve()) for key in ("train", "test") if key in entry
    }
    behind = [
        (Path(path).name, marks({"type": "ocrpretrain.data.Folder", "path": path}))
        for path in images.values()
    ]
    cfg = load(file, entry.get("overrides", {}))
    stem = {"finetune": Path(file).stem}
    for seed in entry.get("seeds", [0]):
        for random in (False, True) if entry.get("random") else (False,):
            start = {axis: "random" for axis in labels} if random else labels
            # Random weights depend on the architecture only, so all pretrainings of it share them.
            origin = json.dumps(config.load(parent.config, parent.overrides)["backbone"])
            identity = _identity("finetune", cfg, behind, seed, origin if random else parent.id)
            cell = Cell(
                *("finetune", file, dict(entry.get("overrides", {})), {**start, **stem}, seed),
                *(identity, None, parent.id, random),
                **images,
            )
            if random and any(other.id == identity for other in matrix.cells):
                continue
            matrix.add(cell)
            matrix.rows.append((cell.labels, cell.id))


def _beginnings(cfg: Mapping[str, Any]) -> list[list[str]]:
    """The sha256 of the weights that a pretraining begins with, where it names any; '' of none."""
    files = [Path(entry["file"]) for entry in cfg.get("init") or ()]
    return [[file_sha256(file) if file.is_file() else "" for file in files]] if files else []


def _identity(*parts: Any) -> str:
    content = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def fingerprint(spec: Any) -> list[str]:
    """Fingerprints of all image sources inside a config's values.

    Raises:
        DataError: a source that cannot be read.
    """
    if isinstance(spec, list | tuple):
        return [mark for value in spec for mark in fingerprint(value)]
    if not isinstance(spec, Mapping):
        return []
    if str(spec.get("type", "")).startswith("ocrpretrain.data."):
        source = build(spec)
        if isinstance(source, Source):
            return [source.fingerprint()]
    return [mark for value in spec.values() for mark in fingerprint(value)]


def _pretrain_steps(cfg: Mapping[str, Any]) -> int | None:
    trainer, data = cfg["trainer"], cfg["data"]
    if trainer.get("max_steps", -1) > 0:
        return trainer["max_steps"]
    length = data["train"].get("length") or len(build(data["train"]))
    length = round(length * data.get("data_fraction", 1.0))
    devices = trainer.get("devices", 1)
    world = devices if isinstance(devices, int) and devices > 0 else 1
    return trainer.get("max_epochs", 1) * (length // (data["batch_size"] * world))
