"""Lets the released MMOCR 1.0.1, MMDetection 3.1.0 and mmcv-lite 2.0.1 run on current packages.

`install()` is called before the first mm import. Each patch fills a gap that a newer package left
and does nothing where the original is there: a compiled mmcv is used as it is.
"""

from __future__ import annotations

import importlib.util
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError, distribution
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

EXTENSION = "mmcv._ext"


def install() -> None:
    """Apply all patches; calling it again changes nothing."""
    _numpy_aliases()
    _pkg_resources()
    _mmcv_extension()


def _numpy_aliases() -> None:
    """imgaug reads `np.sctypes`, FCENet's quad output `np.int0`: both gone in numpy 2."""
    if not hasattr(np, "sctypes"):
        np.sctypes = {  # pyright: ignore[reportAttributeAccessIssue]
            "int": [np.int8, np.int16, np.int32, np.int64],
            "uint": [np.uint8, np.uint16, np.uint32, np.uint64],
            "float": [np.float16, np.float32, np.float64],
            "complex": [np.complex64, np.complex128],
            "others": [bool, object, bytes, str, np.void],
        }
    if not hasattr(np, "int0"):
        np.int0 = np.intp  # pyright: ignore[reportAttributeAccessIssue]


class DistributionNotFound(Exception):  # noqa: N818 - pkg_resources' name
    """One object for the whole process: MMEngine reloads the module and then catches this."""


class _PkgResources(MetaPathFinder, Loader):
    """A stand-in for `pkg_resources`, gone since setuptools 82; a real one is found before it."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname == "pkg_resources" else None

    def exec_module(self, module: ModuleType) -> None:
        def get_distribution(name: str) -> SimpleNamespace:
            try:
                found = distribution(name)
            except PackageNotFoundError as error:
                raise DistributionNotFound(name) from error
            location = str(found.locate_file(""))
            return SimpleNamespace(location=location, version=found.version, project_name=name)

        vars(module).update(
            get_distribution=get_distribution,
            DistributionNotFound=DistributionNotFound,
            fixup_namespace_packages=lambda *_: None,  # pytest calls it where the module is there
        )


def _pkg_resources() -> None:
    if not any(isinstance(finder, _PkgResources) for finder in sys.meta_path):
        sys.meta_path.append(_PkgResources())


class _Extension(ModuleType):
    """`mmcv._ext` without a compiler: our operators, and a clear error for all others."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def missing(*args: Any, **kwargs: Any) -> None:
            raise NotImplementedError(
                f"the operator mmcv.ops.{name} needs a compiled mmcv; ocrpretrain replaces only "
                f"{', '.join(sorted(vars(_operators())['OPERATORS']))}"
            )

        return missing


def _operators() -> ModuleType:
    from ocrpretrain.transfer import operators

    return operators


def _mmcv_extension() -> None:
    if EXTENSION in sys.modules or importlib.util.find_spec("mmcv") is None:
        return
    if importlib.util.find_spec(EXTENSION) is not None:
        return  # a compiled mmcv
    module = _Extension(EXTENSION)
    module.__spec__ = ModuleSpec(EXTENSION, None)
    vars(module).update(vars(_operators())["OPERATORS"])
    sys.modules[EXTENSION] = module
