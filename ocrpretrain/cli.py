"""What all tools share: `--cfg-options`, and mistakes of the user without a traceback."""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Callable
from typing import Any

from ocrpretrain.errors import OCRPretrainError

MM_PACKAGES = ("mmocr", "mmdet", "mmcv")


def run(main: Callable[[], Any]) -> None:
    """Call a tool's main; a user's mistake is printed and ends with exit code 2."""
    try:
        main()
    except OCRPretrainError as error:
        print(error, file=sys.stderr)
    except ModuleNotFoundError as error:
        print(needs_transfer(error), file=sys.stderr)
    else:
        return
    raise SystemExit(2)


def needs_transfer(error: ModuleNotFoundError) -> str:
    """What to install where an mm package is missing; any other missing module is raised again."""
    if (error.name or "").partition(".")[0] not in MM_PACKAGES:
        raise error
    return f"needs the transfer extra: pip install 'ocrpretrain[transfer]' ({error})"


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    """Add `--cfg-options path.to.key=value ...`, as in MMEngine."""
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="replace values of the config, e.g. trainer.max_epochs=2 data.view.size=[256,256]",
    )


def parse_cfg_options(pairs: list[str]) -> dict[str, Any]:
    """['a.b=1', 'c=[1,2]', 'd=text'] -> {'a.b': 1, 'c': [1, 2], 'd': 'text'}.

    Values are Python literals; anything else, also `true` and `false`, is read as MMEngine does.

    Raises:
        OCRPretrainError: a word without '='.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator:
            raise OCRPretrainError(f"--cfg-options: expected KEY=VALUE, found {pair!r}")
        found[key] = _literal(value)
    return found


def _literal(value: str) -> Any:
    named = {"true": True, "false": False, "none": None}
    if value.lower() in named:
        return named[value.lower()]
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value
