"""Generated word crops and pages."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import shapely

from ocrpretrain.data import SyntheticPages, SyntheticWords, Texts
from ocrpretrain.errors import ConfigError


def test_a_crop_shows_one_word_and_depends_on_seed_and_index_only():
    source = SyntheticWords(40, seed=1)
    items = [source[index] for index in range(40)]
    again = SyntheticWords(7, seed=1)[33]
    assert (again.image == items[33].image).all() and again.id == "synthetic-words-1-33"
    for item in items:
        height, width = item.image.shape[:2]
        (word,) = item.words
        border = [[0, 0], [width, 0], [width, height], [0, height]]
        assert word.text and word.polygon.tolist() == border
        assert 8 <= min(height, width) and max(height, width) < 1200
    aspects = [item.image.shape[1] / item.image.shape[0] for item in items]
    assert 1.3 < np.median(aspects) < 3.2  # IIIT5K 2.3, IC15 2.0, SVT 2.6


def test_outlines_and_characters_lie_in_the_crop():
    source = SyntheticWords(40, seed=2, polygons=True, characters=True, margin=(0.05, 0.2))
    for index in range(40):
        item = source[index]
        (word,) = item.words
        height, width = item.image.shape[:2]
        assert (word.polygon > 0).all() and (word.polygon < (width, height)).all()
        outline = shapely.make_valid(shapely.Polygon(word.polygon)).buffer(3)
        assert word.characters.shape == (len(word.text), 4, 2)
        assert all(outline.contains(shapely.Point(*quad.mean(0))) for quad in word.characters)


def test_shares_do_what_they_say():
    upright = SyntheticWords(60, upright=1.0, angle=0.0, curved=0.0, text=Texts(numbers=0.0))
    items = [upright[index] for index in range(60)]
    tall = [i.image.shape[0] > i.image.shape[1] for i in items if len(i.words[0].text) > 3]
    assert np.mean(tall) > 0.95
    quiet = SyntheticWords(20, photo=0.0, plates=1.0)
    assert len({tuple(quiet[index].image.shape) for index in range(20)}) > 10


def test_pages_in_one_family_and_no_word_on_another():
    """Also on pages so small that a running head fills its line."""
    options = {"columns": (1, 1), "tables": 0.0, "figures": 0.0, "effects": "none"}
    source = SyntheticPages(40, (128, 256), (22, 36), **options, families=["Roboto"])
    for place in range(len(source)):
        boxes = [(*w.polygon.min(0), *w.polygon.max(0)) for w in source.read(place).words]
        for first, second in combinations(boxes, 2):
            wide = min(first[2], second[2]) - max(first[0], second[0])
            high = min(first[3], second[3]) - max(first[1], second[1])
            assert wide < 1 or high < 6, place


def test_pages_have_words_in_reading_order_inside_the_sheet():
    source = SyntheticPages(6, size=(512, 400), body=(10, 14), seed=3, characters=True)
    for index in range(6):
        item = source[index]
        assert item.image.shape == (512, 400, 3)
        assert [word.order for word in item.words] == list(range(len(item.words)))
        assert len(item.words) > 20
        for word in item.words:
            assert (word.polygon > -30).all() and (word.polygon < (430, 542)).all()
            assert word.characters.shape == (len(word.text), 4, 2)
    again = SyntheticPages(1, size=(512, 400), body=(10, 14), seed=3)[2]
    assert (source[2].image == again.image).all()


def test_one_column_reads_downwards():
    source = SyntheticPages(8, size=(512, 512), columns=(1, 1), tables=0, figures=0, effects="none")
    for index in range(4):
        tops = [word.polygon[:, 1].mean() for word in source[index].words]
        assert (np.diff(tops) > -14).all()


def test_the_control_texts_keep_the_layout_of_pages_comparable():
    counts = []
    for page in ("natural", "shuffled", "letters"):
        source = SyntheticPages(4, size=(512, 512), text=Texts(page=page), tables=0)
        counts.append(np.mean([len(source[index].words) for index in range(4)]))
    assert max(counts) < 1.35 * min(counts)


def test_bad_options():
    with pytest.raises(ConfigError, match="letter_height"):
        SyntheticWords(8, letter_height=(40, 10))
    with pytest.raises(ConfigError, match="right-to-left"):
        SyntheticPages(8, text=Texts("ar"))
    with pytest.raises(ConfigError, match="columns"):
        SyntheticPages(8, columns=(0, 2))
    with pytest.raises(ConfigError, match="effects 'fax'"):
        SyntheticPages(8, effects="fax")
    with pytest.raises(ConfigError, match=r"no font of \['Robotto'\] .* 'en'; there is .*Roboto"):
        SyntheticPages(8, families=["Roboto", "Robotto"])
