"""Byte pairs as tensors equal CLIP's own tokenizer."""

from __future__ import annotations

import string

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from open_clip.tokenizer import SimpleTokenizer

from ocrpretrain.data.charset import Charset
from ocrpretrain.data.tokenizer import clip_ids
from ocrpretrain.layers.byte_pairs import END, START, BytePairs, byte_id
from ocrpretrain.layers.clip_text import CLIPText

PRINTABLE = "".join(map(chr, range(32, 127)))
MIXED = PRINTABLE + "äßÄéñ日本語Яя¿€½²·"
ASCII, UNICODE = BytePairs(PRINTABLE, 40), BytePairs(MIXED, 80)


def tensors(words: list[str], charset: str, steps: int) -> torch.Tensor:
    ids = [Charset(charset).encode(word) for word in words]
    return torch.tensor([[*row, *[0] * (steps - len(row))] for row in ids])


def expected(word: str, context: int) -> list[int]:
    row = [START, *clip_ids(word)[: context - 2], END]
    return row + [0] * (context - len(row))


def check(pairs: BytePairs, words: list[str], charset: str) -> None:
    found, cut = pairs(tensors(words, charset, 26))
    assert found.tolist() == [expected(word, pairs.context) for word in words]
    assert not cut.any()


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text(PRINTABLE, max_size=25), min_size=1, max_size=8))
def test_any_words(words):
    check(ASCII, words, PRINTABLE)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text("'stmdrevlaz9.", max_size=12), min_size=1, max_size=8))
def test_contractions(words):
    check(ASCII, words, PRINTABLE)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.text("aAzoO", max_size=25), min_size=1, max_size=8))
def test_rows_of_equal_letters(words):
    check(ASCII, words, PRINTABLE)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.text(MIXED, max_size=18), min_size=1, max_size=6))
def test_characters_of_several_bytes(words):
    check(UNICODE, words, MIXED)


def test_words_of_signs():
    words = ["Restaurant", "STREET", "don't", "it's", "4,99", "R&B", "www.example.com", "'s's", ""]
    check(ASCII, words, PRINTABLE)


@pytest.mark.parametrize("word", ["exit", "3rdave", "zzzzz", "don't", "é日", "4.99$"])
def test_pairs_are_open_clips(word):
    assert list(clip_ids(word)) == SimpleTokenizer().encode(word)


def test_signs_say_what_they_say():
    assert SimpleTokenizer().encode("&lt;") != list(clip_ids("&lt;"))
    check(ASCII, ["&lt;", "&amp;", "<start_of_text>", "<|endoftext|>"], PRINTABLE)


def test_bytes_are_open_clips():
    clip = SimpleTokenizer()
    assert [byte_id(b) for b in range(256)] == [
        clip.encoder[clip.byte_encoder[b]] for b in range(256)
    ]


def test_long_words_are_cut_and_counted():
    pairs = BytePairs(string.digits, 6)
    found, cut = pairs(tensors(["12345678", "1234", ""], string.digits, 26))
    assert found.tolist() == [expected(word, 6) for word in ("12345678", "1234", "")]
    assert cut.tolist() == [4, 0, 0]


def test_ids_that_are_no_characters_end_a_word():
    pairs = BytePairs(string.digits, 8)
    ids = torch.tensor([[1, 2, 0, 3, 4], [1, 2, 11, 3, 4], [1, 2, 12, 3, 4]])
    assert len({tuple(row) for row in pairs(ids)[0].tolist()}) == 1


def test_nothing_waits_and_nothing_depends_on_the_words():
    """Compiled in one graph, which is used again for other words of the same size."""
    graphs = []

    def count(graph, inputs):
        graphs.append(graph)
        return graph.forward

    pairs = BytePairs(string.ascii_lowercase, 10)
    compiled = torch.compile(pairs, backend=count, fullgraph=True, dynamic=False)
    for words in (["exit", "sale"], ["zzzzzzzz", ""]):
        ids = tensors(words, string.ascii_lowercase, 8)
        assert compiled(ids)[0].tolist() == pairs(ids)[0].tolist()
    assert len(graphs) == 1


def test_the_host_spells_what_tensors_spell():
    text = CLIPText(Charset(PRINTABLE), width=8, heads=2, layers=1, embed_dim=8, context=6)
    ids_NS = tensors(["exit", "", "zqxjkvb", "4.99$"], PRINTABLE, 26)
    for host, device in zip(text.spell(ids_NS), text.pairs(ids_NS), strict=True):
        assert torch.equal(host, device)
