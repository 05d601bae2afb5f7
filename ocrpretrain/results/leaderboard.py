"""The leaderboard: tables of detectors and of readers, as Markdown, CSV and on W&B."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

from ocrpretrain.results import detection_rows, page_rows, word_rows
from ocrpretrain.results.page_curves import draw_ratios
from ocrpretrain.results.record import read_results

PathLike = str | os.PathLike[str]
PAGES, RATIOS = "leaderboard_pages", "leaderboard_ratios"


class Board(NamedTuple):
    """One table.

    Attributes:
        name: of its file and its table on W&B.
        columns: what is shown, in order.
        headings: of columns that are not called by their own name.
        rows: values by column, and some that are not shown.
    """

    name: str
    columns: Sequence[str]
    headings: Mapping[str, str]
    rows: list[dict[str, Any]]


def boards(path: PathLike) -> list[Board]:
    """The tables of `results.jsonl` that have rows.

    Raises:
        DataError: no results, or lines that are not records.
    """
    results = read_results(path)
    words = [record for record in results if record.get("task") == "recognition"]
    pages = [record for record in results if record.get("task") == "pages"]
    rest = [record for record in results if record.get("task") not in ("recognition", "pages")]
    found = detection_rows.rows(path, rest)
    read = word_rows.rows(words)
    tables = [
        Board("leaderboard", detection_rows.COLUMNS, detection_rows.HEADINGS, found),
        Board("leaderboard_words", word_rows.columns(read), word_rows.HEADINGS, read),
        Board(PAGES, page_rows.COLUMNS, page_rows.HEADINGS, page_rows.rows(path, pages)),
        Board(
            RATIOS, page_rows.RATIO_COLUMNS, page_rows.HEADINGS, page_rows.ratio_rows(path, pages)
        ),
    ]
    return [board for board in tables if board.rows]


def draw(tables: Sequence[Board], folder: Path) -> list[Path]:
    """The pictures of tables that have one; returns their files."""
    files = {folder / f"{board.name}.png": board.rows for board in tables if board.name == RATIOS}
    return [file for file, rows in files.items() if draw_ratios(rows, file)]


def markdown(board: Board) -> str:
    """A GitHub table; '–' where a value does not exist."""
    names = [board.headings.get(column, column) for column in board.columns]
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    for row in board.rows:
        lines.append("| " + " | ".join(_text(row[column]) for column in board.columns) + " |")
    return "\n".join(lines) + "\n"


def _text(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def as_csv(board: Board) -> str:
    """All columns with full precision."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, board.columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(board.rows)
    return stream.getvalue()


def log_to_wandb(tables: Sequence[Board], folder: Path, mode: str) -> Path:
    """A W&B run with the leaderboard's tables.

    Args:
        tables: what `boards` returns.
        folder: where an offline run is written.
        mode: 'offline' or 'online'.

    Returns:
        The folder of the run.
    """
    import wandb

    run = wandb.init(
        project="ocrpretrain",
        name="leaderboard",
        job_type="leaderboard",
        dir=folder,
        mode=cast(Any, mode),
        settings=wandb.Settings(silent=True),
    )
    for board in tables:
        data = [[row[column] for column in board.columns] for row in board.rows]
        run.log({board.name: wandb.Table(columns=list(board.columns), data=data)})
    where = Path(run.dir).parent
    run.finish()
    return where
