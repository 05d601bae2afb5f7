"""Fixtures and skips shared by all tests."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path

import pytest
import torch
from reader_files import pictures, reader_file  # noqa: F401 fixtures
from safetensors.torch import load_file

ROOT = Path(__file__).parents[1]
GOLDEN = Path(os.environ.get("OCRPRETRAIN_GOLDEN", ROOT.parent / "shared" / "golden"))
DATA = Path(os.environ.get("OCRPRETRAIN_DATA", ROOT.parent / "shared" / "data"))
EXTERNAL = ROOT / "tests" / "external"  # what a user would have in a package of their own
sys.path.insert(0, str(EXTERNAL))
os.environ["WANDB_MODE"] = "offline"
os.environ.setdefault("WANDB_SILENT", "true")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reasons = {
        "golden": None if GOLDEN.is_dir() else f"no golden values at {GOLDEN}",
        "gpu": None if torch.cuda.is_available() else "no CUDA device",
        "mmocr": None
        if importlib.util.find_spec("mmocr")
        else "the transfer extra is not installed",
    }
    for item in items:
        for name, reason in reasons.items():
            if reason and item.get_closest_marker(name):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def golden(name: str) -> tuple[dict[str, torch.Tensor], dict]:
    """Tensors (float16 ones as float32, which is exact) and JSON of one golden file."""
    tensors = load_file(GOLDEN / f"{name}.safetensors")
    tensors = {k: v.float() if v.dtype == torch.float16 else v for k, v in tensors.items()}
    return tensors, json.loads((GOLDEN / f"{name}.json").read_text())


def section(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """The tensors under a prefix, without it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def assert_close(ours: torch.Tensor, theirs: torch.Tensor, tolerance: float, name: str) -> None:
    """max|a - b| <= tolerance * max|b|, the rule of the golden folder."""
    assert ours.shape == theirs.shape, f"{name}: {ours.shape} is not {theirs.shape}"
    error = (ours - theirs).abs().max().item()
    bound = tolerance * theirs.abs().max().item()
    assert error <= bound, f"{name}: {error:.3g} > {bound:.3g}"


def data_set(name: str) -> Path:
    """A zip of real images; the test is skipped where it is not there."""
    path = DATA / f"{name}.zip"
    if not path.is_file():
        pytest.skip(f"no real images at {path}")
    return path


@pytest.fixture(scope="session")
def transfer_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights file that the external head pretrained and `export` wrote."""
    from ocrpretrain.engine import pretrain
    from ocrpretrain.weights.export import export, find_checkpoint

    folder = tmp_path_factory.mktemp("pretrained")
    pretrain(EXTERNAL / "my_config.py", work_dir=folder / "run")
    out = folder / "nano.safetensors"
    export(find_checkpoint(folder / "run"), out)
    return out
