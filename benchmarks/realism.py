"""Which generated words teach most: a small CTC reader per training set and seed, on real words.

python benchmarks/realism.py OUT --train ours=DIR trdg=DIR synthtiger=DIR \\
    --seeds 0 1 2 --steps 8000 --data ../shared/data --words test train

Every reader has the same config, initial weights, steps and batches; its weights after the last
step read all words of IIIT5K (its official labels), SVT and ICDAR2015, 36 characters: the test
words, and the training words, which no reader here is trained on. Without --data it only trains.
What is done is not done again: OUT may be given several times, also with more sets; the FOLDER of
a set whose readers (OUT/NAME-SEED.safetensors) are there is not opened. Prints mean ± standard
deviation over seeds.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from ocrpretrain import pretrain
from ocrpretrain.cli import add_cfg_options, parse_cfg_options
from ocrpretrain.data import LabelsFolder
from ocrpretrain.evaluation.words import WordCounts, count
from ocrpretrain.reading import WordFileReader
from ocrpretrain.weights.export import export, find_checkpoint
from ocrpretrain.weights.format import read_info

CONFIG = Path(__file__).parents[1] / "configs" / "pretrain" / "ctc_conv-nano_8e_synthetic-words.py"
SETS = {"iiit5k": "official", "svt": "text", "ic15": "text"}  # and which of its labels


def train(path: str, seed: int, steps: int, options: dict[str, Any], reader: Path) -> None:
    """Train one reader, if its file is not there; a run that was cut off goes on."""
    if reader.exists():
        return
    options = {
        "data.train": {"type": "ocrpretrain.data.Folder", "path": path, "_delete_": True},
        "trainer.max_epochs": -1,
        "trainer.max_steps": steps,
        "trainer.limit_val_batches": 0,
        "seed": seed,
        **options,
    }
    run = reader.with_suffix("")
    if not (run / "run.json").exists():  # a finished run
        pretrain(CONFIG, options, run, resume=True)
    export(find_checkpoint(run, "last"), reader, reader=True)


def test(reader: Path, data: Path, words: str) -> dict[str, WordCounts]:
    """Counts per set."""
    found, words_of = {}, WordFileReader(reader)
    for name, label in SETS.items():
        source = LabelsFolder(data / f"rec_{name}_{words}.zip", text=label)
        found[name] = count((answer.text, answer.label) for answer in words_of.read_source(source))
    return found


def table(rows: list[dict[str, Any]]) -> str:
    """One line per training set, weighted mean over all words last."""
    lines = ["| trained on | " + " | ".join(SETS) + " | all words | seeds |", "|---" * 6 + "|"]
    for name in dict.fromkeys(row["train"] for row in rows):
        own = [row for row in rows if row["train"] == name]
        cells = []
        for key in (*SETS, "all"):
            values = [100 * row["accuracy"][key] for row in own]
            spread = f" ± {stdev(values):.1f}" if len(values) > 1 else ""
            cells.append(f"{mean(values):.1f}{spread}")
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {len(own)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--train", nargs="+", required=True, metavar="NAME=FOLDER")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--data", type=Path, help="folder with the zips of real words")
    parser.add_argument("--words", nargs="+", choices=["test", "train"], default=["test"])
    add_cfg_options(parser)
    args = parser.parse_args()
    options = parse_cfg_options(args.cfg_options)
    results = args.out / "results.jsonl"
    rows = [json.loads(line) for line in results.open()] if results.exists() else []
    done = {(row["train"], row["seed"], row["words"]) for row in rows}
    for seed in args.seeds:
        for name, path in (item.split("=", 1) for item in args.train):
            reader = args.out / f"{name}-{seed}.safetensors"
            train(path, seed, args.steps, options, reader)
            for words in args.words if args.data else ():
                if (name, seed, words) in done:
                    continue
                counts = test(reader, args.data, words)
                counts["all"] = sum(counts.values(), WordCounts())
                seen = read_info(reader).images_seen
                row = {"train": name, "seed": seed, "images_seen": seen, "words": words}
                row["accuracy"] = {key: one.accuracy for key, one in counts.items()}
                row["counted"] = {key: one.words for key, one in counts.items()}
                rows.append(row)
                with results.open("a") as file:
                    file.write(json.dumps(row) + "\n")
    for words in args.words:
        if of_these := [row for row in rows if row["words"] == words]:
            print(f"{words} words:\n{table(of_these)}")


if __name__ == "__main__":
    main()
