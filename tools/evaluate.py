"""Evaluate a finetuned detector, or a reader file on sets of words, and append to results.jsonl."""

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
    parser.add_argument("--upright", action="store_true", help="read tall words turned too")
    args = parser.parse_args()
    if args.words or Path(args.run).is_file():
        from ocrpretrain.errors import ConfigError
        from ocrpretrain.evaluation.word_scores import table
        from ocrpretrain.reading.evaluate import evaluate_words

        if not args.words or args.test:
            raise ConfigError("a reader file is evaluated on --words SET ..., without --test")
        record = evaluate_words(args.run, args.words, args.results, args.experiment, args.upright)
        print(table(record))
        return

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
