"""`tools/read.py`: files and folders, JSON lines that go on after a kill, pictures of any shape."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from PIL import Image
from reader_files import HEADS, write_reader
from test_tools import run

from ocrpretrain.errors import ConfigError, DataError
from ocrpretrain.reading.files import find_images, read


def test_a_folder_is_read_and_what_cannot_be_read_is_named(reader_file, pictures, tmp_path):
    out = tmp_path / "out.jsonl"
    lines = list(read(reader_file, [pictures], out))
    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    names = ["a.png", "b.jpg", "below/c.webp", "dot.png", "strip.png", "tall.png"]
    assert [row["file"] for row in rows] == [f"pictures/{name}" for name in names]
    assert all(0 <= row["score"] <= 1 and isinstance(row["text"], str) for row in rows)
    assert ("branches" in rows[0]) == ("clip4str" in reader_file.name)
    assert lines[0].startswith(f"{pictures / 'a.png'}: {rows[0]['text']}")
    assert "broken.png" in lines[-2] and "6 words, " in lines[-1] and "1 unreadable" in lines[-1]


def answer_close_to(row: dict) -> dict:
    """The row with every score within rounding, for ``==``."""
    near = {**row, "score": pytest.approx(row["score"], rel=1e-3)}
    if "branches" in row:
        near["branches"] = {
            name: [text, pytest.approx(score, rel=1e-3)]
            for name, (text, score) in row["branches"].items()
        }
    return near


def test_a_run_that_was_killed_goes_on(reader_file, pictures, tmp_path):
    out = tmp_path / "out.jsonl"
    list(read(reader_file, [pictures], out))
    whole = out.read_text("utf-8")
    first = whole.index("\n") + 1
    half = whole[: first + 20].encode() + "ļ".encode()[:1]  # half a line, half a letter
    out.write_bytes(half)
    lines = list(read(reader_file, [pictures], out))
    rest = out.read_text("utf-8")
    assert rest[:first] == whole[:first]
    # Batches of another size sum in another order, so scores agree to rounding only.
    assert [json.loads(line) for line in rest.splitlines()] == [
        answer_close_to(json.loads(line)) for line in whole.splitlines()
    ]
    assert " were there already" in lines[-1] and not lines[-1].startswith("6 words")


@pytest.mark.parametrize(
    "content",
    ["notes, without a line's end", "many\nnotes\n", '{"a": 1}\n{"b": 2}', "[1]\n", "\n", "\xff"],
)
def test_files_of_others_stay_as_they_are(reader_file, pictures, tmp_path, content):
    out = tmp_path / "notes.txt"
    out.write_text(content, "latin-1")
    with pytest.raises(DataError, match="holds other things"):
        list(read(reader_file, [pictures], out))
    assert out.read_text("latin-1") == content


def test_names_that_are_no_text_are_counted(reader_file, tmp_path):
    name = os.fsdecode(b"caf\xe9.png")
    for file in (name, "z.png"):
        Image.fromarray(np.zeros((30, 60, 3), np.uint8)).save(tmp_path / file)
    lines = list(read(reader_file, [tmp_path], tmp_path / "out.jsonl"))
    assert "the name is not UTF-8" in lines[-2] and "1 words, " in lines[-1]
    assert lines[-2].isascii() and "1 unreadable" in lines[-1]
    with pytest.raises(DataError, match="is a folder"):
        list(read(reader_file, [tmp_path], tmp_path))


def test_new_folders_and_pictures_named_twice(reader_file, pictures, tmp_path):
    out = tmp_path / "new" / "folder" / "out.jsonl"
    list(read(reader_file, [pictures / "a.png", pictures / "a.png"], out))
    assert len(out.read_text("utf-8").splitlines()) == 1


def test_no_batches_of_nothing(reader_file, pictures):
    with pytest.raises(ConfigError, match="--batch-size: 1 or more, found 0"):
        list(read(reader_file, [pictures], batch_size=0))


def test_lines_of_another_reader_are_not_gone_on_with(reader_file, pictures, tmp_path):
    out = tmp_path / "out.jsonl"
    list(read(reader_file, [pictures / "a.png"], out))
    before = out.read_text("utf-8")
    with pytest.raises(DataError, match="was written by other readers"):
        list(read(reader_file, [pictures], out, upright=True))
    assert out.read_text("utf-8") == before


def test_texts_that_the_text_encoder_cuts_are_counted(pictures, tmp_path, monkeypatch):
    monkeypatch.setitem(HEADS, "clip4str", {**HEADS["clip4str"], "context": 3})
    lines = list(read(write_reader(tmp_path / "r.safetensors", "clip4str"), [pictures]))
    assert 0 < int(lines[-1].removesuffix(" cut_texts").rpartition(" ")[2]) <= 6


def test_paths_that_are_wrong_are_all_named(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError) as error:
        find_images([tmp_path / "none.png", tmp_path / "empty"])
    assert "none.png: no such file" in str(error.value) and "no picture" in str(error.value)


def test_pictures_of_one_name_are_all_drawn(tmp_path, pictures):
    reader = write_reader(tmp_path / "r.safetensors", "clip4str")
    (pictures / "below" / "a.png").write_bytes((pictures / "a.png").read_bytes())
    images = [pictures / "a.png", pictures / "below" / "a.png"]
    list(read(reader, images, save=tmp_path / "drawn"))
    assert sorted(path.name for path in (tmp_path / "drawn").iterdir()) == ["a.png", "a_2.png"]


def test_the_tool(reader_file, pictures, tmp_path, monkeypatch, capsys):
    arguments = [str(reader_file), str(pictures / "a.png"), "--upright"]
    save = ["--save", str(tmp_path / "drawn")] if "clip4str" in reader_file.name else []
    assert run(monkeypatch, "read", *arguments, *save) == 0
    assert "1 words, " in capsys.readouterr().out
    assert not save or (tmp_path / "drawn" / "a.png").stat().st_size > 1000
