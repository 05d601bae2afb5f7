"""Words drawn flat: ink lies in the outlines, characters in their order, also when bent."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ocrpretrain.data import Texts
from ocrpretrain.data.synthesis.fonts import load_fonts
from ocrpretrain.data.synthesis.lettering import BEND_POINTS, Face, bend, draw_face, draw_line

ASCII = "".join(map(chr, range(33, 127)))


def ink_inside(mask: np.ndarray, polygons) -> float:
    area = np.zeros(mask.shape, np.uint8)
    for polygon in polygons:
        one = np.zeros(mask.shape, np.uint8)
        cv2.fillPoly(one, [np.round(polygon).astype(np.int32)], 1)
        area |= one
    return float((mask * area).sum() / mask.sum())


def lines(count: int):
    rng = np.random.default_rng(0)
    fonts = load_fonts(ASCII)
    for _ in range(count):
        words = [Texts().draw_word(rng) for _ in range(rng.integers(1, 4))]
        yield words, draw_line(words, draw_face(fonts[rng.integers(len(fonts))], 40, rng))


def test_all_ink_is_inside_words_and_characters():
    for words, line in lines(40):
        assert [mark.text for mark in line.marks] == words
        assert ink_inside(line.mask, [mark.polygon for mark in line.marks]) > 0.995
        assert ink_inside(line.mask, [quad for m in line.marks for quad in m.characters]) > 0.99
        for mark in line.marks:
            assert mark.characters.shape == (len(mark.text), 4, 2)
        starts = [mark.polygon[:, 0].min() for mark in line.marks]
        assert starts == sorted(starts)


@pytest.mark.parametrize("angle", [-1.8, -0.4, 0.4, 1.8, 2.7])
def test_a_bent_line_keeps_its_ink_inside_its_outlines(angle):
    for _, line in lines(12):
        letters = sum(len(mark.text) for mark in line.marks)
        bent = bend(line, np.sign(angle) * min(abs(angle), 0.3 * letters))
        inside = ink_inside(bent.mask, [mark.polygon for mark in bent.marks])
        assert inside > 0.93  # outlines have corners, arcs have none
        assert abs(bent.mask.sum() / line.mask.sum() - 1) < 0.2
        for mark in bent.marks:
            assert len(mark.polygon) == 2 * BEND_POINTS
            assert (mark.polygon > -3).all()
            assert (mark.polygon < np.array(bent.mask.shape[::-1]) + 3).all()


def test_right_to_left_words_and_their_characters_run_to_the_left():
    (font, *_) = load_fonts(Texts("ar").alphabet("ar"))
    line = draw_line(["سلام", "دنيا"], Face(font.path, 48))
    first, second = line.marks
    assert first.text == "سلام" and first.polygon[:, 0].min() > second.polygon[:, 0].max()
    for mark in line.marks:
        centres = mark.characters[..., 0].mean(1)
        assert len(centres) == 4 and (np.diff(centres) < 0).all()
    assert ink_inside(line.mask, [mark.polygon for mark in line.marks]) > 0.995
