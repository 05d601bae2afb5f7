"""Run the whole path twice, with a random and a pretrained backbone, and print the leaderboard."""

import argparse
from pathlib import Path

from ocrpretrain.cli import run
from ocrpretrain.demo import demo


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="work_dirs/demo", help="folder to write to")
    parser.add_argument("--data", help="folder or zip of your own annotated images")
    parser.add_argument("--test", help="folder or zip of test images (default: a fifth of --data)")
    args = parser.parse_args()
    demo(Path(args.out), args.data, args.test)


if __name__ == "__main__":
    run(main)
