"""Read words or pages in pictures; with --lexicon rank a list's words for each, zero-shot."""

import argparse

from ocrpretrain.cli import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", help="reader file (tools/export.py --reader)")
    parser.add_argument("images", nargs="*", help="image files, or folders of them")
    parser.add_argument(
        "--out", help="JSON lines to write; what is there already is not read again"
    )
    parser.add_argument("--save", metavar="DIR", help="draw where the head looks")
    parser.add_argument("--upright", action="store_true", help="read tall pictures turned too")
    parser.add_argument("--half", action="store_true", help="read words in bfloat16")
    parser.add_argument("--batch-size", type=int, help="default: 64 words or 16 pages")
    parser.add_argument("--text", metavar="FILE", help="set this text on pages and read it back")
    parser.add_argument("--body", type=int, help="pixels of its type (as in training, or 20)")
    parser.add_argument("--fonts", help="folder of fonts for --text (default: the packaged ones)")
    parser.add_argument("--lexicon", help="UTF-8 file, one label per line")
    parser.add_argument("--top", type=int, default=5, help="labels of the lexicon per image")
    args = parser.parse_args()

    if not args.images and not args.text:
        parser.error("give images to read, or --text")
    no = [name for name in ("out", "upright", "half", "batch_size") if getattr(args, name)]
    if no and (args.lexicon or args.text):
        parser.error(f"--lexicon and --text take no --{', no --'.join(no)}")
    if args.fonts and not args.text:
        parser.error("--fonts is for --text")
    if args.text and (args.images or args.lexicon or args.save):
        parser.error("--text takes no images, no --lexicon and no --save")
    from ocrpretrain.reading import files
    from ocrpretrain.reading.round_trip import round_trip

    if args.text:
        lines = round_trip(args.weights, args.text, args.body, args.fonts)
    elif args.lexicon:
        lines = files.rank(args.weights, args.lexicon, args.images, args.top, args.save)
    else:
        options = (args.upright, args.batch_size, args.half)
        lines = files.read(args.weights, args.images, args.out, args.save, *options)
    for line in lines:
        print(line)


if __name__ == "__main__":
    run(main)
