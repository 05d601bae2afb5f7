"""Character sets: sizes, oCLIP's ids, files, and characters that are not in the set."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocrpretrain.data.charset import Charset
from ocrpretrain.data.inline import Inline
from ocrpretrain.errors import ConfigError


@pytest.mark.parametrize("size", [36, 62, 94])
def test_named_sets(size):
    charset = Charset.load(size)
    assert len(charset) == len(set(charset.characters)) == size
    assert charset.vocab_size == size + 3


def test_the_content_of_a_file_is_no_name():
    """Two characters, not the set of 36; and a file may say what a named set is."""
    assert Charset.load(Inline("36")).characters == "36"
    named = Charset.load(94)
    assert Charset.load(Inline(named.files()["charset"])) == named


def test_oclips_ids():
    charset = Charset.load("94")
    assert charset.encode("!~") == [1, 94]
    assert (charset.mask_id, charset.eos_id) == (95, 96)


def test_a_caseless_set_lowers_and_unknown_characters_leave():
    assert Charset.load(36).filter("Café 12!") == "caf12"
    assert Charset.load(94).filter("Café 12!") == "Caf12!"


@given(st.text(alphabet=st.characters(codec="ascii"), max_size=30))
def test_decode_undoes_encode(text):
    charset = Charset.load(94)
    kept = charset.filter(text)
    assert charset.decode([*charset.encode(kept), charset.eos_id, 0]) == kept


def test_a_file_of_any_characters(tmp_path):
    file = tmp_path / "chars.txt"
    file.write_text("一二\n三é", "utf-8")
    assert Charset.load(str(file)).encode("三é") == [3, 4]
    file.write_text("aba", "utf-8")
    with pytest.raises(ConfigError, match="'a'"):
        Charset.load(str(file))
    with pytest.raises(ConfigError, match="36, 62, 94"):
        Charset.load("95")
