"""Look at annotated images: statistics, a contact sheet and an HTML page, of one source or two.

A source is what ocrpretrain.data.Folder opens (folder, zip, shards, LMDB), a pretrain config (its
data.train), or a generator: synthetic, synthetic-words, synthetic-pages (./synthetic is a folder).
"""

import argparse

from ocrpretrain.cli import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", help="what to look at")
    parser.add_argument("source2", nargs="?", help="what to compare it with")
    parser.add_argument("--out", required=True, help="folder to write to")
    parser.add_argument("--count", type=int, default=64, help="images to show")
    parser.add_argument(
        "--sample", type=int,
        help="images to measure (default: all of up to 5000 files, else 1000)",
    )  # fmt: skip
    parser.add_argument("--charset", default="94", help="36, 62, 94 or a file of characters")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--max-bad", type=float, default=0.0, help="share of unusable labels")
    parser.add_argument("--clean", action="store_true", help="no words on the sheet")
    args = parser.parse_args()

    from ocrpretrain.data.browse.report import browse

    page = browse(
        [name for name in (args.source, args.source2) if name],
        args.out,
        pictures=args.count,
        sample=args.sample,
        charset=args.charset,
        seed=args.seed,
        max_bad=args.max_bad,
        marks=not args.clean,
    )
    print(f"written: {page}")


if __name__ == "__main__":
    run(main)
