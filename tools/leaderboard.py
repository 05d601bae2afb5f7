"""Print the leaderboard and write it as Markdown, CSV and a W&B table."""

import argparse
from pathlib import Path

from ocrpretrain.cli import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", nargs="?", default="work_dirs/results.jsonl")
    parser.add_argument("--out", help="folder to write to (default: that of the results)")
    parser.add_argument("--wandb", choices=["offline", "online", "disabled"], default="offline")
    parser.add_argument("--verify", action="store_true", help="recompute every row; write nothing")
    args = parser.parse_args()
    if args.verify:
        from ocrpretrain.errors import DataError
        from ocrpretrain.results.verify import verify

        problems = verify(args.results)
        if problems:
            raise DataError("\n".join(problems))
        print(f"{args.results}: every row follows from what is stored")
        return

    from ocrpretrain.results.leaderboard import as_csv, boards, draw, log_to_wandb, markdown

    tables = boards(args.results)
    folder = Path(args.out or Path(args.results).parent)
    folder.mkdir(parents=True, exist_ok=True)
    for board in tables:
        (folder / f"{board.name}.md").write_text(markdown(board), "utf-8")
        (folder / f"{board.name}.csv").write_text(as_csv(board), "utf-8")
        print(markdown(board))
        print(f"written: {folder / board.name}.md and .csv")
    for picture in draw(tables, folder):
        print(f"drawn: {picture}")
    if args.wandb != "disabled":
        print(f"W&B run: {log_to_wandb(tables, folder, args.wandb)}")


if __name__ == "__main__":
    run(main)
