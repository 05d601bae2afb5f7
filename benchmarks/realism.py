"""Which generated words teach most: a small CTC reader per training set and seed, on real words.

python benchmarks/realism.py OUT --data ../shared/data \
    --train ours=DIR trdg=DIR synthtiger=DIR --seeds 0 1 2 --steps 2000

Every reader has the same config, initial weights, steps and batches; it is tested after its last
step on all words of IIIT5K (its official labels), SVT and ICDAR2015, 36 characters. What is done is
not done again: OUT may be given several times, also with more sets. Prints mean ± standard
deviation over seeds.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import mean, stdev

from ocrpretrain import pretrain
from ocrpretrain.data import LabelsFolder
from ocrpretrain.data.views import VIEWS
from ocrpretrain.evaluation.words import WordCounts, count
from ocrpretrain.reading import read_source
from ocrpretrain.weights.export import find_checkpoint, load_run

CONFIG = Path(__file__).parents[1] / "configs" / "pretrain" / "ctc_conv-nano_8e_synthetic-words.py"
SETS = {"iiit5k": ("rec_iiit5k_test", "official"), "svt": ("rec_svt_test", "text"),
        "ic15": ("rec_ic15_test", "text")}  # fmt: skip


def train(path: str, seed: int, steps: int, folder: Path) -> Path:
    """Train one reader; a run that was cut off goes on."""
    options = {
        "data.train": {"type": "ocrpretrain.data.Folder", "path": path, "_delete_": True},
        "data.batch_size": 64,
        "trainer.max_epochs": -1,
        "trainer.max_steps": steps,
        "seed": seed,
    }
    return pretrain(CONFIG, options, folder, resume=True)


def test(run: Path, data: Path) -> dict[str, WordCounts]:
    """Counts per set, after the last step."""
    backbone, head, record = load_run(find_checkpoint(run, "last"))
    backbone.eval()
    head.eval()
    view = VIEWS["word"](**{**record["config"]["data"]["view"], "train": False})
    found = {}
    for name, (archive, label) in SETS.items():
        source = LabelsFolder(data / f"{archive}.zip", text=label)
        read = read_source(backbone, head, view, source)
        found[name] = count((text, truth) for text, _, truth in read)
    return found


def table(rows: list[dict]) -> str:
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
    parser.add_argument("--data", type=Path, required=True, help="folder with rec_*_test.zip")
    parser.add_argument("--train", nargs="+", required=True, metavar="NAME=FOLDER")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=2000)
    args = parser.parse_args()
    results = args.out / "results.jsonl"
    lines = results.read_text().splitlines() if results.exists() else []
    rows = [json.loads(line) for line in lines]
    for seed in args.seeds:
        for name, path in (item.split("=", 1) for item in args.train):
            if any((row["train"], row["seed"]) == (name, seed) for row in rows):
                continue
            counts = test(train(path, seed, args.steps, args.out / f"{name}-{seed}"), args.data)
            accuracy = {key: one.accuracy for key, one in counts.items()}
            accuracy["all"] = sum(counts.values(), WordCounts()).accuracy
            row = {"train": name, "seed": seed, "steps": args.steps, "accuracy": accuracy}
            rows.append({**row, "words": {key: one.words for key, one in counts.items()}})
            with results.open("a") as file:
                file.write(json.dumps(rows[-1]) + "\n")
            print(table(rows), flush=True)
    print(table(rows))


if __name__ == "__main__":
    main()
