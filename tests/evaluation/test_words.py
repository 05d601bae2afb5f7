"""The protocol keeps exactly the words that PARSeq's filter keeps, and compares as it does."""

from __future__ import annotations

import json
import zipfile

import pytest
from conftest import data_set
from hypothesis import given
from hypothesis import strategies as st

from ocrpretrain.data.charset import Charset
from ocrpretrain.evaluation.words import WordCounts, compare, count, normalize


@pytest.mark.parametrize(
    "text, n36, n62, n94",
    [
        ("Verbandstoffe", "verbandstoffe", "Verbandstoffe", "Verbandstoffe"),
        ("CAFÉ 24%", "cafe24", "CAFE24", "CAFE24%"),
        ("It´s", "its", "Its", "Its"),  # NFKD turns the accent into a blank and a mark
        ("ﬁne\n½", "fine12", "fine12", "fine12"),
        ("£5.-", "5", "5", "5.-"),
        ("語", "", "", ""),
    ],
)
def test_what_is_compared(text, n36, n62, n94):
    sets = {36: n36, 62: n62, 94: n94}
    assert {size: normalize(text, Charset.load(size)) for size in sets} == sets


def test_other_character_sets_keep_their_accents(tmp_path):
    (tmp_path / "set.txt").write_text("Éée語", "utf-8")
    charset = Charset.load(str(tmp_path / "set.txt"))
    assert normalize("É é語x", charset) == "Éé語"
    assert compare("Éé", "Éé", charset) == WordCounts(1, 1.0, 1)
    assert compare("Ée", "Éé", charset) == WordCounts(0, 0.5, 1)


def test_accuracy_and_one_minus_ned():
    pairs = [("Hello", "hello!"), ("helo", "hello"), ("", "abc"), ("abcd", "ab")]
    counts = count(pairs, 36)
    assert counts.metrics() == {
        "accuracy": 0.25, "one_minus_ned": (1 + 0.8 + 0 + 0.5) / 4, "words": 4, "left_out": 0,
    }  # fmt: skip
    assert count(pairs, 94).correct == 0
    assert count([]).metrics() == dict.fromkeys(counts.metrics(), 0)


def test_labels_that_cannot_count_are_left_out_and_counted():
    long, just = "abcde" * 5 + "!", "abcde" * 5
    labels = [long, just, "?!", "", "a b c " * 8]
    counts = count([(label, label) for label in labels], 36)
    assert (counts.words, counts.left_out, counts.correct) == (2, 3, 2)
    assert count([("?!", "?!")], 94) == WordCounts(1, 1.0, 1)


@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), max_size=6))
def test_counts_add_up(pairs):
    whole = count(pairs, 62)
    parts = count(pairs[:2], 62) + count(pairs[2:], 62)
    assert whole.words == parts.words and whole.correct == parts.correct
    assert whole.similarity == pytest.approx(parts.similarity)
    assert whole.words + whole.left_out == len(pairs)
    assert 0 <= whole.accuracy <= 1 and whole.accuracy <= whole.one_minus_ned <= 1


@pytest.mark.parametrize(
    "name, kept36, kept94",
    [
        ("rec_iiit5k_test", 3000, 3000),
        ("rec_svt_test", 647, 647),
        ("rec_ic15_train", 4467, 4468),
        ("rec_ic15_test", 2077, 2077),
        ("rec_ic03_trialtrain", 1146, 1156),
    ],
)
def test_real_sets_keep_as_many_words_as_with_parseqs_filter(name, kept36, kept94):
    lines = zipfile.ZipFile(data_set(name)).read("labels.jsonl").splitlines()
    labels = [json.loads(line)["text"] for line in lines]
    for characters, kept in ((36, kept36), (94, kept94)):
        counts = count([(label, label) for label in labels], characters)
        assert counts.words == counts.correct == kept
        assert counts.left_out == len(labels) - kept
