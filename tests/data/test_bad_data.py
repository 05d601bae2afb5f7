"""Bad pictures and annotations: each is handled, or left out with a count, or named in an error."""

from __future__ import annotations

import io
import json

import cv2
import numpy as np
import pytest
from PIL import Image

from ocrpretrain.data import ICDAR2015, Folder, OCRDataModule
from ocrpretrain.data.charset import Charset
from ocrpretrain.data.sources.base import AnnotatedImage, make_word
from ocrpretrain.data.sources.files import decode
from ocrpretrain.data.tokenizer import CharacterTokenizer
from ocrpretrain.data.views import SceneView
from ocrpretrain.errors import ConfigError, DataError
from ocrpretrain.heads.oclip_batch import OCLIPCollator

rng = np.random.default_rng(0)
NOISE = rng.integers(0, 255, (30, 50, 3), dtype=np.uint8)


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def rgb(kind: str = "PNG", **options) -> bytes:
    return encoded(Image.fromarray(NOISE), kind, **options)


def sixteen_bit() -> bytes:
    return cv2.imencode(".png", (NOISE.astype(np.uint16) * 257)[..., ::-1])[1].tobytes()


def animated() -> bytes:
    frames = [Image.fromarray(NOISE), Image.fromarray(255 - NOISE)]
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])


def rotated() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees
    return rgb("JPEG", exif=exif)


def bomb() -> bytes:
    """20 kB that become half a gigabyte."""
    return encoded(Image.new("1", (13000, 13000)), "PNG")


GOOD_PICTURES = {
    "PNG named .jpg": (rgb(), (30, 50)),
    "CMYK": (encoded(Image.fromarray(NOISE).convert("CMYK"), "JPEG"), (30, 50)),
    "grey": (encoded(Image.fromarray(NOISE).convert("L"), "PNG"), (30, 50)),
    "16 bit": (sixteen_bit(), (30, 50)),
    "palette": (encoded(Image.fromarray(NOISE).convert("P"), "PNG"), (30, 50)),
    "transparent": (encoded(Image.fromarray(NOISE).convert("RGBA"), "PNG"), (30, 50)),
    "animated": (animated(), (30, 50)),
    "EXIF-rotated": (rotated(), (30, 50)),
    "bytes behind the end": (rgb("JPEG") + b"\0" * 40, (30, 50)),
    "1 x 1": (encoded(Image.new("RGB", (1, 1)), "PNG"), (1, 1)),
    "20000 x 3": (encoded(Image.new("RGB", (20000, 3)), "PNG"), (3, 20000)),
}
BAD_PICTURES = {
    "zero bytes": (b"", "empty file"),
    "text": (b"hello", "cannot identify"),
    "half a JPEG": (rgb("JPEG")[:900], "truncated|not a readable image"),
    "half a PNG": (rgb()[:2000], "not a readable image"),
    "damaged PNG": (rgb()[:60] + b"\0" * 400 + rgb()[460:], "not a readable image"),
    "bomb": (bomb(), "13000 x 13000 pixels are too many"),
}


@pytest.mark.parametrize("case", GOOD_PICTURES)
def test_odd_pictures_are_read_and_viewed(case):
    data, size = GOOD_PICTURES[case]
    image, height, width = decode(data, "x.jpg")
    assert (height, width) == size
    assert image.shape == (*size, 3) and image.dtype == np.uint8
    if case in ("PNG named .jpg", "16 bit", "transparent"):
        assert np.array_equal(image, NOISE)
    view = SceneView((64, 64), crop=(0.5, 0.9))
    words = [make_word("a", [0, 0, 1, 0, 1, 1, 0, 1], False, "x")]
    assert view(AnnotatedImage(image, words), seed=0).image.shape == (64, 64, 3)


@pytest.mark.parametrize("case", BAD_PICTURES)
def test_bad_pictures_are_named(case):
    data, message = BAD_PICTURES[case]
    with pytest.raises(DataError, match=message) as error:
        decode(data, "data: 'x.jpg'")
    assert "'x.jpg'" in str(error.value)


BAD_LINES = {
    "not JSON": b"{",
    "deep JSON": b"[" * 100000,
    "not an object": b"[1]",
    "no words": b'{"file": "0.png"}',
    "not UTF-8": b'{"file": "0.png", "words": [{"text": "\xff"}]}',
    "NaN": b'{"file": "0.png", "words": [{"text": "a", "polygon": [0, 0, NaN, 0, 1, 1]}]}',
    "infinite": b'{"file": "0.png", "words": [{"text": "a", "polygon": [0, 0, 1e999, 0, 1, 1]}]}',
    "two points": b'{"file": "0.png", "words": [{"text": "a", "polygon": [0, 0, 1, 1]}]}',
    "text is a number": b'{"file": "0.png", "words": [{"text": 1}]}',
    "missing file": b'{"file": "9.png", "words": []}',
    "outside": b'{"file": "../0.png", "words": []}',
    "listed twice": b'{"file": "1.png", "words": []}',
}


def folder(tmp_path, lines=(), pictures=20):
    for index in range(pictures):
        (tmp_path / f"{index}.png").write_bytes(rgb())
    good = [json.dumps({"file": f"{i}.png", "words": []}).encode() for i in range(1, pictures)]
    (tmp_path / "labels.jsonl").write_bytes(b"\xef\xbb\xbf" + b"\n".join([*good, *lines]))
    return tmp_path


@pytest.mark.parametrize("case", BAD_LINES)
def test_bad_lines_are_named_or_left_out_with_a_count(tmp_path, capsys, case):
    path = folder(tmp_path, [BAD_LINES[case]])
    with pytest.raises(DataError, match=r"1 of 20 entries are unusable:\nlabels.jsonl:20: "):
        Folder(path)
    assert len(Folder(path, max_bad=0.05)) == 19
    shown = capsys.readouterr().out
    assert "left out 1 of 20 unusable entries: labels.jsonl:20" in shown
    with pytest.raises(DataError, match="max_bad=0.01 allows 0"):
        Folder(path, max_bad=0.01)


def test_icdar_files_that_do_not_fit_are_left_out_with_a_count(tmp_path, capsys):
    for index in range(1, 11):
        (tmp_path / f"img_{index}.png").write_bytes(rgb())
        (tmp_path / f"gt_img_{index}.txt").write_text("1,2,3,4,5,6,7,8,NA\n1,1,2,1,2,2,1,2,null\n")
    (tmp_path / "gt_img_1.txt").unlink()
    (tmp_path / "gt_img_2.txt").write_bytes(b"1,2,3,4,5,6,7,8,\xff")
    (tmp_path / "gt_img_3.txt").write_text("1,2,3")
    (tmp_path / "gt_img_99.txt").write_text("")
    with pytest.raises(DataError, match="4 of 11 entries"):
        ICDAR2015(tmp_path)
    source = ICDAR2015(tmp_path, max_bad=0.5)
    assert len(source) == 7 and capsys.readouterr().out.count("left out 4 of 11") == 1
    assert [word.text for word in source[0].words] == ["NA", "null"]


def test_unreadable_pictures_are_replaced_counted_and_bounded(tmp_path, capsys):
    source = Folder(folder(tmp_path))
    (tmp_path / "3.png").write_bytes(b"")
    (tmp_path / "4.png").write_bytes(rgb()[:100])
    charset = Charset.load(94)
    collate = OCLIPCollator(charset, 25, 32, CharacterTokenizer(charset))
    options = dict(view={"size": 32}, batch_size=19, collator=collate)
    data = OCRDataModule(source, source, **options, max_bad=0.2)
    (batch,) = data.train_dataloader()
    assert (
        batch["left_out"]["unreadable_images"] == 3
    )  # one of two neighbours, for both, and itself
    assert sorted(batch["id"]).count("5.png") == 3
    assert capsys.readouterr().out.count("'3.png' is not a readable image (empty file)") >= 1
    with pytest.raises(DataError, match=r"2 of 19 entries are unusable \(max_bad=0.06 allows 1\)"):
        list(OCRDataModule(source, source, **options, max_bad=0.06).train_dataloader())
    with pytest.raises(DataError, match="is not a readable image"):
        list(OCRDataModule(source, source, **options).train_dataloader())
    with pytest.raises(ConfigError, match="max_bad"):
        OCRDataModule(source, source, **options, max_bad=1.0)


WORDS = {
    "outside the picture": ([100, 100, 120, 100, 120, 110], 0),
    "without area": ([5, 5, 9, 9, 13, 13], 0),
    "half outside": ([40, 10, 80, 10, 80, 20, 40, 20], 1),
    "self-crossing": ([5, 5, 25, 25, 25, 5, 5, 25], 1),
}


@pytest.mark.parametrize("case", WORDS)
@pytest.mark.parametrize("crop", [(1.0, 1.0), (0.9, 0.99)])
def test_odd_polygons_do_not_crash_and_unseen_words_leave_the_label(case, crop):
    polygon, kept = WORDS[case]
    item = AnnotatedImage(NOISE, [make_word("word", polygon, False, "x")])
    sample = SceneView((64, 64), crop=crop)(item, seed=0)
    assert len(sample.text) + sample.cropped == 1
    if crop == (1.0, 1.0):
        assert len(sample.text) == kept


@pytest.mark.parametrize(
    "text", ["NA", "null", "None", "nan", "x" * 300, "日本語", "a日b", "  ", ""]
)
def test_odd_words_stay_text(text):
    charset = Charset.load(94)
    item = AnnotatedImage(NOISE, [make_word(text, None, False, "x")])
    collate = OCLIPCollator(charset, 25, 32, CharacterTokenizer(charset))
    batch = collate([SceneView(32)(item, seed=0)])
    kept = charset.filter(text.strip())
    assert batch["text"][0] == ([kept] if kept else [])
    assert batch["tokens"].shape[1] <= 25
    left_out = batch["left_out"]
    assert left_out["cut_words"] == (len(kept) > 24)
    assert left_out["unknown_characters"] == len(text.strip()) - len(kept)
