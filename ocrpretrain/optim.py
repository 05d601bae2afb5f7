"""Parameter groups, freezing and the learning-rate schedule of a pretraining."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR

from ocrpretrain.errors import ConfigError

NORMS = (nn.LayerNorm, nn.GroupNorm, nn.modules.batchnorm._NormBase)


def decays(module: nn.Module, name: str, parameter: nn.Parameter) -> bool:
    """Whether weight decay makes sense: only for the matrices and kernels of a network.

    Not for norms, biases, scalars, embeddings and position tables.
    """
    owner_name, _, leaf = name.rpartition(".")
    owner = module.get_submodule(owner_name)
    table = isinstance(owner, nn.Embedding) or "pos" in leaf
    return parameter.ndim >= 2 and not isinstance(owner, NORMS) and not table


def parameter_groups(
    module: nn.Module, lr: float, weight_decay: float, paramwise_cfg: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
    """Trainable parameters grouped by (learning rate, decay).

    Args:
        module: with `backbone.` and `head.` parameters.
        lr: base learning rate.
        weight_decay: of the parameters that decay.
        paramwise_cfg: `custom_keys` maps name prefixes to `lr_mult` and `decay_mult`, as in
            MMEngine; the longest matching prefix wins.

    Raises:
        ConfigError: a prefix that no parameter has, or an unknown multiplier.
    """
    custom: Mapping[str, Mapping[str, float]] = (paramwise_cfg or {}).get("custom_keys", {})
    names = [name for name, _ in module.named_parameters()]
    check_prefixes(custom, names, "optimizer.paramwise_cfg.custom_keys")
    for key, entry in custom.items():
        if set(entry) - {"lr_mult", "decay_mult"}:
            raise ConfigError(f"custom_keys {key!r}: takes lr_mult and decay_mult, found {entry}")
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            continue
        match = max((key for key in custom if name.startswith(key)), key=len, default=None)
        entry = custom[match] if match is not None else {}
        decay = weight_decay if decays(module, name, parameter) else 0.0
        key = (lr * entry.get("lr_mult", 1.0), decay * entry.get("decay_mult", 1.0))
        group = groups.setdefault(key, {"params": [], "lr": key[0], "weight_decay": key[1]})
        group["params"].append(parameter)
    return list(groups.values())


def check_prefixes(prefixes: Iterable[str], names: list[str], where: str) -> None:
    """Each prefix must match a parameter.

    Raises:
        ConfigError: naming all prefixes that match nothing, with the nearest valid one.
    """
    valid = sorted({".".join(n.split(".")[:i]) for n in names for i in range(1, n.count(".") + 2)})
    errors = []
    for prefix in prefixes:
        if not any(name.startswith(prefix) for name in names):
            near = get_close_matches(prefix, valid, 1)
            errors.append(
                f"{where}: no parameter starts with {prefix!r}"
                + (f". Did you mean {near[0]!r}?" if near else "")
            )
    if errors:
        raise ConfigError("\n".join(errors))


def build_optimizer(
    module: nn.Module,
    optimizer: type[Optimizer],
    lr: float,
    weight_decay: float = 0.0,
    paramwise_cfg: Mapping[str, Any] | None = None,
    **options: Any,
) -> Optimizer:
    """An optimizer over `parameter_groups`; `options` go to its class."""
    groups = parameter_groups(module, lr, weight_decay, paramwise_cfg)
    if not groups:
        raise ConfigError("freeze: leaves no trainable parameter")
    return optimizer(groups, lr=lr, weight_decay=weight_decay, **options)  # pyright: ignore


class WarmupCosine(LambdaLR):
    """Linear warm-up, then a cosine to `min_factor`, per step.

    Args:
        optimizer: given by the engine.
        total_steps: given by the engine.
        warmup_steps: steps until the full rate; a share of all steps where below 1.
        min_factor: the last step's rate, as a share of the full one.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        total_steps: int,
        warmup_steps: float = 0.05,
        min_factor: float = 0.0,
    ) -> None:
        warmup = round(warmup_steps * total_steps if warmup_steps < 1 else warmup_steps)
        if warmup >= total_steps:
            raise ConfigError(f"scheduler.warmup_steps: {warmup} of {total_steps} steps in all")

        def factor(step: int) -> float:
            if step < warmup:
                return (step + 1) / warmup
            progress = min(1.0, (step - warmup) / max(1, total_steps - warmup))
            return min_factor + (1 - min_factor) * 0.5 * (1 + math.cos(math.pi * progress))

        super().__init__(optimizer, factor)


class Steps(LambdaLR):
    """Linear warm-up, then the full rate, cut by a factor at each milestone.

    Args:
        optimizer: given by the engine.
        total_steps: given by the engine.
        milestones: shares of all steps.
        factor: of each cut; DeepSeek LLM's (2024) is a third of the rate after 80 %, a tenth after
            90 %.
        warmup_steps: see `WarmupCosine`.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        total_steps: int,
        milestones: Sequence[float] = (0.8, 0.9),
        factor: float = 0.316,
        warmup_steps: float = 2000,
    ) -> None:
        warmup = round(warmup_steps * total_steps if warmup_steps < 1 else warmup_steps)
        if warmup >= total_steps or not all(0 < share < 1 for share in milestones):
            raise ConfigError(
                f"scheduler: {warmup} warm-up steps of {total_steps}, milestones {milestones}, "
                "each a share of all steps"
            )

        def rate(step: int) -> float:
            if step < warmup:
                return (step + 1) / warmup
            return factor ** sum(step >= share * total_steps for share in milestones)

        super().__init__(optimizer, rate)


class OneCycle(OneCycleLR):
    """PyTorch's one-cycle schedule per step, each group up to its own rate, momentum untouched.

    Args:
        optimizer: given by the engine.
        total_steps: given by the engine.
        warmup: share of the steps until the full rate.
    """

    def __init__(self, optimizer: Optimizer, total_steps: int, warmup: float = 0.075) -> None:
        rates = [group["lr"] for group in optimizer.param_groups]
        super().__init__(
            optimizer, rates, total_steps=total_steps, pct_start=warmup, cycle_momentum=False
        )


def freeze(module: nn.Module, prefixes: Iterable[str]) -> list[nn.Module]:
    """Stop gradients of all parameters whose name starts with a prefix.

    Returns:
        The submodules that are frozen as a whole; the caller keeps them in eval mode.

    Raises:
        ConfigError: a prefix that matches nothing.
    """
    prefixes = list(prefixes)
    check_prefixes(prefixes, [name for name, _ in module.named_parameters()], "freeze")
    for name, parameter in module.named_parameters():
        if any(name.startswith(prefix) for prefix in prefixes):
            parameter.requires_grad_(False)
    return [
        child
        for name, child in module.named_modules()
        if name and any(name.startswith(prefix) for prefix in prefixes)
    ]


def trainable(module: nn.Module) -> dict[str, torch.nn.Parameter]:
    """The parameters with a gradient, by name."""
    return {name: p for name, p in module.named_parameters() if p.requires_grad}
