"""Run an ablation file: every cell once, finished cells skipped, a table by axis at the end.

May be stopped and started again at any time, also several times side by side.
"""

import argparse
from pathlib import Path

from ocrpretrain.cli import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", help="a file under configs/ablations/, or your own")
    parser.add_argument("--work-dir", help="where cells lie (default: work_dirs/<file name>)")
    parser.add_argument("--dry-run", action="store_true", help="list cells, steps, estimated time")
    parser.add_argument("--table", action="store_true", help="only write the table of what is done")
    args = parser.parse_args()

    from ocrpretrain.ablation.matrix import load_matrix
    from ocrpretrain.ablation.runner import plan, run_matrix, time_pretrainings, write_tables

    matrix = load_matrix(args.file)
    folder = Path(args.work_dir or Path("work_dirs") / Path(args.file).stem)
    if args.dry_run:
        print(plan(matrix, folder, time_pretrainings(matrix, folder)))
        return
    try:
        if not args.table:
            run_matrix(matrix, folder)
    finally:
        print(write_tables(matrix, folder))


if __name__ == "__main__":
    run(main)
