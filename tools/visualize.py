"""Draw a run's detections (red) over the true words (green) and don't-care regions (grey)."""

import argparse
from pathlib import Path

from ocrpretrain.cli import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="folder of an evaluated finetuning run")
    parser.add_argument("--out", help="PNG to write (default: <run>/detections.png)")
    parser.add_argument("--count", type=int, default=12, help="number of images")
    parser.add_argument("--columns", type=int, default=4)
    args = parser.parse_args()

    from ocrpretrain.drawing import save_picture
    from ocrpretrain.transfer.evaluate import load_detections
    from ocrpretrain.transfer.visualize import detections_picture, last_evaluation

    folder = Path(args.run)
    record = last_evaluation(folder)
    found = load_detections(folder / "detections.json.gz")
    picture = detections_picture(folder, record, found, args.count, args.columns)
    out = Path(args.out) if args.out else folder / "detections.png"
    save_picture(picture, out)
    print(f"written: {out}")


if __name__ == "__main__":
    run(main)
