"""Rank the words of a lexicon for each image, zero-shot, and draw where each best word looks."""

import argparse
from pathlib import Path

from ocrpretrain.cli import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", help="reader file (tools/export.py --reader)")
    parser.add_argument("images", nargs="+", help="image files")
    parser.add_argument("--lexicon", required=True, help="UTF-8 file, one label per line")
    parser.add_argument("--top", type=int, default=5, help="labels to print per image")
    parser.add_argument("--out", default="readings", help="folder for the attention pictures")
    args = parser.parse_args()

    from ocrpretrain.drawing import save_picture
    from ocrpretrain.reading import LexiconReader, read_lexicon

    reader = LexiconReader(args.weights, read_lexicon(args.lexicon))
    if reader.unreadable:
        print(f"left out, no character in the charset: {', '.join(reader.unreadable)}")
    if reader.changed:
        print(f"read without some of their characters: {', '.join(reader.changed)}")
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    for image in map(Path, args.images):
        sample = reader.sample(image)
        ranking = reader.rank(sample, args.top)
        print(f"{image}: " + ", ".join(f"{label} {score:.3f}" for label, score in ranking))
        picture = out / f"{image.stem}_attention.png"
        save_picture(reader.picture(sample, [label for label, _ in ranking]), picture)
        print(f"  attention per word: {picture}")


if __name__ == "__main__":
    run(main)
