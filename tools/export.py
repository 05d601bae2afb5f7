"""Turn a pretraining run into a weights file: the backbone, or backbone and head."""

import argparse
from pathlib import Path

from ocrpretrain.cli import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="folder of a pretraining run, or one of its .ckpt files")
    parser.add_argument("--out", help="file to write (default: <run>/<kind>.safetensors)")
    parser.add_argument("--reader", action="store_true", help="keep the head too")
    parser.add_argument("--which", choices=["best", "last"], default="best")
    args = parser.parse_args()

    from ocrpretrain.weights.export import export, find_checkpoint

    checkpoint = find_checkpoint(args.run, args.which)
    kind = "reader" if args.reader else "transfer"
    folder = checkpoint.parents[1] if Path(args.run).is_dir() else checkpoint.parent
    out = Path(args.out) if args.out else folder / f"{kind}.safetensors"
    info = export(checkpoint, out, args.reader)
    print(f"{out}: {kind} file of {checkpoint} ({info.images_seen} images seen)")


if __name__ == "__main__":
    run(main)
