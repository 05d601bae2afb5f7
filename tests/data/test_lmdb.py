"""PARSeq's layout: what was written reads back, in every process; scenes are refused."""

from __future__ import annotations

import multiprocessing
import pickle

import lmdb
import numpy as np
import pytest
from conftest import data_set

from ocrpretrain.data import Folder, LabelsFolder, LMDBWords, OCRDataModule
from ocrpretrain.data.prepare import lmdb as writer
from ocrpretrain.data.prepare.lmdb import write_lmdb
from ocrpretrain.data.sources import lmdb_words
from ocrpretrain.data.sources.base import AnnotatedImage, Source, Word
from ocrpretrain.errors import DataError


class Crops(Source):
    """Pictures of one word each, or of what `words` says."""

    def __init__(self, length: int, words: list[Word] | None = None) -> None:
        self.length, self.words = length, words

    def __len__(self) -> int:
        return self.length

    def read(self, index, needs=None):
        image = np.full((8, 24, 3), index % 250, np.uint8)
        words = [Word(f"wörd{index}")] if self.words is None else self.words
        return AnnotatedImage(image, words, f"crop-{index}")


def entries(folder) -> dict[bytes, bytes]:
    with lmdb.open(str(folder), readonly=True, lock=False) as environment:
        with environment.begin() as transaction:
            return dict(transaction.cursor())


def change(folder, key: bytes, value: bytes | None) -> None:
    """Overwrite or delete one entry."""
    lmdb_words._environment.cache_clear()  # LMDB opens a folder once per process
    with lmdb.open(str(folder)) as environment, environment.begin(write=True) as transaction:
        transaction.delete(key) if value is None else transaction.put(key, value)


@pytest.mark.parametrize("workers", [1, 2])
def test_written_words_read_back(tmp_path, workers):
    folder = write_lmdb(Crops(12), tmp_path / "set", workers=workers)
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    assert [path.name for path in folder.iterdir()] == ["data.mdb"]
    words = Folder(folder)
    assert isinstance(words, LMDBWords) and len(words) == 12
    for index in (5, 0, 11):
        item = words[index]
        assert abs(int(item.image.mean()) - index) <= 2
        assert item.id == f"image-{index + 1:09d}"
        (word,) = item.words
        assert word.text == f"wörd{index}"
        assert word.outline.tolist() == [[0, 0], [24, 0], [24, 8], [0, 8]]
    assert len(list(words)) == 12


def test_the_keys_are_parseqs(tmp_path):
    found = entries(write_lmdb(Crops(2), tmp_path / "set"))
    assert sorted(found) == [
        *(b"image-000000001", b"image-000000002", b"label-000000001", b"label-000000002"),
        b"num-samples",
    ]
    assert found[b"num-samples"] == b"2" and found[b"label-000000002"] == "wörd1".encode()
    assert found[b"image-000000001"].startswith(b"\xff\xd8")


def test_the_map_grows_over_several_commits(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "COMMIT_EVERY", 7)
    small = write_lmdb(Crops(300), tmp_path / "small", map_size=2**15)
    assert (small / "data.mdb").stat().st_size > 2**17
    assert entries(small) == entries(write_lmdb(Crops(300), tmp_path / "large"))


def test_two_sources_and_forked_workers_share_a_folder(tmp_path):
    folder = write_lmdb(Crops(16), tmp_path / "set")
    words, again = LMDBWords(folder), pickle.loads(pickle.dumps(LMDBWords(folder)))
    assert words[3].words[0].text == again[3].words[0].text  # both open in this process
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert [item.words[0].text for item in pool.map(words.read, [1, 9])] == ["wörd1", "wörd9"]
    data = OCRDataModule(words, again, {"size": 32}, 4, num_workers=2, collator=list)
    samples = [sample for batch in data.train_dataloader() for sample in batch]
    assert sorted(sample.id for sample in samples) == [f"image-{i:09d}" for i in range(1, 17)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "crop-0: has 0 legible of 0 words"),
        ([Word("a"), Word("b")], "has 2 legible of 2 words"),
        ([Word("###", ignore=True)], "has 0 legible of 1 words"),
    ],
)
def test_scenes_are_refused_and_leave_nothing(tmp_path, words, message):
    with pytest.raises(DataError, match=rf"{message}.*cut crops first \(WordCrops\)"):
        write_lmdb(Crops(3, words), tmp_path / "set")
    assert not (tmp_path / "set").exists()
    # What is left of an attempt is in nobody's way.
    assert len(LMDBWords(write_lmdb(Crops(3), tmp_path / "set"))) == 3
    with pytest.raises(DataError, match="exists"):
        write_lmdb(Crops(3), tmp_path / "set")


def test_unusable_databases_and_entries_are_named(tmp_path):
    with pytest.raises(DataError, match=r"none: holds no data\.mdb"):
        LMDBWords(tmp_path / "none")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "data.mdb").write_bytes(b"x" * 9000)
    with pytest.raises(DataError, match="bad: not a readable LMDB"):
        LMDBWords(tmp_path / "bad")
    folder = write_lmdb(Crops(4), tmp_path / "set")
    before = LMDBWords(folder).fingerprint()
    change(folder, b"label-000000001", b"\xff")
    change(folder, b"image-000000002", b"x")
    change(folder, b"label-000000003", None)
    change(folder, b"num-samples", b"5")
    words = LMDBWords(folder)
    assert words.fingerprint() != before and len(words) == 5
    for index, message in enumerate(
        ["label-000000001: not UTF-8", "'image-000000002' is not a readable image"]
        + ["no entry 'label-000000003'", None, "no entry 'label-000000005'"]
    ):
        if message:
            with pytest.raises(DataError, match=f"set: .*{message}|set: {message}"):
                words[index]
    for count in (None, b"0", b"many"):
        change(folder, b"num-samples", count)
        with pytest.raises(DataError, match="num-samples"):
            LMDBWords(folder)


def test_real_words_keep_their_jpegs(tmp_path):
    source = LabelsFolder(data_set("rec_svt_train"))
    words = LMDBWords(write_lmdb(source, tmp_path / "set"))
    assert len(words) == len(source) == 257
    for index in (0, 100, 256):
        assert (words[index].image == source[index].image).all()
        assert words[index].words[0].text == source[index].words[0].text
