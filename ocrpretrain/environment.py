"""Where a result came from: versions, machine, and the state of the git checkout."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    *("ocrpretrain", "torch", "torchvision", "lightning", "open_clip_torch", "mmengine"),
    *("mmocr", "mmdet", "mmcv-lite", "mmcv", "numpy", "opencv-python", "opencv-python-headless"),
)


def versions() -> dict[str, str]:
    """Installed versions of the packages that decide a result."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """Processor, cores and accelerator (imports torch)."""
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return {"machine": platform.machine(), "cores": os.cpu_count(), "device": device}


def describe() -> dict[str, Any]:
    """Everything about the surroundings of a run that may decide its result."""
    return {"environment": versions(), "machine": machine(), "git": git_state()}


def transfer_state() -> str:
    """Whether MMOCR can be used here, and whose operators it would run on."""
    try:
        version("mmocr")
    except PackageNotFoundError:
        return "not installed (pip install 'ocrpretrain[transfer]')"
    compiled = importlib.util.find_spec("mmcv._ext") is not None
    return f"MMOCR with {'a compiled mmcv' if compiled else 'our operators, no compiled mmcv'}"


def git_state(folder: Path = Path(__file__).parent) -> str:
    """Commit of the checkout that the package runs from, '+changes' if files differ from it."""
    try:
        commit = _git(folder, "rev-parse", "--short=12", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return "not a git checkout"
    return commit + ("+changes" if changed else "")


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def file_sha256(path: str | os.PathLike[str]) -> str:
    """sha256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def share_cores(workers: int) -> None:
    """Without an accelerator, leave a core to each loader worker: more threads than cores crawl.

    `OMP_NUM_THREADS` decides where it is set.
    """
    import torch

    if not torch.cuda.is_available() and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) - workers))


def emulates_bfloat16(accelerator: str) -> bool:
    """Whether a Trainer on this accelerator would compute in bfloat16 on a CPU that has none.

    Such a CPU converts each number: a training step takes several times as long as in float32.
    """
    import torch

    on_cpu = accelerator == "cpu" or (accelerator == "auto" and not torch.cuda.is_available())
    if not on_cpu or not hasattr(torch.cpu, "get_capabilities"):
        return False
    found = torch.cpu.get_capabilities()
    own = any(found.get(name) for name in ("avx512_bf16", "amx_bf16", "avx_ne_convert"))
    return found.get("architecture") == "x86_64" and not own
