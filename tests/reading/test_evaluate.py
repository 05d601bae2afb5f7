"""A reader's row: from words to results.jsonl, to the leaderboard, and back from what is stored."""

from __future__ import annotations

import csv
import gzip
import io
import json

import numpy as np
import pytest
from PIL import Image
from reader_files import CONFIG, write_reader
from test_tools import run

from ocrpretrain.environment import file_sha256
from ocrpretrain.errors import ConfigError
from ocrpretrain.reading.evaluate import evaluate_words
from ocrpretrain.results.leaderboard import as_csv, boards, log_to_wandb, markdown
from ocrpretrain.results.record import recipe_hash
from ocrpretrain.results.significance import share_interval
from ocrpretrain.results.verify import verify

WORDS = ("exit", "Sale", "4.99", "x" * 300, "日", "")


@pytest.fixture
def svt(tmp_path):
    """A word set that looks like SVT but has a few words, some of which no protocol counts."""
    folder = tmp_path / "svt"
    folder.mkdir()
    rng = np.random.default_rng(0)
    rows = []
    for place, word in enumerate(WORDS):
        picture = rng.integers(0, 255, (32, 90, 3), dtype=np.uint8)
        Image.fromarray(picture).save(folder / f"{place}.png")
        rows.append(json.dumps({"file": f"{place}.png", "text": word}))
    (folder / "labels.jsonl").write_text("\n".join(rows) + "\n", "utf-8")
    return folder


@pytest.fixture
def results(tmp_path, svt, reader_file):
    """The results of one reader, with its training's record beside them."""
    record = {"weights_sha256": file_sha256(reader_file), "config": CONFIG, "data": "generated"}
    record |= {"images_seen": 7, "process_seconds": 120.0}
    reader_file.with_suffix(".record.json").write_text(json.dumps(record))
    file = tmp_path / "results.jsonl"
    evaluate_words(reader_file, [str(svt)], file, "e")
    return file


def test_a_row_from_words(results, reader_file):
    (record,) = map(json.loads, results.read_text().splitlines())
    one = record["sets"]["SVT"]
    assert one["36"]["words"] == 3 and one["36"]["left_out"] == 3
    assert one["flag"] == "3 words, usually 647"
    assert one["ms"]["1"] > 0 and one["ms"]["64"] > 0
    assert record["metrics"]["mean"]["36"] == one["36"]["accuracy"]
    assert record["pretraining"]["process_seconds"] == 120 and record["seed"] == 3
    with gzip.open(results.parent / record["per_image"], "rt") as stream:
        rows = json.load(stream)["answers"]["SVT"]
    assert [row[3] for row in rows] == list(WORDS) and rows[0][0] == "0.png"
    assert ("branches" in one) == ("clip4str" in reader_file.name)


def test_the_leaderboard_of_words(results, tmp_path):
    (board,) = boards(results)
    (row,) = board.rows
    assert board.name == "leaderboard_words" and row["minutes"] == 2 and row["interval"] == "words"
    assert row["IC13"] is None and row["SVT"] == row["weighted"] == row["mean"]
    assert "SVT: 3 words, usually 647" in row["note"]
    (stored,) = csv.DictReader(io.StringIO(as_csv(board)))
    assert float(stored["low"]) == row["low"] and markdown(board).count("\n") == 3


@pytest.mark.slow
def test_the_wandb_table_of_words(results, tmp_path):
    where = log_to_wandb(boards(results), tmp_path, "offline")
    (table,) = where.rglob("*.table.json")
    assert "IIIT5K" in json.loads(table.read_text())["columns"]


def test_random_words_alone_are_in_no_mean(tmp_path, monkeypatch):
    monkeypatch.setattr("ocrpretrain.reading.word_sets.RANDOM_WORDS", 8)
    reader = write_reader(tmp_path / "ctc.safetensors", "ctc")
    evaluate_words(reader, ["random"], tmp_path / "results.jsonl")
    (row,) = boards(tmp_path / "results.jsonl")[0].rows
    assert row["mean"] is None and row["random"] is not None and row["weighted"] == 0


def test_seeds_are_averaged_where_only_the_seed_differs(results):
    (record,) = map(json.loads, results.read_text().splitlines())
    other = json.loads(json.dumps(record))
    other["id"], other["seed"] = "b", 4
    other["metrics"]["36"]["accuracy"] += 0.5
    third = json.loads(json.dumps(record))
    third["pretraining"]["recipe_hash"] = "another"
    results.write_text("\n".join(map(json.dumps, (record, other, third))) + "\n")
    (board,) = boards(results)
    assert sorted(row["n"] for row in board.rows) == [1, 2]
    both = next(row for row in board.rows if row["n"] == 2)
    assert both["interval"] == "seeds" and both["std"] == pytest.approx(50 / 2**0.5)


def test_recipes_are_equal_up_to_seeds_and_files():
    one = {**CONFIG, "init": [{"file": "a-0.safetensors"}]}
    two = {**CONFIG, "seed": 9, "init": [{"file": "a-1.safetensors"}], "logger": {"mode": "online"}}
    assert recipe_hash(one) == recipe_hash(two) != recipe_hash(CONFIG)
    assert recipe_hash(CONFIG) != recipe_hash({**CONFIG, "data": {"batch_size": 2}})


def test_rows_follow_from_what_is_stored(results):
    assert verify(results) == []
    record = json.loads(results.read_text())
    record["sets"]["SVT"]["36"]["accuracy"] += 0.1
    record["metrics"]["mean"]["36"] += 0.1
    record["sets"]["SVT"]["flag"] = ""
    record["pretraining"]["process_seconds"] = 60
    record["pretraining"]["recipe_hash"] = "x"
    results.write_text(json.dumps(record) + "\n")
    problems = "\n".join(verify(results))
    for name in ("sets.SVT.36.accuracy", "metrics.mean.36", "sets.SVT.flag"):
        assert f"{name}: " in problems
    assert "pretraining.process_seconds: 60 shown, 120.0 in" in problems
    assert "pretraining.recipe_hash" in problems and "pretraining.data" not in problems


def test_exchanged_answers_are_found(results):
    file = results.parent / json.loads(results.read_text())["per_image"]
    with gzip.open(file, "rt") as stream:
        stored = json.load(stream)
    stored["answers"]["SVT"][0][1] = "exit"
    with gzip.open(file, "wt") as stream:
        json.dump(stored, stream)
    assert any("sets.SVT.36.correct" in problem for problem in verify(results))


def test_a_set_given_twice(svt, reader_file, tmp_path):
    with pytest.raises(ConfigError, match="given twice"):
        evaluate_words(reader_file, [str(svt), f"SVT={svt}"], tmp_path / "results.jsonl")


def test_the_tool(svt, tmp_path, monkeypatch, capsys):
    reader = str(write_reader(tmp_path / "ctc.safetensors", "ctc"))
    out = ["--results", str(tmp_path / "results.jsonl")]
    assert run(monkeypatch, "evaluate", reader, "--words", f"mine={svt}", *out) == 0
    assert "| mine | 3 |" in capsys.readouterr().out
    assert run(monkeypatch, "evaluate", reader, *out) == 2
    assert "is evaluated on --words SET" in capsys.readouterr().err


def test_an_interval_of_a_share_by_hand():
    low, high = share_interval(50, 100)
    assert (low, high) == pytest.approx((0.40383, 0.59617), abs=1e-5)
    assert share_interval(0, 0) == (0, 1)
