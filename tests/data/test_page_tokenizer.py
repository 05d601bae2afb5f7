"""Texts of pages as ids, and back; a tokenizer of one's own from texts."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_tools import run
from tokenizers import Tokenizer, models

from ocrpretrain.data.page_tokenizer import PageTokenizer, train
from ocrpretrain.errors import ConfigError, DataError

BYTES = PageTokenizer()


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_bytes_spell_any_text(text):
    ids = BYTES.encode(text)
    assert len(ids) == len(text.encode()) + 1 and ids[-1] == BYTES.eos_id
    assert BYTES.decode(ids) == BYTES.decode([*ids, 5, 6]) == text


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("tokenizer") / "deep" / "tokenizer.json"
    train(["the cat sat on the mat\n", "the hat of the cat\n"] * 20, 300, path)
    return path


def test_a_tokenizer_of_ones_own(file):
    tokenizer = PageTokenizer(file)
    assert 258 < len(tokenizer) <= 300 and tokenizer.bos_id != tokenizer.eos_id
    for text in ("the cat", "Straße 日本 \n\n  x", ""):
        assert tokenizer.decode(tokenizer.encode(text)) == text
    assert len(tokenizer.encode("the cat sat")) < len(BYTES.encode("the cat sat"))
    again = pickle.loads(pickle.dumps(tokenizer))
    assert again.encode("the mat") == tokenizer.encode("the mat")


def test_special_names_in_a_text_are_text(file):
    for tokenizer in (BYTES, PageTokenizer(file)):
        assert tokenizer.decode(tokenizer.encode("a<eos>b<bos>")) == "a<eos>b<bos>"


def test_mistakes(tmp_path):
    with pytest.raises(ConfigError, match="no such tokenizer"):
        PageTokenizer(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(ConfigError, match="no file of the tokenizers library"):
        PageTokenizer(tmp_path / "bad.json")
    with pytest.raises(ConfigError, match="needs 258 ids"):
        train(["a"], 100, tmp_path / "t.json")
    small = Tokenizer(models.WordLevel({"a": 0, "</s>": 1, "<s>": 2, "?": 3}, unk_token="?"))
    small.save(str(tmp_path / "words.json"))
    with pytest.raises(DataError, match="does not spell 'b'"):
        PageTokenizer(tmp_path / "words.json").encode("b")
    Tokenizer(models.WordLevel({"a": 0, "</s>": 1, "b": 9}, unk_token="a")).save(
        str(tmp_path / "holes.json")
    )
    assert len(PageTokenizer(tmp_path / "holes.json")) == 10
    Tokenizer(models.WordLevel({"a": 0}, unk_token="a")).save(str(tmp_path / "no_end.json"))
    with pytest.raises(ConfigError, match="has none of <eos>"):
        PageTokenizer(tmp_path / "no_end.json")


def test_the_tool(tmp_path, monkeypatch, capsys):
    out = tmp_path / "tokenizer.json"
    assert run(monkeypatch, "prepare_data", "tokenizer", str(out), "--ids", "400") == 0
    assert "400 ids, " in capsys.readouterr().out and len(PageTokenizer(out)) == 400
    assert run(monkeypatch, "prepare_data", "tokenizer", str(out)) == 2
    assert "is there already" in capsys.readouterr().err
    missing = [str(tmp_path / "new.json"), "--text", str(tmp_path / "none.txt")]
    assert run(monkeypatch, "prepare_data", "tokenizer", *missing) == 2
    assert "not a readable UTF-8 file" in capsys.readouterr().err
