"""Wrong texts and missing polygons: seeded, nested, and nothing else changes."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocrpretrain.data import FewerLabels, NoisyLabels, Part, WeakLabels
from ocrpretrain.data.sources.base import AnnotatedImage, Source, Word
from ocrpretrain.errors import DataError

BOX = np.array([[1, 1], [9, 1], [9, 5], [1, 5]], np.float32)


class Texts(Source):
    """Each image shows all texts, and a don't-care region."""

    def __init__(self, length: int, *texts: str) -> None:
        self.length, self.texts = length, texts

    def __len__(self) -> int:
        return self.length

    def read(self, index, needs=None):
        words = [Word(text, BOX, False, "en", place) for place, text in enumerate(self.texts)]
        for word in words:
            word.characters = np.stack([BOX] * len(word.text.replace(" ", "")))
        image = np.full((10, 10, 3), index % 250, np.uint8)
        return AnnotatedImage(image, [*words, Word("###", BOX, True)], f"image-{index}")


def wrong(source: Source) -> set[tuple[str, int, str]]:
    """The words whose text is another than that of the source below."""
    assert isinstance(source, NoisyLabels)
    return {
        (item.id, place, word.text)
        for index in range(len(source))
        for item in [source[index]]
        for place, word in enumerate(item.words)
        if word.text != source.source[index].words[place].text
    }


@given(st.text(min_size=1, max_size=12), st.integers(0, 3))
@settings(deadline=None)
def test_a_wrong_text_has_the_kind_and_length_of_the_right_one(text, seed):
    item = NoisyLabels(Texts(1, text), 1.0, seed)[0]
    new = item.words[0].text
    assert len(new) == len(text)
    assert [unicodedata.category(c) for c in new] == [unicodedata.category(c) for c in text]
    assert all(a == b for a, b in zip(new, text, strict=True) if b.isspace())


@pytest.mark.parametrize("text", ["Hotel", "EXIT", "24h", "été", "出口", "выход", "$9.50", "a b"])
def test_every_character_of_usual_words_is_another(text):
    item = NoisyLabels(Texts(1, text), 1.0)[0]
    word, dont_care = item.words
    same = [a for a, b in zip(word.text, text, strict=True) if a == b]
    assert set(same) <= {" ", "$"}  # no other blank, no other currency in that range
    assert word.language is None and word.characters is None and word.order == 0
    assert word.polygon is BOX or (word.polygon == BOX).all()
    assert (dont_care.text, dont_care.ignore) == ("###", True)
    assert item.image.mean() == 0


def test_a_text_that_cannot_be_changed_keeps_all():
    word = NoisyLabels(Texts(1, "_ _"), 1.0)[0].words[0]
    assert word.text == "_ _" and word.language == "en" and word.characters is not None


def test_shares_are_met_nested_and_seeded():
    source = Texts(400, "alpha", "Beta", "77")
    found = {share: wrong(NoisyLabels(source, share)) for share in (0.0, 0.1, 0.3, 1.0)}
    assert found[0.0] < found[0.1] < found[0.3] < found[1.0]
    assert [len(found[share]) / 1200 for share in (0.0, 0.1, 0.3, 1.0)] == pytest.approx(
        [0, 0.1, 0.3, 1], abs=0.04
    )
    assert wrong(NoisyLabels(source, 0.3)) == found[0.3]
    other = wrong(NoisyLabels(source, 0.3, seed=1))
    assert {(name, place) for name, place, _ in other} != {(n, p) for n, p, _ in found[0.3]}
    crops = Texts(400, "alpha")  # one word each: the share must not be rounded away
    assert len(wrong(NoisyLabels(crops, 0.1))) / 400 == pytest.approx(0.1, abs=0.05)


def test_a_share_of_the_images_has_the_same_wrong_words():
    source = Texts(40, "alpha", "beta")
    noisy = NoisyLabels(Part(source, 0, 0.5), 0.5)
    assert wrong(noisy) < wrong(NoisyLabels(source, 0.5))


def test_weak_labels_lose_the_polygons_of_whole_images():
    source = Texts(300, "alpha", "beta")

    def weak(share: float, seed: int = 0) -> set[str]:
        found = set()
        for item in map(WeakLabels(source, share, seed).read, range(300)):
            bare = {word.polygon is None for word in item.words}
            assert len(bare) == 1  # all or none, don't-care regions too
            assert all(word.characters is None for word in item.words if bare == {True})
            assert [word.text for word in item.words] == ["alpha", "beta", "###"]
            assert [word.order for word in item.words] == [0, 1, None]
            found |= {item.id} if bare == {True} else set()
        return found

    assert len(weak(1.0)) == 300 and not weak(0.0)
    assert weak(0.2) < weak(0.6) and weak(0.6) != weak(0.6, seed=1)
    assert len(weak(0.6)) / 300 == pytest.approx(0.6, abs=0.1)


def test_records_and_mistakes():
    source = Texts(3, "alpha")
    noisy = NoisyLabels(source, 0.1, 5)
    assert noisy.describe() == "Texts(3 images) with 0.1 of the words wrong (seed 5)"
    assert WeakLabels(source).describe().endswith("with 1 of the images without polygons (seed 0)")
    assert FewerLabels(source, 0.5).describe() == "Texts(3 images) with 0.5 of the words (seed 0)"
    assert noisy.fingerprint() != NoisyLabels(source, 0.1, 6).fingerprint()
    for share in (-0.1, 1.1):
        with pytest.raises(DataError, match=r"\[0, 1\]"):
            NoisyLabels(source, share)
    with pytest.raises(DataError, match=r"\(0, 1\]"):
        FewerLabels(source, 0.0)
