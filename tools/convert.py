"""Weights of other projects into ours, and ours into theirs.

Read: oCLIP, CLIP4STR, PARSeq, CLIP (files or open_clip tags such as RN50/openai), MMOCR's
CLIPResNet and detectors with one, SAM, DeepSeek-OCR (its encoder alone); recognised by their keys.
Written with --to: MMOCR, open_clip.
"""

import argparse

from ocrpretrain.cli import run

STATISTICS = {
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", help="file, or open_clip tag")
    parser.add_argument("out", help="file to write")
    parser.add_argument("--to", choices=["mmocr", "open_clip"], help="convert ours into theirs")
    parser.add_argument("--base", help="for open_clip: file or tag that lends pool and text tower")
    parser.add_argument(
        "--statistics", choices=list(STATISTICS),
        help="mean and std that the weights were trained with (default: CLIP's, PARSeq's own)",
    )  # fmt: skip
    parser.add_argument("--model", help="open_clip's name of a CLIP transformer that is a file")
    parser.add_argument("--deep-encoder", action="store_true",
                        help="write a CLIP transformer as a part of a DeepEncoder")  # fmt: skip
    args = parser.parse_args()
    if args.to and (args.statistics or args.model or args.deep_encoder):
        parser.error("--statistics, --model and --deep-encoder are for weights of other projects")
    if args.base and args.to != "open_clip":
        parser.error("--base is for --to open_clip")

    from ocrpretrain.weights.exchange import export_weights, import_weights

    if args.to:
        count = export_weights(args.source, args.out, args.to, args.base)
        print(f"{args.out}: {count} tensors for {args.to}")
        return
    mean, std = STATISTICS.get(args.statistics, (None, None))
    options = {"model": args.model, "deep_encoder": args.deep_encoder}
    kind, info = import_weights(args.source, args.out, mean, std, **options)
    print(f"{args.out}: converted from {kind}; mean {info.mean}, std {info.std}; {info.backbone}")


if __name__ == "__main__":
    run(main)
