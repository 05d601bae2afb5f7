"""Puts our backbone, its channels, statistics and weights into an MMOCR config, and checks it."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.registry import Registry
from mmengine.runner import Runner

from ocrpretrain.config import build, merge, override_errors, raise_errors, read, typed_errors
from ocrpretrain.errors import ConfigError
from ocrpretrain.signature import hint, parameters, resolve
from ocrpretrain.strides import Stride, sides
from ocrpretrain.weights.format import WeightsInfo, read_info

PathLike = str | os.PathLike[str]
RUNNER_ARGUMENTS = tuple(parameters(Runner)[0])
# Keys that are taken off, or dicts that are changed, before anything is built from them.
EXEMPT = {
    "norm_cfg": "the builder takes `requires_grad` off and adds the channels",
    "conv_cfg": "the builder adds channels and kernel",
    "act_cfg": "the builder adds `inplace`",
    "dcn": "ResNet takes `fallback_on_stride` off",
    "plugins": "ResNet splits each into position, stages and the plugin's own dict",
    "block_cfgs": "names a block of the backbone's own table, not of a registry",
    "roi_layer": "names a class of mmcv.ops, not of a registry",
    "nms": "names a function of mmcv.ops, not of a registry",
    "convert_to_iter_based": "the Runner takes it off before it builds a scheduler",
}
PYRAMID_WIDTH = 256  # where the neck does not say
NEAR = 0.85  # similarity above which an unknown section is a misspelled one, not a user's variable


def load(path: PathLike, overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Read a finetune config (an MMOCR config), apply `--cfg-options`, and check it.

    Raises:
        ConfigError: all mistakes, one per line.
    """
    cfg = read(path)
    sections = (*RUNNER_ARGUMENTS, *cfg)
    errors = override_errors(cfg, overrides or {}, sections)
    errors += _without_effect(overrides or {})
    if not errors:
        cfg = merge(cfg, overrides or {})
        errors = list(finetune_errors(cfg))
    raise_errors(path, errors)
    return cfg


def _without_effect(overrides: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Overrides of a file's own variables, whose values went into other sections long before."""
    what = (
        "is a variable of the file; its value was copied where the file uses it, such as "
        "train_dataloader.dataset.pipeline: override that"
    )
    for path in overrides:
        if path.partition(".")[0] not in RUNNER_ARGUMENTS:
            yield path, what


def finetune_errors(cfg: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """All mistakes of an MMOCR config, as (dotted path, message).

    MMOCR's files define variables of their own, so an unknown section is only a mistake where it
    nearly is an argument of the Runner.
    """
    for section in cfg:
        if section not in RUNNER_ARGUMENTS and hint(section, RUNNER_ARGUMENTS, NEAR):
            yield section, f"unknown section{hint(section, RUNNER_ARGUMENTS, NEAR)}"
    register()
    for section, value in cfg.items():
        if section in RUNNER_ARGUMENTS:
            yield from typed_errors(
                value, lambda name, where: candidates(name), section, False, EXEMPT
            )


def candidates(name: str) -> list[Callable[..., Any]]:
    """All classes that a registry name may mean.

    Raises:
        ConfigError: no registry knows the name.
    """
    if name.startswith("ocrpretrain.") or (name.count(".") > 1):
        return [resolve(name)]
    wanted, _, short = name.rpartition(".")
    known = [(r.scope, r.module_dict) for r in _registries() if not wanted or r.scope == wanted]
    # A wrapper of another library switches the scope, so a short name may be any library's.
    targets = [names[short] for _, names in known if short in names]
    if not targets:
        valid = {key for _, names in known for key in names}
        raise ConfigError(
            f"no registry{f' of {wanted}' if wanted else ''} knows {short!r}{hint(short, valid)}"
        )
    return targets


def _registries() -> Iterator[Any]:
    import mmengine.registry as registries

    for parent in vars(registries).values():
        if isinstance(parent, Registry):
            yield parent
            yield from parent.children.values()


def register() -> None:
    """Import MMOCR's and MMDetection's classes so that their registries are filled."""
    import mmdet.utils
    import mmocr.utils

    mmdet.utils.register_all_modules(init_default_scope=False)
    mmocr.utils.register_all_modules(init_default_scope=False)


def insert_backbone(
    cfg: Mapping[str, Any], info: WeightsInfo, weights: PathLike | None
) -> dict[str, Any]:
    """The config with our backbone in place of its own.

    Args:
        cfg: an MMOCR detector config.
        info: of the weights file; decides architecture, channels, statistics.
        weights: the file, or None for the same network from random initialisation.

    Raises:
        ConfigError: a config whose neck does not take the backbone's channels as a list.

    Where the backbone has no maps of the strides that the detector wants, a new `Pyramid` makes
    them from all that it has. Images are padded to what the backbone divides.
    """
    model = dict(cfg["model"])
    old = model["backbone"]
    neck = dict(model.get("neck") or {})
    if not isinstance(neck.get("in_channels"), list | tuple):
        raise ConfigError(
            "model.neck.in_channels: only necks that take a list of maps are supported"
        )
    # MMOCR's detectors stand on a ResNet, whose stages have these strides.
    stages = old.get("out_indices") or range(len(neck["in_channels"]))
    wanted = tuple(4 * 2**stage for stage in stages)
    indices: tuple[int, ...] = tuple(
        place for place, stride in enumerate(info.strides) if stride in wanted
    )
    pyramid = None
    if tuple(info.strides[place] for place in indices) != wanted:
        indices = tuple(range(len(info.strides)))
        width = neck.get("lateral_channels") or neck.get("out_channels") or PYRAMID_WIDTH
        pyramid = {"strides": wanted, "width": width}
        print(
            f"maps of strides {tuple(info.strides)} -> {wanted}: a new pyramid of {width} channels"
        )
    neck["in_channels"] = (
        [pyramid["width"]] * len(wanted)
        if pyramid
        else [info.out_channels[index] for index in indices]
    )
    model["neck"] = neck
    model["backbone"] = {
        "type": "ocrpretrain.transfer.adapter.Adapter",
        "backbone": info.backbone,
        "weights": None if weights is None else str(Path(weights).resolve()),
        "out_indices": indices,
        # The baseline keeps the config's choice; both rows of a comparison get the same one.
        "norm_eval": False if weights is None else bool(old.get("norm_eval", False)),
    }
    if pyramid:
        model["backbone"]["pyramid"] = pyramid
    divisors = sides(_size_divisor(info.backbone))
    padding = math.lcm(*divisors, model["data_preprocessor"].get("pad_size_divisor", 1))
    model["data_preprocessor"] = {
        **model["data_preprocessor"],
        "mean": [255 * value for value in info.mean],
        "std": [255 * value for value in info.std],
        "bgr_to_rgb": True,
        "pad_size_divisor": padding,
    }
    return {**cfg, "model": model}


def _size_divisor(spec: Mapping[str, Any]) -> Stride:
    with torch.device("meta"):
        return build(spec).size_divisor


def backbone_info(weights: PathLike | None, like: PathLike | None) -> WeightsInfo:
    """What to build: from the weights file, or for a random baseline from the file it is like.

    Raises:
        ConfigError: neither is given.
    """
    source = weights or like
    if source is None:
        raise ConfigError("--weights none needs --like FILE: which network to initialise at random")
    return read_info(source)
