"""Write a data set: generated, or any folder, zip, shards or LMDB anew; or a tokenizer."""

import argparse
from importlib import import_module

from ocrpretrain.cli import run
from ocrpretrain.errors import ConfigError

GENERATORS = {"scenes": "SyntheticScenes", "words": "SyntheticWords", "pages": "SyntheticPages"}
LAYOUTS = {"shards": "WebDataset tars", "lmdb": "PARSeq's LMDB", "folder": "labels.jsonl, images"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    synth = commands.add_parser("synth", help="generated images, a folder of OUT per kind")
    for kind in GENERATORS:
        synth.add_argument(f"--{kind}", type=int, default=0, metavar="N", help="number of images")
    synth.add_argument("--size", type=int, nargs=2, metavar=("H", "W"), help="of scenes and pages")
    synth.add_argument("--seed", type=int, default=0)
    synth.add_argument("--fonts", help="folder of fonts (default: the packaged ones)")
    synth.add_argument("--format", choices=["shards", "folder"], default="shards")
    for layout, what in LAYOUTS.items():
        commands.add_parser(layout, help=what).add_argument("source", help="what Folder opens")
    pairs = commands.add_parser("tokenizer", help="byte pairs of pages' texts")
    pairs.add_argument("--text", help="UTF-8 file to learn from (default: the packaged prose)")
    pairs.add_argument("--ids", type=int, default=4096)
    for command in commands.choices.values():
        command.add_argument("out", help="a new folder or file, or shards to go on with")
        if command is not pairs:
            command.add_argument("--workers", type=int, default=1, help="processes")
    args = parser.parse_args()
    if args.command == "tokenizer":
        tokenizer = import_module("ocrpretrain.data.prepare.tokenizer")
        return print(tokenizer.write_tokenizer(args.text, args.out, args.ids))
    data, write = import_module("ocrpretrain.data"), import_module("ocrpretrain.data.prepare").write
    if args.command != "synth":
        return print(write(args.command, data.Folder(args.source), args.out, args.workers))
    if not (counts := {kind: n for kind in GENERATORS if (n := getattr(args, kind))}):
        raise ConfigError(f"nothing to draw: give --{' or --'.join(GENERATORS)}")
    for kind, count in counts.items():
        size = {"size": args.size} if args.size and kind != "words" else {}
        make = getattr(data, GENERATORS[kind])
        source = make(count, seed=args.seed, fresh=False, fonts=args.fonts, **size)
        print(write(args.format, source, f"{args.out}/{kind}", args.workers))


if __name__ == "__main__":
    run(main)
