"""What the generator writes: shares as in real sets, controls of equal length, loud mistakes."""

from __future__ import annotations

import numpy as np
import pytest

from ocrpretrain.data import PlainTexts, Texts
from ocrpretrain.data.synthesis.texts import _part
from ocrpretrain.errors import ConfigError, DataError
from ocrpretrain.evaluation.overlap import overlap

FIRST = ["The", "lowercasing", "algorithm", "used", "is"]  # of seed 4


def draw(texts: Texts, count: int, language: str = "en", seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return [texts.draw_case(rng)(texts.draw_word(rng, language)) for _ in range(count)]


def test_words_follow_the_shares_of_real_sets():
    """IIIT5K: 1,873 of 3,000 distinct, mean length 5.3, 49 % capitals, 16 % small, 9 % digits."""
    words = draw(Texts(), 3000)
    assert all(33 <= ord(char) <= 126 for word in words for char in word)
    assert 0.4 < np.mean([word.isupper() for word in words]) < 0.6
    assert 0.1 < np.mean([word.islower() for word in words]) < 0.25
    assert 0.04 < np.mean([any(c.isdigit() for c in word) for word in words]) < 0.13
    assert 1700 < len({word.lower() for word in words}) < 2300
    assert 4.8 < np.mean([len(word) for word in words]) < 5.8


def test_frequencies_are_real_and_can_be_flattened():
    real, flat = (
        np.array([w.lower() == "the" for w in draw(Texts(flatten=f, numbers=0, random=0), 4000)])
        for f in (1.0, 0.0)
    )
    assert 0.03 < real.mean() < 0.09  # 5.4 % of running English
    assert flat.mean() < 0.002


def test_random_strings_and_numbers_have_their_share():
    lexicon = {w.rstrip(".,!?:;").lower() for w in draw(Texts(random=0, numbers=0), 30000)}
    strings = draw(Texts(random=1.0, numbers=0), 500)
    assert np.mean([w.rstrip(".,!?:;").lower() in lexicon for w in strings]) < 0.1
    numbers = draw(Texts(numbers=1.0, random=0), 500)
    assert np.mean([any(not c.isalpha() for c in w) for w in numbers]) > 0.95


@pytest.mark.parametrize(
    ("language", "script"), [("ru", "я"), ("el", "λ"), ("ar", "ل"), ("de", "ü")]
)
def test_other_languages_write_their_own_letters(language, script):
    texts = Texts(language)
    assert script in texts.alphabet(language)
    words = draw(texts, 300, language)
    assert set("".join(words)) <= set(texts.alphabet(language)) | set("".join(words).upper())


def test_controls_have_the_lengths_of_the_prose():
    natural, shuffled, letters = (
        Texts(page=page).draw_paragraph(np.random.default_rng(4))
        for page in ("natural", "shuffled", "letters")
    )
    assert len(natural) > 10
    assert natural[:5] == FIRST, "other prose than on other machines"
    assert sorted(natural) == sorted(shuffled) and natural != shuffled
    assert [len(word) for word in letters] == [len(word) for word in natural]
    assert not set(letters) & {word for word in natural if len(word) > 3}


def test_a_corpus_gives_words_and_prose(tmp_path):
    file = tmp_path / "corpus.txt"
    file.write_text("\ufeffzebra quagga\nokapi\n\nsecond paragraph", "utf-8")
    texts = Texts(corpus=str(file), numbers=0, random=0, capitals=0)
    assert {w.rstrip(".,!?:;").lower() for w in draw(texts, 200)} == {
        "zebra", "quagga", "okapi", "second", "paragraph",
    }  # fmt: skip
    rng = np.random.default_rng(0)
    found = {tuple(texts.draw_paragraph(rng)) for _ in range(20)}
    assert found == {("zebra", "quagga", "okapi"), ("second", "paragraph")}


def test_random_strings_use_only_letters_that_fonts_were_checked_for(tmp_path):
    file = tmp_path / "corpus.txt"
    file.write_text("Abba dada", "utf-8")
    texts = Texts("ru", corpus=str(file), numbers=0, random=1.0, page="letters")
    words = draw(texts, 50, "ru") + texts.draw_paragraph(np.random.default_rng(0), "ru")
    assert set("".join(words)) <= set(texts.alphabet("ru"))
    assert {c.lower() for word in words for c in word if c.isalpha()} == set("abd")


def test_paragraphs_are_in_their_language():
    words = Texts("ru").draw_paragraph(np.random.default_rng(0), "ru")
    assert 15 <= len(words) < 80
    assert all("а" <= char <= "я" or char in "ё'" for word in words for char in word)


def test_test_paragraphs_repeat_no_eight_words_of_training_ones():
    train, test = ([" ".join(p) for p in _part(None, part)] for part in ("train", "test"))
    found = overlap(test, train)
    assert found["overlap"] == 0 and found["overlap_runs"] > 1000
    assert len(test) > 100 and len(train) > 500


def test_parts_of_the_prose_share_no_paragraph(tmp_path):
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n\n".join(f"word{'abcdefghij'[i]}" for i in range(10)), "utf-8")
    rng = np.random.default_rng(0)
    drawn = {
        part: {Texts(corpus=str(corpus), part=part).draw_paragraph(rng)[0] for _ in range(99)}
        for part in ("train", "test", None)
    }
    assert drawn["test"] == {"worda", "wordf"} and drawn["train"] == drawn[None] - drawn["test"]
    assert len(drawn[None]) == 10
    (tmp_path / "one.txt").write_text("one paragraph alone", "utf-8")
    with pytest.raises(DataError, match="too few paragraphs"):
        Texts(corpus=str(tmp_path / "one.txt"), part="train")


def test_words_of_pages_have_no_end():
    rng = np.random.default_rng(0)
    paragraphs = [" ".join(Texts(page="words").draw_paragraph(rng)) for _ in range(50)]
    assert len(set(paragraphs)) == 50
    assert {len(paragraph.split()) for paragraph in paragraphs} <= set(range(15, 80))


def test_plain_texts_are_drawn_without_pictures():
    source = PlainTexts(3, words=(5, 9))
    items = [source.read(index) for index in range(3)]
    assert all(5 <= len(item.words[0].text.split()) <= 9 for item in items)
    assert items[0].words[0].polygon is None and items[0].image.shape == (1, 1, 3)
    assert source.read(1).words[0].text == items[1].words[0].text != items[0].words[0].text
    with pytest.raises(ConfigError, match="words"):
        PlainTexts(3, words=(9, 5))


def test_mistakes(tmp_path):
    (tmp_path / "digits.txt").write_text("12 34")
    with pytest.raises(DataError, match="no letters"):
        Texts(corpus=str(tmp_path / "digits.txt"))
    with pytest.raises(ConfigError, match=r"no lexicon for \['xx'\]; there is \['ar', 'de'"):
        Texts(["en", "xx"])
    with pytest.raises(ConfigError, match="numbers 0.9"):
        Texts(numbers=0.9, random=0.2)
    with pytest.raises(ConfigError, match="page is natural"):
        Texts(page="prose")
    (tmp_path / "empty.txt").write_text(" \n")
    with pytest.raises(DataError, match="holds no words"):
        Texts(corpus=str(tmp_path / "empty.txt"))
    with pytest.raises(DataError, match=r"none\.txt"):
        Texts(corpus=str(tmp_path / "none.txt"))
