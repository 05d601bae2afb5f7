"""Write a data set: generated, or any folder, zip, shards or LMDB anew; or a tokenizer."""

import argparse

from ocrpretrain.cli import run

GENERATED = ("scenes", "words", "pages")
LAYOUTS = {"shards": "WebDataset tars", "lmdb": "PARSeq's LMDB", "folder": "labels.jsonl, images"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    synth = commands.add_parser("synth", help="generated images, a folder of OUT per kind")
    for kind in GENERATED:
        synth.add_argument(f"--{kind}", type=int, default=0, metavar="N", help="number of images")
    synth.add_argument("--size", type=int, nargs=2, metavar=("H", "W"), help="of scenes and pages")
    synth.add_argument("--seed", type=int, default=0)
    synth.add_argument("--fonts", help="folder of fonts (default: the packaged ones)")
    synth.add_argument("--format", choices=["shards", "folder"], default="shards")
    for layout, what in LAYOUTS.items():
        command = commands.add_parser(layout, help=what)
        command.add_argument("source", help="what Folder opens; or a config: its data.train, drawn")
        command.add_argument("--images", type=int, help="of a config (default: as in an epoch)")
    pairs = commands.add_parser("tokenizer", help="byte pairs of pages' texts")
    pairs.add_argument("--text", help="UTF-8 file to learn from (default: the packaged prose)")
    pairs.add_argument("--ids", type=int, default=4096)
    for command in commands.choices.values():
        command.add_argument("out", help="a new folder or file, or shards to go on with")
        if command is not pairs:
            command.add_argument("--workers", type=int, default=1, help="processes")
    args = parser.parse_args()
    from ocrpretrain.data.prepare import write
    from ocrpretrain.data.prepare.source import draw, open_source
    from ocrpretrain.data.prepare.tokenizer import write_tokenizer

    if args.command == "tokenizer":
        return print(write_tokenizer(args.text, args.out, args.ids))
    if args.command != "synth":
        source = open_source(args.source, args.images)
        return print(write(args.command, source, args.out, args.workers))
    if not (counts := {kind: n for kind in GENERATED if (n := getattr(args, kind))}):
        parser.error(f"nothing to draw: give --{' or --'.join(GENERATED)}")
    for kind, count in counts.items():
        source = draw(kind, count, args.size, seed=args.seed, fonts=args.fonts)
        print(write(args.format, source, f"{args.out}/{kind}", args.workers))


if __name__ == "__main__":
    run(main)
