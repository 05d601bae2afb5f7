"""Write generated scenes as a folder with images and labels.jsonl."""

import argparse

from ocrpretrain.cli import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", help="a new or empty folder")
    parser.add_argument("--count", type=int, default=1000, help="number of images")
    parser.add_argument("--size", type=int, nargs=2, default=(512, 512), metavar=("H", "W"))
    parser.add_argument("--words", type=int, nargs=2, default=(1, 12), metavar=("MIN", "MAX"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fonts", help="folder of fonts (default: the packaged ones)")
    args = parser.parse_args()

    from ocrpretrain.data import SyntheticScenes
    from ocrpretrain.data.prepare.folder import write_folder

    source = SyntheticScenes(
        args.count, args.size, args.words, seed=args.seed, fresh=False, fonts=args.fonts
    )
    print(f"written: {write_folder(source, args.out)} ({args.count} images)")


if __name__ == "__main__":
    run(main)
