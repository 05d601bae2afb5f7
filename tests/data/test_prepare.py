"""A written folder reads back with the same words; the tool writes every layout from any other."""

from __future__ import annotations

import json

import numpy as np
import pytest
from conftest import EXTERNAL
from test_tools import run

from ocrpretrain.data import Folder, LabelsFolder, LMDBWords, Shards, SyntheticScenes
from ocrpretrain.data.prepare.folder import write_folder
from ocrpretrain.errors import DataError


@pytest.mark.parametrize("workers", [1, 2])
def test_a_written_folder_reads_back(tmp_path, workers):
    source = SyntheticScenes(4, size=(64, 96), words=(1, 3), letter_height=(0.15, 0.3), fresh=False)
    again = LabelsFolder(write_folder(source, tmp_path / "set", workers=workers))
    assert len(again) == 4
    for index in range(4):
        ours, theirs = again[index], source[index]
        assert np.abs(ours.image.astype(int) - theirs.image).mean() < 6  # JPEG
        assert [word.text for word in ours.words] == [word.text for word in theirs.words]
        for a, b in zip(ours.words, theirs.words, strict=True):
            assert np.allclose(a.polygon, b.polygon, atol=0.01)
    with pytest.raises(DataError, match="not empty"):
        write_folder(source, tmp_path / "set")


def test_rows_keep_the_names_of_the_images(tmp_path):
    source = SyntheticScenes(2, size=(64, 64), words=(0, 0), seed=5, fresh=False)
    folder = write_folder(source, tmp_path / "set")
    rows = [json.loads(line) for line in (folder / "labels.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == [source[0].id, source[1].id]
    assert [path.name for path in folder.iterdir() if path.is_file()] == ["labels.jsonl"]


def test_the_tool_draws_and_converts(tmp_path, monkeypatch, capsys):
    def prepare(*arguments: object) -> int:
        return run(monkeypatch, "prepare_data", *map(str, arguments))

    size = ("--size", 64, 96, "--seed", 3)
    drawn, words = tmp_path / "drawn", tmp_path / "drawn" / "words"
    assert prepare("synth", drawn, "--scenes", 3, "--words", 4, "--pages", 1, *size) == 0
    assert f"written: {drawn / 'scenes'} (3 images)" in capsys.readouterr().out
    scenes = SyntheticScenes(3, size=(64, 96), seed=3, fresh=False)
    texts = [[word.text for word in item.words] for item in map(scenes.read, range(3))]
    shards = Folder(drawn / "scenes")
    assert isinstance(shards, Shards) and shards[0].image.shape == (64, 96, 3)
    assert [[word.text for word in item.words] for item in shards] == texts

    assert prepare("lmdb", words, tmp_path / "lmdb") == 0
    assert prepare("folder", tmp_path / "lmdb", tmp_path / "folder") == 0
    assert prepare("shards", tmp_path / "folder", tmp_path / "shards", "--workers", 2) == 0
    ways = [Folder(path) for path in (words, *(tmp_path / n for n in ("lmdb", "folder", "shards")))]
    assert [type(way) for way in ways] == [Shards, LMDBWords, LabelsFolder, Shards]
    for index in range(4):
        items = [way[index] for way in ways]
        assert all((item.image == items[0].image).all() for item in items)
        assert len({item.words[0].text for item in items}) == 1

    capsys.readouterr()
    assert prepare("lmdb", drawn / "scenes", tmp_path / "none") == 2
    assert "cut crops first" in capsys.readouterr().err
    assert prepare("synth", tmp_path / "none") == 2
    assert "--scenes or --words or --pages" in capsys.readouterr().err
    assert prepare("shards", tmp_path, tmp_path / "none") == 2
    assert "holds neither labels.jsonl" in capsys.readouterr().err


def test_what_a_config_trains_on_is_drawn_once(tmp_path, monkeypatch, capsys):
    config = str(EXTERNAL / "my_config.py")
    five = ("shards", config, str(tmp_path / "set"), "--images", "5")
    assert run(monkeypatch, "prepare_data", *five) == 0
    drawn = Folder(tmp_path / "set")
    source = SyntheticScenes(5, size=(64, 64), words=(1, 2), letter_height=(0.2, 0.4))
    texts = [[word.text for word in source.read(place).words] for place in range(5)]
    assert [[word.text for word in item.words] for item in drawn] == texts
    assert run(monkeypatch, "prepare_data", "folder", config, str(tmp_path / "epoch")) == 0
    assert len(Folder(tmp_path / "epoch")) == 16
    capsys.readouterr()
    again = ("lmdb", str(tmp_path / "set"), str(tmp_path / "lmdb"), "--images", "3")
    assert run(monkeypatch, "prepare_data", *again) != 0
    assert "--images: only for configs" in capsys.readouterr().err
