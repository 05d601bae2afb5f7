"""Every format gives the same words, and bad labels are reported all at once."""

from __future__ import annotations

import json
import pickle
import zipfile

import cv2
import numpy as np
import pytest
from conftest import data_set
from hypothesis import given, settings
from hypothesis import strategies as st

from ocrpretrain.data import ICDAR2015, Folder, LabelsFolder, Part, SyntheticScenes
from ocrpretrain.data.sources.icdar import parse_icdar2015
from ocrpretrain.errors import DataError

QUAD = [1, 2, 30, 2, 30, 12, 1, 12]


def write_image(path, height=20, width=40):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = 200  # red in RGB
    cv2.imwrite(str(path), image[..., ::-1])


@pytest.fixture
def folder(tmp_path):
    rows = []
    for index in range(10):
        write_image(tmp_path / f"images/img_{index}.png")
        words = [{"polygon": QUAD, "text": f"w{index}", "ignore": index == 3}]
        rows.append({"file": f"images/img_{index}.png", "words": words})
    rows[1]["words"].append({"text": "weak"})
    (tmp_path / "labels.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    return tmp_path


def test_folder_and_zip_give_the_same(folder, tmp_path_factory):
    archive = tmp_path_factory.mktemp("zip") / "set.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in folder.rglob("*"):
            file.write(path, path.relative_to(folder))
    for source in (LabelsFolder(folder), LabelsFolder(archive), Folder(archive)):
        source = pickle.loads(pickle.dumps(source))  # as a spawned worker gets it
        assert len(source) == 10
        item = source[1]
        assert item.image.shape == (20, 40, 3) and item.image[0, 0].tolist() == [200, 0, 0]
        assert [word.text for word in item.words] == ["w1", "weak"]
        assert item.words[0].polygon.tolist() == np.reshape(QUAD, (4, 2)).tolist()
        assert item.words[1].polygon is None
        assert source[3].words[0].ignore


def test_all_bad_lines_are_reported_with_their_number(folder):
    lines = [
        '{"file": "images/img_0.png", "words": []}',
        "not json",
        '{"file": "images/none.png", "words": []}',
        '{"file": "images/img_0.png", "words": []}',
        '{"file": "images/img_1.png"}',
        '{"file": "images/img_2.png", "words": [{"polygon": [1, 2, 3], "text": "a"}]}',
        '{"file": "images/img_3.png", "words": [{"text": 7}]}',
    ]
    (folder / "labels.jsonl").write_text("\n".join(lines), "utf-8")
    with pytest.raises(DataError) as error:
        LabelsFolder(folder)
    text = str(error.value)
    assert [f"labels.jsonl:{number}:" in text for number in range(1, 8)] == [False] + [True] * 6
    assert "not JSON" in text and "no such file" in text and "twice" in text
    assert "'words'" in text and "3 x, y pairs" in text and "string, found 7" in text


def test_files_outside_the_set_are_refused(folder):
    (folder.parent / "secret.png").write_bytes(b"x")
    source = LabelsFolder(folder)
    for name in ("../secret.png", "/etc/hostname"):
        with pytest.raises(DataError, match="outside"):
            source.store.read(name)


def test_unreadable_image_is_named(folder):
    (folder / "images/img_0.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="img_0.png"):
        LabelsFolder(folder)[0]


def test_icdar_text_with_mark_commas_and_dont_care(tmp_path):
    write_image(tmp_path / "img_10.jpg")
    write_image(tmp_path / "img_2.jpg")
    line = ",".join(map(str, QUAD))
    text = f"{line},$100,000\r\n{line},###\r\n"
    for number in (10, 2):
        (tmp_path / f"gt_img_{number}.txt").write_bytes(b"\xef\xbb\xbf" + text.encode())
    source = Folder(tmp_path)
    assert isinstance(source, ICDAR2015)
    assert [source[i].id for i in range(2)] == ["img_2.jpg", "img_10.jpg"]
    assert [(w.text, w.ignore) for w in source[0].words] == [("$100,000", False), ("###", True)]


@pytest.mark.parametrize("line", ["1,2,3,4,5,6,7,8", "1,2,3,4,5,6,7,x,word", "word"])
def test_icdar_bad_line(line):
    with pytest.raises(DataError, match="gt.txt:1"):
        parse_icdar2015(line.encode(), "gt.txt")


def test_icdar_unpaired_files(tmp_path):
    write_image(tmp_path / "img_1.jpg")
    (tmp_path / "gt_img_2.txt").write_text("")
    with pytest.raises(
        DataError, match=r"gt_img_2.txt: has no image\nimg_1.jpg: has no gt_img_1.txt"
    ):
        ICDAR2015(tmp_path)


def test_unknown_layout(tmp_path):
    with pytest.raises(DataError, match=r"labels\.jsonl.*gt_"):
        Folder(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        Folder(tmp_path / "none")


@settings(deadline=None)
@given(st.integers(10, 60), st.floats(0.2, 0.8), st.integers(0, 5))
def test_parts_are_disjoint_and_complete(length, cut, seed):
    source = SyntheticScenes(length, size=(32, 32), words=(0, 0))
    parts = [Part(source, 0.0, cut, seed), Part(source, cut, 1.0, seed)]
    indices = np.concatenate([part.indices for part in parts])
    assert sorted(indices.tolist()) == list(range(length))


def test_real_icdar_images_and_their_own_text_format(tmp_path):
    """`det_ic15_train100`: known counts; written as ICDAR's files it reads the same."""
    source = LabelsFolder(data_set("det_ic15_train100"))
    assert len(source) == 100
    words = [word for _, image in source.items for word in image]
    assert len(words) == 1218 and sum(word.ignore for word in words) == 735
    for name, image in source.items[:3]:
        stem = name.rsplit("/", 1)[-1].removesuffix(".jpg")
        (tmp_path / f"{stem}.jpg").write_bytes(source.store.read(name))
        lines = [
            ",".join([*(str(int(v)) for v in word.polygon.flatten()), word.text]) for word in image
        ]
        data = b"\xef\xbb\xbf" + "\r\n".join(lines).encode()
        (tmp_path / f"gt_{stem}.txt").write_bytes(data)
    again = Folder(tmp_path)
    for index in range(3):
        ours, theirs = again[index], source[index]
        assert (ours.image == theirs.image).all()
        for a, b in zip(ours.words, theirs.words, strict=True):
            assert (a.text, a.ignore) == (b.text, b.ignore)
            assert (a.polygon == b.polygon).all()
