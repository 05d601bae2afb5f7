"""Generated scenes: the same image for the same seed and index, legible, inside the image."""

from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest
import shapely

from ocrpretrain.data import SyntheticScenes, Texts
from ocrpretrain.errors import ConfigError, DataError

OPTIONS = {"size": (128, 160), "words": (1, 4), "letter_height": (0.1, 0.3)}


def same(a, b) -> bool:
    return (a.image == b.image).all() and all(
        x.text == y.text and (x.polygon == y.polygon).all()
        for x, y in zip(a.words, b.words, strict=True)
    )


def test_an_image_depends_on_seed_and_index_only():
    forward = SyntheticScenes(8, seed=3, **OPTIONS)
    first = [forward[index] for index in range(8)]
    backward = SyntheticScenes(99, seed=3, **OPTIONS)
    for index in reversed(range(8)):
        assert same(backward[index], first[index])
    other = SyntheticScenes(8, seed=4, **OPTIONS)
    assert not any((other[i].image == first[i].image).all() for i in range(8))


@pytest.mark.slow
def test_another_process_draws_the_same():
    code = (
        "from ocrpretrain.data import SyntheticScenes as S;"
        f"print(S(8, seed=3, **{OPTIONS!r})[5].image.astype(int).sum())"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    ours = SyntheticScenes(8, seed=3, **OPTIONS)[5].image.astype(int).sum()
    assert int(printed.stdout) == ours


def test_words_lie_inside_do_not_overlap_and_have_contrast():
    source = SyntheticScenes(60, seed=1, **OPTIONS)
    contrasts, count = [], 0
    for index in range(60):
        item = source[index]
        shapes = [shapely.make_valid(shapely.Polygon(word.polygon)) for word in item.words]
        for i, word in enumerate(item.words):
            count += 1
            assert word.text and (word.polygon >= -2).all()
            assert (word.polygon <= (162, 130)).all()
            assert all(shapes[i].intersection(other).area < 2 for other in shapes[:i])
            x0, y0 = np.maximum(word.polygon.min(0).astype(int), 0)
            x1, y1 = word.polygon.max(0).astype(int)
            grey = item.image[y0:y1, x0:x1].mean(2)
            contrasts.append(np.quantile(grey, 0.95) - np.quantile(grey, 0.05))
    assert count > 60
    assert np.quantile(contrasts, 0.05) > 20


def test_characters_lie_in_their_words():
    source = SyntheticScenes(20, characters=True, **OPTIONS)
    for index in range(20):
        for word in source[index].words:
            assert word.characters.shape == (len(word.text), 4, 2)
            outline = shapely.make_valid(shapely.Polygon(word.polygon)).buffer(3)
            assert all(outline.contains(shapely.Point(*quad.mean(0))) for quad in word.characters)


def test_labels_are_where_the_ink_is():
    """Of the same scene with and without text, only the words' outlines differ (no plates)."""
    plain = {**OPTIONS, "plates": 0.0, "photo": 0.0, "hidden": 0.0, "curved": 0.5}
    source = SyntheticScenes(40, seed=5, **plain)
    shares = []
    for index in range(40):
        item = source[index]
        rng = np.random.default_rng([5, index])
        empty = source._background(rng)  # the first thing that is drawn
        change = np.abs(item.image.astype(int) - empty).sum(2) > 60
        area = np.zeros(change.shape, np.uint8)
        for word in item.words:
            cv2.fillPoly(area, [np.round(word.polygon).astype(np.int32)], 1)
        area = cv2.dilate(area, np.ones((9, 9), np.uint8))  # shadows and outlines
        if change.any():
            shares.append((change & (area > 0)).sum() / change.sum())
    assert len(shares) > 30 and np.mean(shares) > 0.97


def test_hidden_words_are_marked_and_some_stay_legible():
    source = SyntheticScenes(150, seed=2, hidden=1.0, **OPTIONS)
    flags = [word.ignore for index in range(150) for word in source[index].words]
    assert 0.003 < np.mean(flags) < 0.3
    never = SyntheticScenes(60, seed=2, hidden=0.0, **OPTIONS)
    assert not any(word.ignore for index in range(20) for word in never[index].words)


def test_languages_and_their_words():
    source = SyntheticScenes(12, text=Texts(["en", "ru"]), **OPTIONS)
    words = [word for index in range(12) for word in source[index].words]
    assert {word.language for word in words} == {"en", "ru"}
    assert any("а" <= char.lower() <= "я" for word in words for char in word.text)


def test_a_folder_of_backgrounds(tmp_path):
    green = np.zeros((90, 120, 3), np.uint8)
    green[..., 1] = 200
    cv2.imwrite(str(tmp_path / "green.png"), green)
    options = {**OPTIONS, "photo": 0.0, "hidden": 0.0, "plates": 0.0, "letter_height": (0.1, 0.1)}
    item = SyntheticScenes(4, backgrounds=str(tmp_path), **options)[0]
    assert ((item.image == (0, 200, 0)).all(2)).mean() > 0.5
    with pytest.raises(DataError, match="holds no picture"):
        SyntheticScenes(4, backgrounds=str(tmp_path / "none"))


def test_everything_that_changes_pictures_changes_the_fingerprint(tmp_path):
    base = SyntheticScenes(4, **OPTIONS).fingerprint()
    assert SyntheticScenes(9, **OPTIONS).fingerprint() == base
    for options in ({"angle": 5.0}, {"seed": 1}, {"text": Texts(random=0.5)}, {"photo": 0.5}):
        assert SyntheticScenes(4, **{**OPTIONS, **options}).fingerprint() != base


@pytest.mark.parametrize(
    "options", [{"words": (3, 1)}, {"letter_height": (0, 0.1)}, {"lines": 0}, {"length": 0}]
)
def test_bad_options(options):
    with pytest.raises(ConfigError):
        SyntheticScenes(**{"length": 8, **options})
