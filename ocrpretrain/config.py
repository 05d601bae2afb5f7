"""Configs: load, override, check, build, dump. The only file that knows mmengine.Config.

A config is an MMEngine text file (`_base_`, dotted `type=` names). A strict check runs before
anything is built and reports every mistake at once as `file: dotted.path: message`.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ocrpretrain.errors import ConfigError, OCRPretrainError
from ocrpretrain.signature import argument_errors, hint, parameters, resolve

# Section -> class that takes its arguments where it names no `type`.
DEFAULT_TYPES = {
    "data": "ocrpretrain.data.OCRDataModule",
    "optimizer": "torch.optim.AdamW",
    "scheduler": "ocrpretrain.optim.WarmupCosine",
    "trainer": "lightning.Trainer",
    "logger": "ocrpretrain.loggers.RunLogger",
}
VIEWS = "ocrpretrain.data.views.VIEWS"  # by name; which of them is `data.view` the head says
SECTIONS = (
    *("backbone", "head", "data", "optimizer", "scheduler", "trainer", "logger"),
    *("callbacks", "init", "freeze", "seed", "work_dir"),
)
REQUIRED = ("backbone", "head", "data", "optimizer", "trainer")
GIVEN = {  # arguments that the engine adds
    "head": {"in_channels", "strides"},
    "data": {"seed", "view_name", "collator", "size_divisor"},
    "data.view": {"train"},
    "optimizer": {"params"},
    "scheduler": {"optimizer", "total_steps"},
    "trainer": {"logger", "callbacks", "default_root_dir"},
}
EXTRA = {"optimizer": {"paramwise_cfg"}}  # understood by us, not by the class
KINDS = {"freeze": list, "init": list, "callbacks": list, "seed": int, "work_dir": str}

PathLike = str | os.PathLike[str]


def load(path: PathLike, overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Read a pretrain config, apply `--cfg-options`, and check it.

    Args:
        path: the config file.
        overrides: dotted path -> value.

    Returns:
        Plain nested dicts and lists, ready for `build` and for a checkpoint.

    Raises:
        ConfigError: all mistakes, one per line.
    """
    cfg = read(path)
    errors = override_errors(cfg, overrides or {})
    if not errors:
        cfg = merge(cfg, overrides or {})
        errors = list(pretrain_errors(cfg))
    raise_errors(path, errors)
    return {section: value for section, value in cfg.items() if section in SECTIONS}


def read(path: PathLike) -> dict[str, Any]:
    """Read a config file with its bases, unchecked.

    Raises:
        ConfigError: no such file, or a file that does not run.
    """
    if not Path(path).is_file():
        raise ConfigError(f"{path}: no such file")
    try:
        return Config.fromfile(str(path))._cfg_dict.to_dict()
    except OCRPretrainError:
        raise
    except Exception as error:  # a config is a user's Python file: anything can go wrong in it
        raise ConfigError(f"{path}: does not load: {type(error).__name__}: {error}") from error


def merge(cfg: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the config with the values at dotted paths replaced."""
    merged = Config(copy.deepcopy(dict(cfg)))
    merged.merge_from_dict(copy.deepcopy(dict(overrides)))  # takes '_delete_' out of them
    return merged._cfg_dict.to_dict()


def dump(cfg: Mapping[str, Any], path: PathLike) -> None:
    """Write the resolved config as a file that `load` reads again."""
    Path(path).write_text(Config(copy.deepcopy(dict(cfg))).pretty_text, "utf-8")


def digest(cfg: Mapping[str, Any]) -> str:
    """A short hash of the resolved config, without the folder it writes to."""
    content = {key: value for key, value in cfg.items() if key != "work_dir"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def build(spec: Mapping[str, Any], **extra: Any) -> Any:
    """Build `dict(type='package.Class', ...)`; nested typed dicts are built first.

    Args:
        spec: the class and its arguments.
        extra: further arguments; they override those of `spec`.
    """
    arguments = {key: _build_nested(value) for key, value in spec.items() if key != "type"}
    return resolve(spec["type"])(**{**arguments, **extra})


def _build_nested(value: Any) -> Any:
    if isinstance(value, Mapping):
        if "type" in value:
            return build(value)
        return {key: _build_nested(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_build_nested(item) for item in value)
    return value


def raise_errors(path: PathLike, errors: list[tuple[str, str]]) -> None:
    """Raise all (dotted path, message) pairs as one `ConfigError`; nothing where there is none."""
    if errors:
        raise ConfigError("\n".join(f"{path}: {where}: {what}" for where, what in errors))


def pretrain_errors(cfg: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """All mistakes of a pretrain config, as (dotted path, message)."""
    for section in cfg:
        if section in SECTIONS:
            continue
        # A leading underscore marks a variable of the file, unless it looks like a section.
        if not section.startswith("_") or hint(section[1:], SECTIONS, 0.85):
            yield section, f"unknown section{hint(section, SECTIONS)}"
    for section in REQUIRED:
        if section not in cfg:
            yield section, "this section is missing"
    for section, kind in KINDS.items():
        if section in cfg and not isinstance(cfg[section], kind):
            yield section, f"wants {kind.__name__}, found {cfg[section]!r}"
    for section in ("backbone", "head", *DEFAULT_TYPES):
        value = cfg.get(section, {})
        if not isinstance(value, Mapping):
            yield section, f"wants a dict, found {value!r}"
        elif section in cfg and section in ("backbone", "head") and "type" not in value:
            yield section, "needs a 'type', the dotted name of a class"
    data = cfg.get("data")
    for part in ("train", "val", "view"):
        value = data.get(part) if isinstance(data, Mapping) else None
        if value is not None and not isinstance(value, Mapping):
            what = "wants a dict; as an option \"{'type':'...','_delete_':True}\""
            yield f"data.{part}", f"{what}, found {value!r}"
    for index, entry in enumerate(cfg.get("init", ())):
        known = isinstance(entry, Mapping) and "file" in entry and not set(entry) - {"file", "only"}
        if not known or not isinstance(entry.get("only", []), list | tuple):
            yield f"init.{index}", f"takes dict(file=..., only=[...]), found {entry!r}"
    yield from _never_validated(cfg.get("trainer"))
    sections = {section: value for section, value in cfg.items() if section in SECTIONS}
    yield from typed_errors(_with_view(sections), lambda name, where: [resolve(name)])


def _with_view(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """A config whose `data.view` names its class; without a head that can be asked, unchanged."""
    head, data = cfg.get("head"), cfg.get("data")
    if not isinstance(head, Mapping) or not isinstance(data, Mapping):
        return dict(cfg)
    try:
        name = getattr(resolve(str(head.get("type"))), "view", None)
    except ConfigError:  # which is reported for the head itself
        name = None
    views: Any = resolve(VIEWS)
    if name not in views or not isinstance(data.get("view"), Mapping):
        return dict(cfg)
    kind = f"{views[name].__module__}.{views[name].__name__}"
    return {**cfg, "data": {**data, "view": {"type": kind, **data["view"]}}}


def _never_validated(trainer: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(trainer, Mapping):
        return
    every, epochs = trainer.get("check_val_every_n_epoch", 1), trainer.get("max_epochs", -1)
    if isinstance(every, int) and isinstance(epochs, int) and 0 < epochs < every:
        what = f"{every} is more than max_epochs={epochs}: no checkpoint would be the best"
        yield "trainer.check_val_every_n_epoch", what


Resolver = Callable[[str, str], list[Callable[..., Any]]]


def typed_errors(
    value: Any,
    resolver: Resolver,
    where: str = "",
    complete: bool = True,
    exempt: Mapping[str, str] | None = None,
) -> Iterator[tuple[str, str]]:
    """Mistakes in every `dict(type=...)` below a value.

    Args:
        value: a config or a part of it.
        resolver: (type, dotted path) -> the classes it may mean, raising `ConfigError`.
        where: dotted path of `value`.
        complete: see `argument_errors`.
        exempt: keys that are not judged -> the reason.
    """
    deeper = partial(typed_errors, resolver=resolver, complete=complete, exempt=exempt)
    if isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from deeper(item, where=f"{where}.{index}")
    if not isinstance(value, Mapping):
        return
    name = value.get("type", DEFAULT_TYPES.get(where))
    if isinstance(name, str):
        try:
            targets = resolver(name, where)
        except ConfigError as error:
            yield where, str(error)
            targets = []
        given = frozenset(GIVEN.get(where, ()))
        skipped = {"type", "_scope_", *(exempt or {})} | EXTRA.get(where, set())
        arguments = {key: item for key, item in value.items() if key not in skipped}
        found = [argument_errors(target, arguments, given, complete) for target in targets]
        for key, message in min(found, key=len, default=[]):
            yield f"{where}.{key}", message
    for key, item in value.items():
        if key not in (exempt or {}):
            yield from deeper(item, where=f"{where}.{key}" if where else str(key))


def override_errors(
    cfg: Mapping[str, Any],
    overrides: Mapping[str, Any],
    sections: tuple[str, ...] = SECTIONS,
) -> list[tuple[str, str]]:
    """`--cfg-options` paths that hit neither a key nor an argument of the class there."""
    errors = []
    for path in overrides:
        node: Any = _with_view(cfg)
        walked: list[str] = []
        for part in path.split("."):
            if isinstance(node, list | tuple):
                valid = [str(index) for index in range(len(node))]
            elif isinstance(node, Mapping):
                valid = [str(key) for key in node] + _arguments(node, ".".join(walked), sections)
            else:
                errors.append((path, f"{'.'.join(walked)} is {node!r} and holds nothing"))
                break
            if part not in valid:
                errors.append((path, f"no such key in the config{hint(part, valid)}"))
                break
            if isinstance(node, list | tuple):
                node = node[int(part)]
            elif part in node:
                node = node[part]
            else:
                break  # an argument that the config leaves at its default
            walked.append(part)
    return errors


def _arguments(node: Mapping[str, Any], where: str, sections: tuple[str, ...]) -> list[str]:
    if not where:
        return list(sections)
    name = node.get("type", DEFAULT_TYPES.get(where))
    if not isinstance(name, str) or "." not in name:
        return []
    named, _ = parameters(resolve(name))
    return sorted(set(named) - GIVEN.get(where, set()) | EXTRA.get(where, set()))
