"""The main job end to end: pretrain -> export -> finetune -> evaluate -> leaderboard."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ocrpretrain.errors import DataError

PRETRAIN = "configs/pretrain/oclip_clip-resnet-nano_demo_synthetic.py"
FINETUNE = "configs/finetune/textdet/dbnet_clip-resnet-nano_demo_synthetic.py"
FINETUNE_DATA = "configs/finetune/textdet/dbnet_clip-resnet-toy_240e_icdar2015.py"
MAX_STEPS, BATCH_SIZE = 5520, 4  # of that recipe on 90 images: half an hour on 2 cores


def demo(folder: Path, data: str | None = None, test: str | None = None) -> None:
    """Run every tool in its own process, as a user would, and say where the results lie.

    Args:
        folder: where to write.
        data: folder or zip of the user's annotated images, in place of generated ones.
        test: folder or zip of test images; a fifth of `data` where it is not given.

    Raises:
        DataError: a row without a single match.
    """
    start = time.monotonic()
    results, weights = folder / "results.jsonl", folder / "pretrain" / "transfer.safetensors"
    results.unlink(missing_ok=True)
    _tool("pretrain", PRETRAIN, "--work-dir", folder / "pretrain", "--overwrite")
    _tool("export", folder / "pretrain", "--out", weights)
    for name in ("random", "pretrained"):
        chosen = ["none", "--like", weights] if name == "random" else [weights]
        run = folder / f"finetune_{name}"
        _tool(
            "finetune", *_recipe(data, test), "--weights", *chosen, "--work-dir", run, "--overwrite"
        )
        _tool("evaluate", run, "--results", results, "--experiment", "demo")
        _tool("visualize", run, "--out", folder / f"detections_{name}.png")
    _tool("leaderboard", results)
    rows = [json.loads(line) for line in results.read_text("utf-8").splitlines()]
    for what, where in (
        ("leaderboard", folder / "leaderboard.md"),
        ("pictures", f"{folder}/detections_*.png, {folder / 'pretrain' / 'samples.png'}"),
        ("offline W&B runs", f"{folder}/wandb, {folder / 'pretrain' / 'wandb'}"),
    ):
        print(f"{what}: {where}")
    print(f"demo: {(time.monotonic() - start) / 60:.1f} minutes")
    empty = [row["head"] for row in rows if row["metrics"]["hmean"] == 0]
    if empty:
        raise DataError(f"a detector found nothing at all (hmean 0.0): head {', '.join(empty)}")


def _recipe(data: str | None, test: str | None) -> list[object]:
    if data is None:
        return [FINETUNE]
    from ocrpretrain.data import Folder  # imports torch: not before the tools say what is wrong

    # As many steps as 90 images take in the recipe's 240 epochs, whatever the size of the set.
    images = len(Folder(data)) * (0.9 if test else 0.7)
    epochs = min(240, max(3, round(MAX_STEPS * BATCH_SIZE / images)))
    recipe: list[object] = [FINETUNE_DATA, "--train", data]
    if test is not None:
        recipe += ["--test", test]
    lengths = (f"train_cfg.max_epochs={epochs}", f"param_scheduler.1.end={epochs}")
    return [*recipe, "--cfg-options", *lengths]


def _tool(name: str, *arguments: object) -> None:
    words: Sequence[str] = [f"tools/{name}.py", *map(str, arguments)]
    print(f"\n$ python {shlex.join(words)}", flush=True)
    done = subprocess.run([sys.executable, *words], check=False)
    if done.returncode:
        raise DataError(f"tools/{name}.py ended with exit code {done.returncode}")
