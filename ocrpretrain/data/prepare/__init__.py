"""Writing data sets in layouts that the sources read, and tokenizers."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def write(layout: str, source: Any, out: str, workers: int) -> str:
    """Write a source as 'shards', 'lmdb' or 'folder'; a line that says what was written."""
    module = import_module(f"ocrpretrain.data.prepare.{layout}")
    made = getattr(module, f"write_{layout}")(source, out, workers=workers)
    return f"written: {made} ({len(source)} images)"
