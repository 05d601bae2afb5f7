"""Crops of words read left to right and upright, whatever the polygon's points and direction."""

from __future__ import annotations

import json
import zipfile

import cv2
import numpy as np
import pytest
from conftest import data_set
from hypothesis import given, settings
from hypothesis import strategies as st

from ocrpretrain.data import Folder
from ocrpretrain.data.rectify import croppable, cut_word, find_sides, is_latin
from ocrpretrain.data.sources import Word
from ocrpretrain.data.sources.crops import WordCrops
from ocrpretrain.errors import DataError

COLUMNS, ROWS = 24, 6


def strip(bend, turn, height=40.0, length=220.0):
    """(u, v) in 0..1 along and across the text -> place in the image."""

    def place(u, v):
        angle = (u - 0.5) * bend
        radius = length / bend if bend else 0
        x = (radius + (0.5 - v) * height) * np.sin(angle) if bend else (u - 0.5) * length
        y = radius - (radius + (0.5 - v) * height) * np.cos(angle) if bend else (v - 0.5) * height
        x, y = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
        return np.array([x + 200, y + 200])

    return place


def draw(place):
    """An image whose red grows along the text and whose green grows across it."""
    image = np.zeros((400, 400, 3), np.uint8)
    for i in range(COLUMNS):
        for j in range(ROWS):
            corners = [(i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1)]
            cell = np.array([place(a / COLUMNS, b / ROWS) for a, b in corners])
            colour = (10 + 10 * i, 20 + 40 * j, 0)
            cv2.fillPoly(image, [np.round(cell * 16).astype(np.int32)], colour, shift=4)
    return image


def outline(place, upper, lower):
    """Clockwise from the text's top left."""
    top = [place(u, 0) for u in np.linspace(0, 1, upper)]
    return np.array(top + [place(u, 1) for u in np.linspace(1, 0, lower)], np.float32)


def assert_upright(crop, length=220, height=40):
    assert abs(crop.shape[1] - length) < 0.06 * length + 3 and abs(crop.shape[0] - height) < 6
    inner = crop[3:-3, 3:-3].astype(float)
    u, v = inner[..., 0].mean(0), inner[..., 1].mean(1)
    assert np.corrcoef(u, np.arange(len(u)))[0, 1] > 0.99
    assert np.corrcoef(v, np.arange(len(v)))[0, 1] > 0.97


@settings(deadline=None, max_examples=30)
@given(
    bend=st.floats(-2.5, 2.5).filter(lambda b: abs(b) > 0.05),
    turn=st.floats(-3.1, 3.1),
    points=st.tuples(st.integers(4, 7), st.integers(-1, 1)),
    backwards=st.booleans(),
)
def test_curved_words_are_straightened_from_their_first_point_on(bend, turn, points, backwards):
    place = strip(bend, turn)
    upper = points[0] + round(2 * abs(bend))  # enough points to follow the bend
    polygon = outline(place, upper, upper + points[1])
    polygon = polygon[::-1] if backwards else polygon
    assert_upright(cut_word(draw(place), polygon, "word"))


@settings(deadline=None, max_examples=20)
@given(bend=st.floats(-1.5, 1.5), turn=st.floats(-0.7, 0.7), start=st.integers(0, 11))
def test_a_polygon_that_starts_elsewhere_is_read_to_the_right(bend, turn, start):
    place = strip(bend if abs(bend) > 0.05 else 0.05, turn)
    polygon = np.roll(outline(place, 6, 6), start, axis=0)
    if start == 6:
        return  # begins at the lower right corner: an upside-down word, as far as one can know
    assert_upright(cut_word(draw(place), polygon, "word"))


@pytest.mark.parametrize("turn", [0.0, 0.5, 1.5, 3.0, -2.0])
def test_quads_follow_their_first_point(turn):
    place = strip(0, turn)
    quad = outline(place, 2, 2)
    assert_upright(cut_word(draw(place), quad, "word"))
    assert_upright(cut_word(draw(place), quad[::-1], "word"))


def test_only_latin_words_of_several_letters_are_laid_down():
    place = strip(0, -np.pi / 2)  # reads upwards
    image, quad = draw(place), outline(place, 2, 2)
    standing = np.roll(quad, -1, axis=0)  # begins at the upper left corner of the image
    assert standing[0].tolist() == standing.min(0).tolist()
    assert_upright(cut_word(image, standing, "word"))
    for text in ("I", "国語", "слово"):
        assert cut_word(image, standing, text).shape == (220, 40, 3)
    assert is_latin("Café 24%") and not is_latin("国語") and is_latin("1966")
    # A narrow letter with many points is as tall as it is.
    letter = np.array([[9, 0], [10, 0], [20, 0], [20, 50], [10, 50], [9, 50]], np.float32)
    assert cut_word(image, letter, "l").shape[0] == 50


def test_boxes_borders_and_degenerate_polygons():
    image = np.arange(60 * 80 * 3, dtype=np.uint8).reshape(60, 80, 3)
    border = np.array([[0, 0], [80, 0], [80, 60], [0, 60]], np.float32)
    assert (cut_word(image, border, "a") == image).all()
    quad = np.array([[10, 12], [30, 10], [31, 20], [11, 22]], np.float32)
    assert (cut_word(image, quad, "a", rectify=False) == image[10:23, 10:32]).all()
    assert cut_word(image, quad[:3], "a").shape == (10, 21, 3)
    for bad in (quad + 100, quad * [1, 0] + [0, 5], quad + [60, 0]):
        with pytest.raises(DataError, match="'a' has no area or lies outside"):
            cut_word(image, bad.astype(np.float32), "a")
    winding = np.array([[i % 2 * 70 + 1, i] for i in range(50)] + [[5, 55]], np.float32)
    assert max(cut_word(image, winding, "ab").shape) <= 140


def curved():
    archive = zipfile.ZipFile(data_set("det_curved_mini"))
    for line in archive.read("labels.jsonl").splitlines():
        row = json.loads(line)
        for word in row["words"]:
            if word["text"] and not word["ignore"]:
                yield row["file"][7:-4], word["text"], np.float32(word["polygon"]).reshape(-1, 2)


def test_real_curved_polygons_lie_along_their_words():
    sides = {(name, text): find_sides(polygon) for name, text, polygon in curved()}
    assert len(sides) > 50
    for (_, text), (top, bottom) in sides.items():
        long = np.linalg.norm(np.diff(top, axis=0), axis=1).sum()
        high = np.linalg.norm(top[0] - bottom[0])
        assert len(text) == 1 or long > high, text
    # Simply halved, these twist or lie on their side. Crops from these corners were looked at.
    begins = {
        ("tt_img643", "FEBRUARY"): (264, 214),
        ("tt_img643", "DEBT"): (406, 361),
        ("tt_img643", "MAY"): (479, 198),
        ("tt_img623", "BARBECUES"): (262, 389),
        ("tt_img623", "1966"): (314, 350),
    }
    assert {key: tuple(sides[key][0][0]) for key in begins} == begins


def test_plain_crops_of_icdar2015_are_its_word_set():
    scenes, crops = Folder(data_set("det_ic15_test")), Folder(data_set("rec_ic15_test"))
    words = WordCrops(scenes, rectify=False)
    assert len(words) == len(crops) == 2077
    for index in range(0, 60, 3):
        ours, theirs = words[index], crops[index]
        assert ours.words[0].text == theirs.words[0].text
        assert (ours.image == theirs.image).all()
    upright = WordCrops(scenes, height=32)
    assert {upright[index].image.shape[0] <= 32 for index in range(20)} == {True}


def test_each_image_is_decoded_once_and_words_are_counted_without_decoding(monkeypatch):
    scenes = Folder(data_set("det_ic15_train100"))
    reads: list[int] = []
    read = type(scenes).read
    monkeypatch.setattr(
        type(scenes), "read", lambda self, i, needs=None: reads.append(i) or read(self, i, needs)
    )
    words = WordCrops(scenes)
    assert len(words) == 483 and not reads
    names = [words[index].id for index in range(40)]
    assert len(set(names)) == 40 and reads == sorted(set(reads))


def test_what_can_be_cut():
    quad = np.array([[0, 0], [9, 0], [9, 9], [0, 9]], np.float32)
    words = [Word("a", quad), Word("b"), Word("###", quad, ignore=True), Word(" ", quad)]
    assert croppable(words) == [0]
