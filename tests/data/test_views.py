"""Views: polygons follow the pixels, cut words leave the label, pages are read in order."""

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
from ocrpretrain.data.sources import AnnotatedImage, Word
from ocrpretrain.data.sources.listed import annotate
from ocrpretrain.data.views import VIEWS, PageView, SceneView, WordView, stack_images
from ocrpretrain.data.views.page import reading_order
from ocrpretrain.errors import ConfigError, DataError


def box(x, y, w, h):
    return np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]], np.float32)


def scene(height=120, width=200, x=40, y=30, w=60, h=20) -> AnnotatedImage:
    """One white word on black, and one don't-care."""
    image = np.zeros((height, width, 3), np.uint8)
    image[y : y + h, x : x + w] = 255
    words = [Word("word", box(x, y, w, h)), Word("###", box(0, 0, 5, 5), ignore=True)]
    return AnnotatedImage(image, words, "one")


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10**6), st.sampled_from(["pad", "squash"]))
def test_polygons_follow_the_pixels(seed, resize):
    view = SceneView((96, 96), resize=resize, crop=(0.4, 1.0))
    sample = view(scene(), seed)
    bright = sample.image[..., 0] > 127
    assert sample.image.shape == (96, 96, 3)
    if not sample.text:
        return
    polygon = sample.polygons[0].clip(0, 96)
    ys, xs = np.nonzero(bright)
    found = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
    assert np.abs(found - [*polygon.min(0), *polygon.max(0)]).max() <= 2


def test_words_cut_by_the_crop_leave_the_label():
    view = SceneView((64, 64), crop=(0.3, 0.3))
    samples = [view(scene(x=100, y=50), seed) for seed in range(60)]
    kept = [len(sample.text) for sample in samples]
    assert any(kept) and not all(kept)
    assert [sample.cropped for sample in samples] == [1 - n for n in kept]


def test_an_image_with_a_weak_label_is_never_cropped():
    item = scene()
    item.words.append(Word("somewhere"))
    view = SceneView((60, 100), crop=(0.2, 0.3))
    for seed in range(10):
        sample = view(item, seed)
        assert sample.text == ["word", "somewhere"]
        assert (sample.image[..., 0] > 127).mean() == pytest.approx(0.05, abs=0.01)


def test_padding_is_masked_and_ignored_words_are_not_labels():
    sample = SceneView((96, 96), train=False)(scene(), 0)
    assert sample.text == ["word"]
    assert sample.mask is not None
    assert not sample.mask[: round(120 * 0.48)].any() and sample.mask[60:].all()
    assert SceneView((96, 160), train=False)(scene(), 0).mask is None
    image, mask = stack_images([sample])
    assert image.shape == (1, 3, 96, 96) and image.dtype.is_floating_point is False
    assert mask is not None and mask.shape == (1, 96, 96)


def test_the_same_seed_gives_the_same_view():
    view = SceneView((64, 64), crop=(0.3, 0.9))
    a, b, other = view(scene(), 5), view(scene(), 5), view(scene(), 6)
    assert (a.image == b.image).all()
    assert not (a.image == other.image).all()


@pytest.mark.parametrize(
    "view, options",
    [
        ("scene", {"crop": (0.0, 1.0)}),
        ("scene", {"crop": (0.9, 0.5)}),
        ("scene", {"resize": "no"}),
        ("scene", {"rotate": -1}),
        ("scene", {"colour": 2}),
        ("word", {"augment": "no"}),
        ("page", {"resize": "no"}),
    ],
)
def test_bad_options(view, options):
    with pytest.raises(ConfigError, match="data.view"):
        VIEWS[view]((64, 64), **options)


def jpeg(height=720, width=1280, seed=0) -> tuple[bytes, list[Word]]:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 40, width // 40, 3), np.uint8)
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    boxes = [box(*rng.integers(0, (width - 120, height - 60)), 100, 40) for _ in range(12)]
    words = [Word(str(index), polygon) for index, polygon in enumerate(boxes)]
    return cv2.imencode(".jpg", image)[1].tobytes(), words


@pytest.mark.parametrize(
    "size, options, decoded",
    [
        (512, {}, 640),  # 512 / sqrt(0.7) = 612
        (512, {"train": False}, 640),
        (600, {}, 1280),
        (600, {"train": False}, 640),
        (320, {"train": False}, 320),
        ((180, 320), {"resize": "squash", "crop": (0.25, 1)}, 640),
        ((181, 320), {"resize": "squash", "crop": (0.25, 1)}, 1280),
    ],
)
def test_a_picture_is_decoded_no_larger_than_the_view_needs(size, options, decoded):
    data, words = jpeg()
    view = SceneView(size, **options)
    small = annotate(data, words, "test", "one", view.needs)
    full = annotate(data, words, "test", "one", None)
    assert small.image.shape[1] == decoded and full.image.shape[1] == 1280
    for seed in range(6):
        a, b = view(small, seed), view(full, seed)
        assert a.text == b.text and a.text
        for ours, exact in zip(a.polygons, b.polygons, strict=True):
            assert np.abs(ours - exact).max() <= 1
        assert np.abs(a.image.astype(int) - b.image).mean() < 6


def test_turned_scenes_keep_their_words_at_their_polygons():
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0]])
    image = np.zeros((240, 320, 3), np.uint8)
    quad = box(110, 90, 90, 50)
    for corner, colour in zip(quad, colours, strict=True):
        cv2.circle(image, corner.astype(int).tolist(), 6, colour.tolist(), -1)
    item = AnnotatedImage(image, [Word("word", quad), Word("out", box(300, 100, 40, 20))], "one")
    view = SceneView((240, 320), crop=(0.6, 0.9), rotate=40)
    seen = 0
    for seed in range(40):
        sample = view(item, seed)
        assert "out" not in sample.text and sample.cropped == 2 - len(sample.text)
        if not sample.text:
            continue
        seen += 1
        (polygon,) = sample.polygons
        for corner, colour in zip(polygon, colours, strict=True):
            match = np.abs(sample.image.astype(int) - colour).max(-1) < 90
            assert match.any()
            centre = np.argwhere(match).mean(0)[::-1] + 0.5
            assert np.linalg.norm(centre - corner) < 2.5
    assert seen > 20
    directions = {round(float(np.arctan2(*(p[1] - p[0])[::-1])), 1) for p in turned(view, item)}
    assert len(directions) > 5


def turned(view, item):
    return [p for seed in range(30) for p in view(item, seed).polygons]


def test_colours_change_in_training_only_and_leave_padding_black():
    item = scene()
    item.image[:] = np.maximum(item.image, 90)
    plain = SceneView((96, 96), crop=(1, 1))(item, 0)
    sample = SceneView((96, 96), crop=(1, 1), colour=0.5)(item, 0)
    assert sample.polygons[0].tolist() == plain.polygons[0].tolist()
    assert (sample.image != plain.image).any() and not sample.image[sample.mask].any()
    assert (SceneView((96, 96), colour=0.5, train=False)(item, 0).image == plain.image).all()


def test_one_of_the_words_is_drawn():
    item = scene()
    item.words += [Word("other", box(100, 80, 60, 20)), Word("weak"), Word("", box(1, 1, 9, 9))]
    item.words.append(Word("far", box(500, 500, 60, 20)))
    samples = [WordView(train=False)(item, seed) for seed in range(30)]
    assert {(s.text[0], s.id) for s in samples} == {("word", "one#0"), ("other", "one#2")}
    assert {s.cropped for s in samples} == {1, 2}  # 'weak', and 'far' where it was drawn
    for sample in samples:
        assert sample.image.shape == (32, 128, 3) and sample.mask is None
        bright = (sample.image > 127).mean()
        assert bright > 0.99 if sample.text == ["word"] else bright < 0.01
        assert sample.polygons[0].tolist() == box(0, 0, 128, 32).tolist()
    with pytest.raises(DataError, match="one: has no legible word"):
        WordView()(AnnotatedImage(item.image, item.words[1:2] + item.words[3:], "one"), 0)


def test_a_picture_of_one_word_is_the_crop():
    image = np.random.default_rng(0).integers(0, 256, (64, 128, 3), np.uint8)
    item = AnnotatedImage(image, [Word("l", box(0, 0, 128, 64))], "one")
    sample = WordView((64, 128))(item, 0)
    assert (sample.image == image).all() and sample.id == "one"
    padded = WordView((64, 256), resize="pad")(item, 0)
    assert (padded.image[:, :128] == image).all() and padded.mask[:, 128:].all()
    assert padded.polygons[0].tolist() == box(0, 0, 128, 64).tolist()
    distorted = [WordView((64, 128), augment="parseq")(item, seed).image for seed in range(9)]
    assert any((one != image).any() for one in distorted)
    kept = WordView((64, 128), augment="parseq", train=False)(item, 0)
    assert (kept.image == image).all()


def page(*rows, order=False) -> list[Word]:
    """Words of 8 pixels a letter, each row 20 pixels below the last."""
    words = []
    for index, row in enumerate(rows):
        for place, text in enumerate(row.split()):
            words.append(Word(text, box(10 + 80 * place, 20 * index + place % 2 * 4, 60, 14)))
    if order:
        for index, word in enumerate(words):
            word.order = index
    return words


def read(words) -> str:
    item = AnnotatedImage(np.zeros((200, 300, 3), np.uint8), words, "page")
    sample = PageView((100, 100))(item, 0)
    assert sample.image.shape == (100, 100, 3) and len(sample.text) == len(sample.polygons) == 1
    assert sample.polygons[0].tolist() == box(0, 0, 100, 67).tolist()
    return sample.text[0]


def test_pages_are_read_line_by_line():
    words = page("the quick brown", "fox jumps", "over")
    expected = "the quick brown\nfox jumps\nover"
    assert read(words) == expected
    shuffled = [words[i] for i in np.random.default_rng(0).permutation(len(words))]
    assert read(shuffled) == expected
    shuffled.append(Word("hidden", box(0, 0, 300, 14), ignore=True))
    assert read(shuffled) == expected
    # Two columns: only an order can tell.
    columns = page("a1 b1", "a2 b2", order=True)
    for word in columns:
        word.order = {"a1": 0, "a2": 1, "b1": 2, "b2": 3}[word.text]
    assert read(columns) == "a1\na2\nb1\nb2"
    assert read([Word(w.text, w.polygon) for w in columns]) == "a1 b1\na2 b2"


def test_texts_without_places():
    assert read([Word("the\nwhole page")]) == "the\nwhole page"
    assert read([]) == ""
    ordered = [Word("b", order=1), Word("a", order=0), Word("c", order=2)]
    assert read(ordered) == "a b c"
    mixed = [*page("one two"), Word("somewhere")]
    assert read(mixed) == "one two"
    item = AnnotatedImage(np.zeros((200, 300, 3), np.uint8), mixed, "page")
    assert PageView(64)(item, 0).cropped == 1


@pytest.mark.parametrize(("mode", "size", "tiles"), [("tiny", 512, 0), ("gundam", 1024, 2)])
def test_modes_of_pages(mode, size, tiles):
    item = AnnotatedImage(np.full((900, 1700, 3), 255, np.uint8), page("one two"), "page")
    view = PageView(mode=mode)
    sample = view(item, 0)
    assert sample.image.shape == (size, size, 3) and sample.mask is None
    assert sample.grid == ((2, 1) if tiles else (0, 0))
    assert (0 if sample.tiles is None else len(sample.tiles)) == tiles
    assert view.sizes() == [(size, size), *[(640, 640)] * bool(tiles)]
    assert view.needs(900, 1700) == ((900, 1700) if tiles else (size, size))


def test_what_is_given_of_a_page_is_not_in_its_image(tmp_path):
    image = np.full((200, 300, 3), 250, np.uint8)
    words = page("the quick brown", "fox jumps", "over")
    for word in words:
        x, y = word.outline.min(0).astype(int)
        image[y + 2 : y + 5, x + 2 : x + 9] = 0
    item = AnnotatedImage(image, words, "page")
    for share, first in ((1.0, ""), (0.5, "the quick brown"), (0.3, "the quick brown\nfox"),
                         (0.0, "the quick brown\nfox jumps\nover")):  # fmt: skip
        sample = PageView((200, 300), optical_share=share)(item, 0)
        assert sample.given == first and sample.text == ["the quick brown\nfox jumps\nover"]
        dark = [
            sample.image[int(y) : int(y + 10), int(x) : int(x + 10)].min() == 0
            for x, y in (word.outline.min(0) for word in words)
        ]
        count = len(first.split())
        assert dark == [False] * count + [True] * (len(words) - count)
    with pytest.raises(DataError, match="needs polygons"):
        bare = AnnotatedImage(image, [Word("the whole page")], "page")
        PageView((200, 300), optical_share=0.5)(bare, 0)
    cv2.imwrite(str(tmp_path / "a.png"), image)
    (tmp_path / "labels.jsonl").write_text('{"file": "a.png", "text": "the whole page"}')
    with pytest.raises(DataError, match="needs polygons"):  # the border is its polygon
        PageView((200, 300), optical_share=0.5)(Folder(tmp_path).read(0), 0)


@pytest.mark.parametrize(
    "options", [{}, {"size": 64, "mode": "tiny"}, {"mode": "no"}, {"size": 64, "optical_share": 2}]
)
def test_wrong_options_of_pages(options):
    with pytest.raises(ConfigError, match="data.view"):
        PageView(**options)


def test_a_page_of_a_real_receipt_is_read_in_the_order_of_its_file():
    archive = zipfile.ZipFile(data_set("doc_sroie_sample"))
    receipts = [json.loads(line) for line in archive.read("labels.jsonl").splitlines()]
    view = PageView((256, 256))
    source = Folder(data_set("doc_sroie_sample"))
    follows = []
    for index, receipt in enumerate(receipts):
        text = view(source.read(index, view.needs), 0).text[0]
        rows = reading_order(source[index].words)
        assert text == "\n".join(" ".join(word.text for word in row) for row in rows)
        found = [word.text for row in rows for word in row]
        wanted = [word["text"] for word in receipt["words"]]
        assert sorted(found) == sorted(wanted)
        pairs = set(zip(wanted, wanted[1:], strict=False))
        follows += [pair in pairs for pair in zip(found, found[1:], strict=False)]
    assert np.mean(follows) > 0.95


# Crops of real photographs that were looked at: these annotated words can be read in them, all
# others are outside or cut off ("ating", "TOPSHOP" without its upper half, "Eas").
LOOKED_AT = {
    "images/img_112.jpg": ["LTE"],
    "images/img_174.jpg": ["Give", "Way", "Buses", "Exiting"],
    "images/img_196.jpg": [],
    "images/img_372.jpg": ["ALE", "SALE", "SALE", "SALE", "SALE"],
    "images/img_378.jpg": ["SUSHI", "CUTS", "FOR", "THE", "SHOPPING", "SALE"],
    "images/img_401.jpg": ["TOPMA"],
    "images/img_466.jpg": ["KEEP", "CALM", "AND"],
    "images/img_484.jpg": ["Voted", "The"],
}


def test_labels_of_real_crops_are_the_words_that_can_be_seen():
    source = Folder(data_set("det_ic15_train100"))
    view = SceneView((640, 640), crop=(0.25, 0.45), rotate=10)
    places = {name: place for place, (name, _) in enumerate(source.items)}
    for name, words in LOOKED_AT.items():
        sample = view(source.read(places[name], view.needs), seed=places[name])
        assert sample.text == words, name
