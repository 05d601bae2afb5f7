"""Pictures of a run: detections of an evaluated finetuning, or the curve of a pretraining.

Detections: found red, true words green, don't-care regions grey.
"""

import argparse
from pathlib import Path

from ocrpretrain.cli import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="folder of a pretraining run or of an evaluated finetuning")
    parser.add_argument("--out", help="PNG to write (default: <run>/{detections,curve}.png)")
    parser.add_argument("--count", type=int, default=12, help="number of images")
    parser.add_argument("--columns", type=int, default=4)
    args = parser.parse_args()

    folder = Path(args.run)
    pretraining = (folder / "checkpoints").is_dir()
    out = Path(args.out or folder / ("curve.png" if pretraining else "detections.png"))
    if pretraining:
        from ocrpretrain.config import read
        from ocrpretrain.results.curves import draw_pretraining

        data = read(folder / "config.py")["data"]
        draw_pretraining(folder, out, data["batch_size"], 1 / data["val"]["length"])
    else:
        from ocrpretrain.drawing import save_picture
        from ocrpretrain.transfer.evaluate import load_detections
        from ocrpretrain.transfer.visualize import detections_picture, last_evaluation

        evaluation = last_evaluation(folder)
        found = load_detections(folder / "detections.json.gz")
        save_picture(detections_picture(evaluation, found, args.count, args.columns), out)
    print(f"written: {out}")


if __name__ == "__main__":
    run(main)
