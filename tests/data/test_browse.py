"""Statistics are right and leave nothing out; sheets and pages show what they should, safely."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest
from conftest import data_set
from hypothesis import given
from hypothesis import strategies as st
from test_tools import TOY, run

from ocrpretrain.data.browse.captions import visible
from ocrpretrain.data.browse.counts import Statistics
from ocrpretrain.data.browse.histograms import character_histogram, histogram
from ocrpretrain.data.browse.marks import DIRECTION, draw_marks
from ocrpretrain.data.browse.measures import QUANTITIES, SHARES, measure
from ocrpretrain.data.browse.page import write_page
from ocrpretrain.data.browse.report import open_source
from ocrpretrain.data.browse.sheet import GAP, WEAK, contact_sheet
from ocrpretrain.data.browse.survey import LARGE, MAX_AREA, SAMPLE, choose, survey
from ocrpretrain.data.browse.tables import summary
from ocrpretrain.data.charset import Charset
from ocrpretrain.data.sources import AnnotatedImage, Folder, Source, Word
from ocrpretrain.drawing import IGNORED, TRUTH
from ocrpretrain.errors import DataError

CHARSET = Charset.load(94)


class Listed(Source):
    """Images given one by one; an error is raised where one stands in the list."""

    def __init__(self, *items: AnnotatedImage | DataError, fresh: bool = False) -> None:
        self.items, self.fresh = items, fresh

    def __len__(self) -> int:
        return len(self.items)

    def read(self, index, needs=None) -> AnnotatedImage:
        item = self.items[index]
        if isinstance(item, DataError):
            raise item
        return item


def box(x0, y0, x1, y1) -> np.ndarray:
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)


def picture(name: str, *words: Word, height=100, width=200, grey=60) -> AnnotatedImage:
    return AnnotatedImage(np.full((height, width, 3), grey, np.uint8), list(words), name)


def statistics(*items: AnnotatedImage | DataError, charset=CHARSET) -> Statistics:
    return survey(Listed(*items), charset)[0]


def test_every_number_of_a_small_set():
    found = statistics(
        picture(
            "a",
            Word("EXIT", box(10, 10, 50, 20), language="en"),
            Word("exit", box(10, 40, 50, 20)),  # bottom edge first: to be read from its own corner
            Word("###", box(0, 0, 9, 9), ignore=True),
        ),
        picture("b", Word("5 é"), Word("", box(-5, 0, 20, 10)), height=50, grey=61),
        picture("c", Word("x!", np.array([[1, 1], [9, 1], [5, 1]], np.float32)), grey=62),
        picture("d", Word("###", None, ignore=True), grey=63),
        DataError("e.png is broken"),
    )
    assert (found.images, found.words, found.ignored, found.legible) == (4, 7, 2, 5)
    assert (found.weak, found.empty, found.flat, found.outside) == (2, 1, 1, 1)
    assert found.errors == ["image 4: e.png is broken"] and found.available == 5
    assert found.languages == {"en": 1, "not given": 4}
    assert found.unknown == {" ": 1, "é": 1}
    shares = {name: found.count(test) for name, test in SHARES.items()}
    assert list(shares.values()) == [1, 3, 1, 1, 1] and list(shares)[0] == "all capitals"
    assert sorted(found.values["length"]) == [0, 2, 3, 4, 4]
    assert sorted(found.values["height"]) == [10, 10, 20]
    assert sorted(found.values["width"]) == [25, 40, 40]
    assert sorted(found.values["height_share"]) == [10, 20, 20]
    assert sorted(found.values["points"]) == [3, 4, 4, 4]
    assert sorted(found.values["words_per_image"]) == [1, 1, 2, 3]
    rows = summary(found)
    assert rows["images looked at"] == "5 of 5" and rows["unreadable images"] == "1"
    assert rows["distinct texts / in any case"] == "5 / 4"
    assert rows["without text"] == "1 (20.0%)"
    assert rows["with a character outside the 94"] == "1 (20.0%)"
    assert rows["polygons without area"] == "1 (25.0%)"


def test_equal_pixels_are_found_whatever_the_file_is_called():
    found = statistics(picture("a"), picture("b"), picture("c", grey=9), picture("d", height=50))
    assert len(found.copies) == 1 and set(found.copies[0]) == {"a", "b"}
    assert statistics(picture("a"), picture("a")).copies == [("a", "a")]
    assert "–" in summary(found)["all capitals"]  # no word, no share


def test_a_source_without_readable_image_is_an_error():
    with pytest.raises(DataError, match="none of 2 images can be read:\nimage 0: x\nimage 1: y"):
        survey(Listed(DataError("x"), DataError("y")), CHARSET)


@given(st.floats(5, 200), st.floats(5, 200), st.floats(-179, 179), st.integers(2, 9), st.booleans())
def test_measures_of_a_turned_word(width, height, angle, points, reverse):
    """Any number of points along the long sides, either way round."""
    x = np.linspace(0, width, points)
    top, bottom = np.stack([x, 0 * x], 1), np.stack([x[::-1], 0 * x + height], 1)
    flat = np.concatenate([top, -bottom if reverse else bottom])
    if reverse:  # counter-clockwise, from the bottom left
        flat[points:, 0] *= -1
    turn = np.deg2rad(-angle)  # the y axis points down
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    found = measure((flat @ rotation.T + 500).astype(np.float32))
    assert found == pytest.approx((width, height, angle), rel=1e-3, abs=0.05)


def test_a_curved_word_is_as_high_as_its_band():
    turn = np.linspace(np.pi, 2 * np.pi, 40)
    circle = np.stack([np.cos(turn), np.sin(turn)], 1)
    width, height, angle = measure(np.concatenate([110 * circle, 90 * circle[::-1]]))
    assert width == pytest.approx(100 * np.pi, rel=0.01)
    assert height == pytest.approx(20, rel=0.01) and 80 < angle < 90


def test_choice_of_a_sample():
    few, many = Listed(*[picture("a")] * 7), Listed(*[picture("a")] * (LARGE + 1))
    assert sorted(choose(few)) == list(range(7)) == sorted(choose(few, 100))
    assert len(choose(many)) == SAMPLE == len(choose(Listed(picture("a"), fresh=True)))
    assert len(set(choose(many, 200, seed=1))) == 200
    assert (choose(many, 200, seed=1) == choose(many, 200, seed=1)).all()
    assert (choose(many, 200, seed=1) != choose(many, 200, seed=2)).any()
    with pytest.raises(DataError, match="at least one image, found 0"):
        choose(few, 0)


def test_kept_pictures_are_in_order_and_not_too_large():
    big = picture("big", Word("A", box(0, 0, 2000, 1000)), height=1000, width=2000)
    items = survey(Listed(DataError("x"), big, picture("small")), CHARSET, pictures=5)[1]
    assert [item.id for item in items] == ["big", "small"]
    height, width = items[0].image.shape[:2]
    assert 0.98 * MAX_AREA < height * width < 1.02 * MAX_AREA
    assert items[0].words[0].outline[2].tolist() == pytest.approx([width, height])
    assert len(survey(Listed(big, big, big), CHARSET, pictures=2)[1]) == 2


values = st.lists(st.floats(0.01, 1e5), max_size=60)
whole = st.lists(st.integers(0, 5000).map(float), max_size=60)
angles = st.lists(st.floats(-180, 180), max_size=60)


@given(st.sampled_from(sorted(QUANTITIES)), st.data())
def test_histograms_leave_nothing_out_and_share_their_bins(key, data):
    kind = {"count": whole, "log": values, "angle": angles}[QUANTITIES[key].scale]
    columns = [Statistics("", 1, CHARSET), Statistics("", 1, CHARSET)]
    for column in columns:
        column.values[key] = data.draw(kind)
    chart = histogram(key, columns)
    lengths = [len(column.values[key]) for column in columns]
    if chart is None:
        assert lengths == [0, 0]
        return
    assert chart.counts.sum(1).tolist() == lengths
    assert chart.counts.shape == (2, len(chart.bars))
    assert all(0 <= place <= len(chart.bars) for place, _ in chart.ticks)


def test_rare_characters_share_a_bar():
    many = "".join(map(chr, range(0x4E00, 0x4E00 + 200)))
    one = statistics(picture("a", Word(many), Word("AAB")))
    chart = character_histogram([one, statistics(picture("b", Word("A")))])
    assert chart.counts.sum(1).tolist() == [203, 1]
    assert chart.bars[0].startswith("A  U+0041 LATIN CAPITAL LETTER A")
    assert chart.bars[-1] == f"{202 - 94} other characters" and chart.counts[1, 0] == 1


def count_colour(sheet: np.ndarray, colour) -> int:
    return int((np.abs(sheet.astype(int) - colour).max(2) <= 40).sum())


def test_sheet_marks_words_and_can_leave_them_out():
    items = [
        picture("a", Word("EXIT", box(20, 40, 90, 60)), Word("###", box(100, 50, 150, 90), True)),
        picture("b", Word("weak label"), grey=61),
        picture("c", height=400, width=100),
    ]
    sheet, clean = (contact_sheet(items, 2, 200, marks) for marks in (True, False))
    assert sheet.dtype == np.uint8 and sheet.shape[1] == clean.shape[1] == 2 * (200 + 2 * GAP)
    assert clean.shape[0] == 2 * (100 + 2 * GAP) < sheet.shape[0]
    for colour in (TRUTH, IGNORED, DIRECTION):  # on the pictures of the first row
        assert count_colour(sheet[: 100 + 2 * GAP], colour) > 20
    assert count_colour(sheet, WEAK) > 20  # below them
    assert not any(count_colour(clean, colour) for colour in (TRUTH, IGNORED, DIRECTION, WEAK))
    # the tall image is 25 pixels wide in its cell, with its aspect kept
    assert np.abs(clean[-60].astype(int) - 60).max(1).tolist().count(0) == 25
    assert (contact_sheet(items, 2, 200) == sheet).all()


def test_small_crops_are_enlarged_and_named_below():
    crop = picture("crop", Word("Ärger", box(0, 0, 50, 20)), height=20, width=50)
    sheet = contact_sheet([crop], width=250)
    assert count_colour(sheet[GAP : GAP + 100, GAP : GAP + 250], (60, 60, 60)) > 0.9 * 25000
    strip = sheet[100 + 2 * GAP :]
    assert count_colour(strip, (20, 20, 20)) > 20  # readable dark text


def test_labels_do_not_cover_one_another():
    """A stack of lines without gaps: the first and the last have room for their text."""
    lines = [Word(f"LINE {i}", box(20, 30 + 8 * i, 120, 37 + 8 * i)) for i in range(4)]
    item = picture("a", *lines)
    crowded = draw_marks(item.image.copy(), item, 0, 0)
    assert [word.text for word in crowded] == ["LINE 1", "LINE 2"]


def test_text_in_any_script_and_without_ink_can_be_drawn():
    words = [Word("Ωмега عربى 漢字"), Word("\ud800\x00\n"), Word(""), Word("x" * 500)]
    assert contact_sheet([picture("\x1b[31m" * 99, *words)]).std() > 5
    assert visible("a\n\ud800\u202eé ") == "a\\n\\ud800\\u202eé "


def test_extreme_images_and_polygons_are_shown(tmp_path):
    far = np.array([[-1e30, 5], [3e36, 5], [3e36, 2e36], [-1e30, 90]], np.float32)
    source = Listed(
        picture("pixel", Word("a", box(0, 0, 1, 1)), height=1, width=1),
        picture("line", Word("b", box(0, 0, 20000, 3)), height=3, width=20000),
        picture("long", height=4, width=100_000),
        picture("far", Word("c", far), Word("d", far, ignore=True)),
    )
    found, items = survey(source, CHARSET, pictures=9)
    assert found.outside == 1 and np.isfinite(found.values["height"]).all()
    assert contact_sheet(items, 2).shape[0] < 2000
    assert len(summary(found)["word width, pixels"]) < 40
    write_page(tmp_path / "index.html", [found], [items])
    Page((tmp_path / "index.html").read_text("utf-8"))


class Page(HTMLParser):
    """Tags, attributes and texts of a page; elements must be closed in order."""

    VOID = {"meta", "input"}

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.tags, self.attributes, self.texts = [], [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))


EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;\ud800"


def write(tmp_path, *sources: Source) -> str:
    found = [survey(source, CHARSET, pictures=9) for source in sources]
    write_page(tmp_path / "index.html", [s for s, _ in found], [items for _, items in found])
    return (tmp_path / "index.html").read_text("utf-8")


def test_labels_on_a_page_stay_text(tmp_path):
    class Named(Listed):
        def describe(self) -> str:
            return EVIL

    shown = [Word(EVIL, box(5, 5, 60, 30)), Word(EVIL), Word(EVIL, language=EVIL)]
    source = Named(picture(EVIL, *shown), picture(EVIL + "2", *shown), DataError(EVIL))
    page = Page(write(tmp_path, source))
    assert not {"script", "img", "iframe", "object", "link"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    links = [value for name, value in page.attributes if name in ("src", "href", "action")]
    assert len(links) == 2 and all(link.startswith("data:image/") for link in links)
    titles = [text for tag, text in page.texts if tag == "title"]
    assert titles.count(EVIL.replace("\ud800", "\\ud800")) >= 3  # the page's own, and two words
    assert any("Content-Security-Policy" == value for _, value in page.attributes)


def test_page_of_two_sources(tmp_path):
    one = Listed(
        picture("a", Word("Ünder", box(5, 5, 60, 30)), Word("###", box(80, 5, 90, 30), True)),
        picture("b", Word("weak"), height=600, width=900),
    )
    two = Listed(picture("c", Word("EXIT", box(0, 0, 200, 100))))
    text = write(tmp_path, one, two)
    page = Page(text)
    texts = [data for _, data in page.texts]
    assert "U+00DC LATIN CAPITAL LETTER U WITH DIAERESIS" in texts and "none" in texts
    assert ("title", "Ünder") in page.texts and ("b", "weak") in page.texts
    assert ("b", "EXIT") in page.texts and ("b", "Ünder") not in page.texts
    charts = [value for name, value in page.attributes if name == "aria-label"]
    assert charts == [title for title, _ in QUANTITIES.values() for _ in "12"] + 2 * ["characters"]
    kinds = [value[:15] for name, value in page.attributes if name == "href"]
    assert kinds == ["data:image/png;", "data:image/jpeg", "data:image/png;"]
    ids = [value for name, value in page.attributes if name == "id"]
    assert all(f"#{name}:" in text for name in ids) and len(ids) == 3  # each checkbox has its rule
    assert text.count('class="ignored"') == 1
    assert write(tmp_path, one, two) == text


@pytest.fixture
def folder(tmp_path):
    rows = []
    for index in range(3):
        cv2.imwrite(str(tmp_path / f"{index}.png"), np.full((40, 80, 3), 40 * index, np.uint8))
        word = {"text": f"w{index}", "polygon": [5, 5, 60, 5, 60, 25, 5, 25]}
        rows.append({"file": f"{index}.png", "words": [word]})
    (tmp_path / "labels.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    return tmp_path


def test_the_tool(folder, monkeypatch, capsys):
    (folder / "1.png").write_bytes(b"broken")
    out = folder / "out"
    assert run(monkeypatch, "browse_data", str(folder), str(folder), "--out", str(out)) == 0
    assert {path.name for path in out.iterdir()} == {"sheet.png", "sheet2.png", "index.html"}
    shown = capsys.readouterr().out
    assert "unreadable images" in shown and "3 of 3" in shown
    assert "1.png" in (out / "index.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none"], "no such folder"),
        (["none.py"], "no such file"),
        (["{folder}", "--charset", "none"], "neither 36"),
        (["{folder}", "--sample", "0"], "at least one image"),
        (["{folder}", "--count", "0"], "some pictures"),
        (["{folder}"], "needs a list 'words'"),
    ],
)
def test_mistakes_at_the_tool(folder, monkeypatch, capsys, arguments, message):
    if message.startswith("needs a list"):
        with (folder / "labels.jsonl").open("a", encoding="utf-8") as file:
            file.write('\n{"file": "0.png"}\n')
    arguments = [argument.format(folder=folder) for argument in arguments]
    out = folder / "out"
    assert run(monkeypatch, "browse_data", *arguments, "--out", str(out)) == 2
    shown = capsys.readouterr().err
    assert message in shown and "Traceback" not in shown and not out.exists()


def test_max_bad_opens_a_set_with_unusable_lines(folder):
    with (folder / "labels.jsonl").open("a", encoding="utf-8") as file:
        file.write('\n{"file": "0.png"}\n')
    assert len(open_source(str(folder), max_bad=0.5)) == 3


@pytest.mark.parametrize("name", ["synthetic", TOY])
def test_generated_scenes_by_name_and_by_config(name, monkeypatch):
    monkeypatch.chdir(run.__globals__["ROOT"])
    source = open_source(name)
    found = survey(source, CHARSET, count=3)[0]
    assert found.available is None and found.images == 3 and found.weak == 0
    assert summary(found)["images looked at"] == "3 of endless"


def test_real_words_have_the_numbers_that_were_counted_by_others():
    """`rec_svt_test` against the README of the data."""
    found = survey(Folder(data_set("rec_svt_test")), Charset.load(62))[0]
    assert found.legible == found.images == 647 and not found.copies
    assert len({text.lower() for text in found.texts}) == 437
    lengths = found.values["length"]
    assert (min(lengths), round(np.mean(lengths), 1), max(lengths)) == (3, 5.9, 13)
    shares = [round(100 * found.count(test) / 647) for test in SHARES.values()]
    assert shares[:3] == [72, 4, 0] and found.count(SHARES["with a space"]) == 5
    assert len(found.characters) == 55
    assert found.count(lambda text: bool(set(text) & set(found.unknown))) == 16
    heights, aspects = found.values["image_height"], found.values["aspect"]
    assert (min(heights), np.median(heights), max(heights)) == (13, 50, 247)
    assert sum(aspect < 1 for aspect in aspects) == 10


def test_real_scenes_have_the_numbers_that_were_counted_by_others():
    found = survey(Folder(data_set("det_ic15_train100")), CHARSET)[0]
    assert (found.words, found.ignored, found.empty) == (1218, 735, 2)
    per_image = found.values["words_per_image"]
    assert (min(per_image), np.median(per_image), max(per_image)) == (1, 8, 72)
    assert sum(abs(angle) > 15 for angle in found.values["angle"]) == 110
    assert set(found.values["points"]) == {4} and found.outside == 0
