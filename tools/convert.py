"""Weights of other projects into ours, and ours into theirs.

Read: official oCLIP, CLIP ResNets (files or open_clip tags such as RN50/openai), MMOCR's CLIPResNet
and MMOCR detectors with one; recognised by their keys. Written with --to: MMOCR, open_clip.
"""

import argparse

from ocrpretrain.cli import run

STATISTICS = {
    "clip": None,
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", help="file, or open_clip tag")
    parser.add_argument("out", help="file to write")
    parser.add_argument("--to", choices=["mmocr", "open_clip"], help="convert ours into theirs")
    parser.add_argument("--base", help="for open_clip: file or tag that lends pool and text tower")
    parser.add_argument(
        "--statistics", choices=list(STATISTICS), default="clip",
        help="mean and std that the weights were trained with (default: CLIP's)",
    )  # fmt: skip
    args = parser.parse_args()

    from ocrpretrain.weights.exchange import export_weights, import_weights

    if args.to:
        count = export_weights(args.source, args.out, args.to, args.base)
        print(f"{args.out}: {count} tensors for {args.to}")
        return
    kind, info = import_weights(args.source, args.out, *(STATISTICS[args.statistics] or ()))
    print(f"{args.out}: converted from {kind}; statistics {args.statistics}; {info.backbone}")


if __name__ == "__main__":
    run(main)
