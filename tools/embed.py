"""Write the vision tokens of pictures: the encoder of a weights file alone."""

import argparse

from ocrpretrain.cli import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", help="a file of tools/export.py or tools/convert.py")
    parser.add_argument("images", nargs="+", help="image files, or folders of them")
    parser.add_argument("--out", required=True, help="folder; a .safetensors per picture")
    parser.add_argument("--size", type=int, nargs=2, metavar=("H", "W"), help="of the view")
    parser.add_argument("--mode", help="tiny, small, base, large, gundam or gundam-m, for a size")
    parser.add_argument("--half", action="store_true", help="16 bits a number")
    args = parser.parse_args()

    from ocrpretrain.reading.embed import embed

    for line in embed(args.weights, args.images, args.out, args.size, args.mode, args.half):
        print(line)


if __name__ == "__main__":
    run(main)
