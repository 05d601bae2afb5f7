"""Evaluate a finetuned detector on its test images and append a line to results.jsonl."""

import argparse

from ocrpretrain.cli import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="folder of a finetuning run")
    parser.add_argument("--results", default="work_dirs/results.jsonl", help="file to append to")
    parser.add_argument("--experiment", help="groups rows that are compared")
    parser.add_argument("--test", help="folder or zip of test images, in place of the run's")
    args = parser.parse_args()

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
