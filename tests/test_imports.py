"""Imports point one way, and importing the package costs nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
import time

import pytest
from conftest import ROOT

PACKAGE = ROOT / "ocrpretrain"
MM = {"mmocr", "mmdet", "mmcv"}
# A part of the package -> parts that it must not import.
FORBIDDEN = {
    "layers": {"backbones", "heads", "module", "engine", "transfer", "config"},
    "backbones": {"heads", "module", "engine", "transfer", "data", "config"},
    "heads": {"module", "engine", "transfer", "config", "weights"},
    "data": {"backbones", "heads", "module", "engine", "transfer", "weights"},
    "weights": {"module", "engine", "transfer"},
    "evaluation": {"backbones", "heads", "layers", "module", "engine", "transfer", "weights"},
    "results": {"backbones", "heads", "layers", "module", "engine", "transfer", "weights"},
    "module": {"engine", "transfer", "weights"},
    "config": {"backbones", "heads", "layers", "module", "engine", "transfer", "weights", "data"},
}


def imports(path) -> set[str]:
    """Dotted names of everything a file imports at run time, at any depth."""
    tree = ast.parse(path.read_text("utf-8"))
    skipped = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module)
    return found


FILES = sorted(PACKAGE.rglob("*.py"))


def test_the_scan_sees_the_package():
    assert len(FILES) > 40


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_one_way(path):
    part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    names = imports(path)
    if part != "transfer":
        assert not {name for name in names if name.partition(".")[0] in MM}
    own = {name.split(".")[1] for name in names if name.startswith("ocrpretrain.")}
    assert not own & FORBIDDEN.get(part, set())
    assert not any(name.startswith("tools") for name in names)


def test_no_module_is_named_like_the_standard_library():
    assert not {path.stem for path in FILES} & set(sys.stdlib_module_names) - {"__init__"}


def test_importing_the_package_is_free():
    code = "import sys, ocrpretrain; sys.exit('torch' in sys.modules or 'mmengine' in sys.modules)"
    start = time.monotonic()
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    # Half a second is the promise; a busy machine gets some patience.
    assert time.monotonic() - start < 3


def test_pretraining_and_api_work_without_the_mm_packages():
    """With mmocr, mmdet and mmcv blocked, everything but `transfer` imports."""
    code = f"""
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {MM!r}: raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Block())
import ocrpretrain, ocrpretrain.engine, ocrpretrain.weights.export, ocrpretrain.check
import ocrpretrain.results.leaderboard, ocrpretrain.demo
ocrpretrain.pretrain, ocrpretrain.load_backbone, ocrpretrain.load_reader
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
