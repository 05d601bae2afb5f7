"""Pictures of a run: curve and attention of a pretraining, detections of an evaluated finetuning.

Detections: found red, true words green, don't-care regions grey.
"""

import argparse
from pathlib import Path

from ocrpretrain.cli import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", nargs="+", help="folder of a pretraining or evaluated finetuning")
    parser.add_argument("--out", help="picture to write (default: <run>/<what>.png)")
    parser.add_argument("--attention", action="store_true", help="where a pretrained model looks")
    parser.add_argument("--losses", action="store_true", help="losses of all given finetunings")
    parser.add_argument("--count", type=int, default=12, help="number of images")
    parser.add_argument("--columns", type=int, default=4)
    args = parser.parse_args()

    from ocrpretrain.drawing import save_picture

    folder = Path(args.run[0])
    what = "curve" if (folder / "checkpoints").is_dir() else "detections"
    what = "attention" if args.attention else "losses" if args.losses else what
    out = Path(args.out or folder / f"{what}.png")
    if what == "attention":
        from ocrpretrain.looking import attention_picture

        save_picture(attention_picture(folder, args.count), out)
    elif what == "losses":
        from ocrpretrain.results.curves import draw_losses

        draw_losses([Path(run) for run in args.run], out)
    elif what == "curve":
        from ocrpretrain.results.curves import draw_run

        draw_run(folder, out)
    else:
        from ocrpretrain.transfer.visualize import run_picture

        save_picture(run_picture(folder, args.count, args.columns), out)
    print(f"written: {out}")


if __name__ == "__main__":
    run(main)
