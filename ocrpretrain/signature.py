"""What a class or function takes: dotted names, arguments through `**kwargs`, scalar types."""

from __future__ import annotations

import collections.abc
import importlib
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Literal, Union

from ocrpretrain.errors import ConfigError

SCALARS = (bool, int, float, str)


@lru_cache
def resolve(dotted: str) -> Callable[..., Any]:
    """The class or function at a dotted name.

    Raises:
        ConfigError: no such module or attribute, with the nearest valid name.
    """
    module_name, _, attribute = dotted.rpartition(".")
    if not module_name:
        raise ConfigError(f"{dotted!r} must be a dotted name such as 'package.module.Class'")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not module_name.startswith(error.name):
            raise  # the module exists, but something that it needs does not
        raise ConfigError(f"{dotted!r}: no module {error.name!r}") from None
    if not hasattr(module, attribute):
        public = [name for name in dir(module) if not name.startswith("_")]
        raise ConfigError(
            f"{dotted!r}: {module_name} has no {attribute!r}{hint(attribute, public)}"
        )
    return getattr(module, attribute)


def hint(name: str, valid: collections.abc.Iterable[str], cutoff: float = 0.6) -> str:
    """' Did you mean ...?' for the nearest valid name, or nothing."""
    near = get_close_matches(name, [str(v) for v in valid], 1, cutoff)
    return f". Did you mean {near[0]!r}?" if near else ""


def parameters(target: Callable[..., Any]) -> tuple[dict[str, inspect.Parameter], bool]:
    """Named parameters, followed up the MRO through `**kwargs`; and whether any name is taken."""
    if not inspect.isclass(target):
        return _named(target)
    found: dict[str, inspect.Parameter] = {}
    is_open = False
    for cls in target.__mro__:
        if cls is object or "__init__" not in cls.__dict__:
            continue
        named, is_open = _named(cls.__init__)
        found = {**named, **found}
        if not is_open:
            break
    return found, is_open


def _named(function: Callable[..., Any]) -> tuple[dict[str, inspect.Parameter], bool]:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # a C function without a signature
        return {}, True
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    named = {n: p for n, p in signature.parameters.items() if p.kind in kinds and n != "self"}
    is_open = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    return named, is_open


def argument_errors(
    target: Callable[..., Any],
    arguments: Mapping[str, Any],
    given: frozenset[str] = frozenset(),
    complete: bool = True,
) -> list[tuple[str, str]]:
    """Mistakes in the arguments of a call, as (argument, message).

    Args:
        target: class or function.
        arguments: what the config gives.
        given: what the engine adds; the config must not set it.
        complete: False where the caller adds arguments that nobody listed, and annotations of
            anything but scalars are not to be trusted: MMOCR's classes.
    """
    name = getattr(target, "__name__", str(target))
    named, is_open = parameters(target)
    annotations = _annotations(target)
    errors = []
    for key, value in arguments.items():
        if key in given:
            errors.append((key, "is set by the engine, not in the config"))
        elif key in named:
            annotation = annotations.get(key, Any)
            judged = complete or (isinstance(value, SCALARS) and annotation in SCALARS)
            if judged and not matches(value, annotation):
                wanted = _spell(annotations[key])
                errors.append((key, f"{name} wants {wanted}, found {value!r}"))
        elif not is_open:
            errors.append((key, f"{name} takes no such argument{hint(key, set(named) - given)}"))
    for key, parameter in named.items() if complete else ():
        if parameter.default is parameter.empty and key not in arguments and key not in given:
            errors.append((key, f"{name} needs this argument"))
    return errors


def _spell(annotation: Any) -> str:
    """int, Literal['a', 'b'], Optional[str]."""
    plain = typing.get_origin(annotation) is None and getattr(annotation, "__name__", None)
    return plain or str(annotation).replace("typing.", "").replace("collections.abc.", "")


def _annotations(target: Callable[..., Any]) -> dict[str, Any]:
    classes = reversed(target.__mro__) if inspect.isclass(target) else ()
    functions = [cls.__dict__["__init__"] for cls in classes if "__init__" in cls.__dict__]
    found: dict[str, Any] = {}
    for function in functions or [target]:
        try:
            found |= typing.get_type_hints(function)
        except (NameError, TypeError, AttributeError):
            continue  # annotations of another library that only its type checker can read
    return found


def matches(value: Any, annotation: Any) -> bool:
    """Whether a config value fits an annotation; only what a config can hold is judged."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (Union, types.UnionType):
        plain = [o for o in arguments if o in SCALARS or typing.get_origin(o) is Literal]
        # `float | Tensor`: a config holds no tensor, so a string is neither.
        judged = plain if plain and isinstance(value, SCALARS) else arguments
        return any(matches(value, option) for option in judged)
    if origin is Literal:
        return value in arguments
    if annotation in (None, type(None)):
        return value is None
    if isinstance(value, Mapping) and "type" in value:
        return annotation not in SCALARS  # an object that is still to be built
    if annotation is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if annotation in (bool, str):
        return isinstance(value, annotation)
    if origin in (list, tuple, collections.abc.Sequence) or annotation in (list, tuple):
        if not isinstance(value, list | tuple):
            return False
        single = len(arguments) == 1 or (len(arguments) == 2 and arguments[1] is Ellipsis)
        return not single or all(matches(item, arguments[0]) for item in value)
    if origin in (dict, collections.abc.Mapping) or annotation is dict:
        return isinstance(value, Mapping)
    return True
