"""Evaluate a finetuned detector, or a reader file on words or pages; append to results.jsonl."""

import argparse
from pathlib import Path

from ocrpretrain.cli import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="folder of a finetuning run, or a reader file")
    parser.add_argument("--results", default="work_dirs/results.jsonl", help="file to append to")
    parser.add_argument("--experiment", help="groups rows that are compared")
    parser.add_argument("--test", help="folder or zip of test images, in place of the run's")
    parser.add_argument("--words", nargs="+", metavar="[NAME=]SET[@LABEL]",
                        help="of a reader file: sets of words, or 'random'")  # fmt: skip
    parser.add_argument("--pages", nargs="+", metavar="[NAME=]SET",
                        help="of pages; or generated: natural shuffled letters")  # fmt: skip
    parser.add_argument("--upright", action="store_true", help="read tall words turned too")
    args = parser.parse_args()
    if args.words or args.pages or Path(args.run).is_file():
        from ocrpretrain.errors import ConfigError
        from ocrpretrain.reading.report import report

        if args.test:
            raise ConfigError("--test is for detectors; a reader file has --words or --pages")
        own = (args.run, args.words, args.pages)
        return print(report(*own, args.results, args.experiment, args.upright))
    if args.upright:
        parser.error("--upright is for words")
    from ocrpretrain.transfer.evaluate import evaluate

    record = evaluate(args.run, args.results, args.experiment, args.test)
    metrics, best = record["metrics"], record["mmocr_best_of_thresholds"]
    print(
        f"{record['test']['data']}: hmean {metrics['hmean']:.4f} at the fixed threshold "
        f"{record['threshold']} (P {metrics['precision']:.4f}, R {metrics['recall']:.4f}); "
        f"MMOCR's best of thresholds on the test images: {best['hmean']:.4f}"
    )


if __name__ == "__main__":
    run(main)
