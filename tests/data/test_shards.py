"""Shards hold what was put in, whole or not at all, and are read in any order by any process."""

from __future__ import annotations

import hashlib
import io
import json
import multiprocessing
import pickle
import random
import signal
import tarfile
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import webdataset
from conftest import data_set

from ocrpretrain.data import Folder, LabelsFolder, OCRDataModule, Part, Shards
from ocrpretrain.data.prepare import index as index_module
from ocrpretrain.data.prepare.folder import write_folder
from ocrpretrain.data.prepare.shards import write_shards
from ocrpretrain.data.sources.base import AnnotatedImage, Source, Word
from ocrpretrain.errors import DataError

QUAD = np.array([[2, 3], [30, 3], [30, 14], [2, 14]], np.float32)


class Squares(Source):
    """Coloured pictures with all that a label can hold; `pause` seconds are spent on each."""

    def __init__(self, length: int, pause: float = 0.0, fail: int = -1) -> None:
        self.length, self.pause, self.fail = length, pause, fail

    def __len__(self) -> int:
        return self.length

    def read(self, index, needs=None):
        time.sleep(self.pause)
        if index == self.fail:
            raise DataError(f"square {index} cannot be read")
        colour = np.random.default_rng(index).integers(0, 255, 3)
        image = np.broadcast_to(colour, (20, 40, 3)).astype(np.uint8)
        characters = QUAD[None] + np.arange(2, dtype=np.float32)[:, None, None]
        words = [
            Word(f"{index % 10}é", QUAD + index % 5, False, "fr", 1, characters),
            Word("###", QUAD, True),
            Word("weak"),
        ]
        return AnnotatedImage(image.copy(), words, f"square-{index}")


def same(ours: AnnotatedImage, theirs: AnnotatedImage, tolerance: float = 2.0) -> None:
    assert ours.id == theirs.id
    assert np.abs(ours.image.astype(int) - theirs.image).max() <= tolerance
    for a, b in zip(ours.words, theirs.words, strict=True):
        assert (a.text, a.ignore, a.language, a.order) == (b.text, b.ignore, b.language, b.order)
        for x, y in ((a.polygon, b.polygon), (a.characters, b.characters)):
            assert (x is None and y is None) or np.allclose(x, y, atol=0.01)


def files(folder: Path) -> dict[str, str]:
    """Checksums of everything but temporary files and the lock."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.glob("*")
        if path.suffix != ".part" and path.name != ".lock"
    }


def write_tar(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


PICTURE = cv2.imencode(".png", np.full((8, 16, 3), 90, np.uint8))[1].tobytes()


@pytest.mark.parametrize("per_shard", [4, 5, 100])
def test_written_shards_read_back_in_any_order(tmp_path, per_shard):
    source = Squares(10)
    shards = Folder(write_shards(source, tmp_path / "set", per_shard))
    assert isinstance(shards, Shards) and len(shards) == 10
    assert len(list((tmp_path / "set").glob("*.tar"))) == -(-10 // per_shard)
    for index in (7, 0, 9, 3, 4, 5):
        same(shards[index], source[index])
    same(pickle.loads(pickle.dumps(shards))[2], source[2])
    with pytest.raises(IndexError):
        shards[10]
    sums = (tmp_path / "set" / "SHA256SUMS").read_text().splitlines()
    for line in sums:
        checksum, name = line.split("  ")
        assert files(tmp_path / "set")[name] == checksum


def test_jpeg_files_are_not_encoded_again(tmp_path):
    source = LabelsFolder(data_set("det_ic15_train100"))
    shards = Shards(write_shards(Folder(source.store.root), tmp_path / "set"))
    for index in range(0, 100, 25):
        same(shards[index], source[index], tolerance=0)
    part = Part(shards, 0, 0.05)
    again = Folder(write_folder(part, tmp_path / "part", quality=50))
    assert len(again) == 5 and (again[3].image == part[3].image).all()


def test_webdataset_reads_our_shards(tmp_path):
    source = Squares(7)
    write_shards(source, tmp_path, per_shard=3)
    urls = sorted(map(str, tmp_path.glob("*.tar")))
    found = list(webdataset.WebDataset(urls, shardshuffle=False).decode("rgb8"))
    assert [sample["__key__"] for sample in found] == [f"{index:09d}" for index in range(7)]
    for index, sample in enumerate(found):
        assert np.abs(sample["jpg"].astype(int) - source[index].image).max() <= 2
        assert [word["text"] for word in sample["json"]["words"]] == [f"{index}é", "###", "weak"]


def test_webdatasets_own_shards_are_read(tmp_path):
    with webdataset.TarWriter(str(tmp_path / "words-0.tar")) as writer:
        for index, text in enumerate(["STOP", "naïve"]):
            writer.write({"__key__": f"a/{index}", "png": PICTURE, "txt": text})
    shards = Folder(tmp_path)
    assert [(item.id, item.words[0].text) for item in shards] == [("a/0", "STOP"), ("a/1", "naïve")]
    assert shards[0].words[0].polygon.tolist() == [[0, 0], [16, 0], [16, 8], [0, 8]]


def test_an_index_is_built_once_and_only_for_whole_names(tmp_path, monkeypatch):
    write_tar(tmp_path / "0.tar", {"b.png": PICTURE, "b.txt": b"two\n"})
    (tmp_path / "1.tar.part").write_bytes(b"half")
    (tmp_path / "0.idx.77.part").write_bytes(b"half")
    first = Shards(tmp_path)
    assert len(first) == 1 and first[0].words[0].text == "two"
    written = (tmp_path / "0.idx").stat()
    assert Shards(tmp_path).fingerprint() == first.fingerprint()
    assert (tmp_path / "0.idx").stat().st_mtime_ns == written.st_mtime_ns
    write_tar(tmp_path / "0.tar", {"b.png": PICTURE, "b.txt": b"new"})
    (tmp_path / "0.idx").unlink()
    assert Shards(tmp_path)[0].words[0].text == "new"
    assert Shards(tmp_path).fingerprint() != first.fingerprint()


def test_a_read_only_folder_keeps_its_index_in_memory(tmp_path, monkeypatch, capsys):
    def refuse(path, text):
        raise PermissionError(13, "Permission denied")

    write_tar(tmp_path / "0.tar", {"b.png": PICTURE, "b.txt": b"two"})
    monkeypatch.setattr(index_module, "write_whole", refuse)
    assert Shards(tmp_path)[0].words[0].text == "two"
    assert "kept in memory (Permission denied)" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["0.tar"]


def test_broken_samples_are_named_and_other_files_are_counted(tmp_path, capsys):
    good = {f"{i}.PNG": PICTURE for i in range(8)} | {f"{i}.txt": b"x" for i in range(8)}
    bad = {"no.png": PICTURE, "one.txt": b"x", "two.png": PICTURE, "two.jpg": PICTURE}
    other = {"0.cls": b"1", "README": b"hello", "3.json": b'{"caption": "of another tool"}'}
    write_tar(tmp_path / "0.tar", good | bad | {"two.txt": b"x"} | other)
    with pytest.raises(DataError, match="3 of 11 entries") as error:
        Shards(tmp_path)
    for line in (
        "'no' has 1 pictures and 0 labels",
        "'one' has 0 pictures",
        "'two' has 2 pictures",
    ):
        assert f"0.tar: {line}" in str(error.value)
    assert len(Shards(tmp_path, max_bad=0.3)) == 8
    shown = capsys.readouterr().out
    assert "left out 3 of 11" in shown and "2 files in the tars are neither" in shown


@pytest.mark.parametrize("cut", [100, 512, 700, 1024, 9000])
def test_a_cut_tar_is_named(tmp_path, cut):
    write_tar(tmp_path / "0.tar", {"b.png": PICTURE, "b.txt": b"two"})
    data = (tmp_path / "0.tar").read_bytes()
    with pytest.raises(DataError, match="0.tar: not a whole tar"):
        (tmp_path / "0.tar").write_bytes(data[:-cut] if cut == 9000 else data[:cut])
        Shards(tmp_path)


def test_a_tar_and_an_index_that_do_not_belong_together(tmp_path):
    folder = write_shards(Squares(4), tmp_path / "set", per_shard=2)
    tar, index = folder / "000001.tar", folder / "000001.idx"
    data = tar.read_bytes()
    tar.write_bytes(data + bytes(512))
    with pytest.raises(DataError, match=r"000001.tar: has \d+ bytes"):
        Shards(folder)
    tar.write_bytes(data[:600] + b"x" + data[601:])
    assert len(Shards(folder)) == 4
    with pytest.raises(DataError, match="000001.tar: .* checksums differ"):
        Shards(folder, verify=True)
    tar.write_bytes(data)
    assert len(Shards(folder, verify=True)) == 4
    for broken in ("{", "[]", '{"size": 1}'):
        index.write_text(broken)
        with pytest.raises(DataError, match="000001.idx: damaged"):
            Shards(folder)


def test_a_bad_row_is_reported_when_it_is_met(tmp_path):
    members = {f"{i}.png": PICTURE for i in range(20)}
    members |= {f"{i}.json": b'{"words": []}' for i in range(20)} | {"7.json": b'{"words": 1}'}
    members |= {"8.json": b"\xff", "9.png": b"none"}
    write_tar(tmp_path / "0.tar", members)
    shards = Shards(tmp_path)
    for index, message in ((7, "a list 'words'"), (8, "not UTF-8"), (9, "not a readable image")):
        with pytest.raises(DataError, match=rf"0.tar: '{index}'.*{message}"):
            shards[index]
    options = dict(view={"size": 32}, batch_size=20, collator=list)
    data = OCRDataModule(shards, shards, **options, max_bad=0.15)
    ((samples),) = data.train_dataloader()
    assert sum(sample.replaced > 0 for sample in samples) == 3
    with pytest.raises(DataError, match="3 of 20 entries are unusable"):
        list(OCRDataModule(shards, shards, **options, max_bad=0.1).train_dataloader())


def test_a_forked_process_opens_its_own_files(tmp_path):
    shards = Shards(write_shards(Squares(4), tmp_path / "set", per_shard=2))
    same(shards[0], shards[0])
    context = multiprocessing.get_context("fork")
    with context.Pool(2) as pool:
        found = pool.map(shards.read, range(4))
    for index, item in enumerate(found):
        same(item, shards[index])


@pytest.mark.parametrize(("workers", "seed"), [(1, 0), (1, 1), (2, 2)])
def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(tmp_path, workers, seed):
    source = Squares(40, pause=0.005)
    whole = write_shards(source, tmp_path / "whole", per_shard=6)
    folder, rng, killed = tmp_path / "killed", random.Random(seed), 0
    context = multiprocessing.get_context("fork")
    for shards in range(5):
        before = files(folder)
        process = context.Process(target=write_shards, args=(source, folder, 6, workers))
        process.start()
        while len(list(folder.glob("*.tar"))) < shards and process.is_alive():
            time.sleep(0.001)
        time.sleep(rng.uniform(0.0, 0.03))
        process.kill()
        process.join()
        killed += process.exitcode == -signal.SIGKILL
        assert before.items() <= files(folder).items() <= files(whole).items()
    assert killed > 2
    write_shards(source, folder, 6, workers)
    assert files(folder) == files(whole)
    assert not list(folder.glob("*.part"))


def test_other_arguments_or_a_second_writer_are_refused(tmp_path):
    folder = write_shards(Squares(4), tmp_path / "set", per_shard=2)
    for source, options in ((Squares(5), {}), (Squares(4), {"quality": 50})):
        with pytest.raises(DataError, match=r"begun with another .*(count 4, now 5|quality 92)"):
            write_shards(source, folder, per_shard=2, **options)
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="not empty"):
        write_shards(Squares(4), tmp_path)
    held = multiprocessing.get_context("fork").Process(
        target=write_shards, args=(Squares(50, pause=0.1), tmp_path / "held")
    )
    held.start()
    while not (tmp_path / "held" / "source.json").exists():
        time.sleep(0.01)
    with pytest.raises(DataError, match="by another process"):
        write_shards(Squares(50), tmp_path / "held")
    held.kill()
    held.join()


def test_workers_write_the_same_and_pass_on_errors(tmp_path):
    folder = write_shards(Squares(20), tmp_path / "one", per_shard=3)
    assert files(write_shards(Squares(20), tmp_path / "two", 3, workers=2)) == files(folder)
    with pytest.raises(DataError, match="square 7 cannot be read"):
        write_shards(Squares(20, fail=7), tmp_path / "bad", 3, workers=2)
    with pytest.raises(DataError, match=r"bad: holds \d+ of 20 images"):
        Shards(tmp_path / "bad")
    # Mended, the same call goes on.
    assert files(write_shards(Squares(20), tmp_path / "bad", 3, workers=2)) == files(folder)


def test_workers_end_with_their_parent(tmp_path):
    context = multiprocessing.get_context("fork")
    arguments = (Squares(400, pause=0.05), tmp_path / "set", 100, 2)
    parent = context.Process(target=write_shards, args=arguments)
    parent.start()
    while len(list((tmp_path / "set").glob("*.tar.part"))) < 2:
        assert parent.is_alive()
        time.sleep(0.02)
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
    assert len(children) == 2
    parent.kill()
    parent.join()
    deadline = time.monotonic() + 5
    while any(Path(f"/proc/{child}/fd/0").exists() for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert not list((tmp_path / "set").glob("*.tar"))


def collate(samples):
    return {"id": [sample.id for sample in samples]}


def loader(folder: Path, state: dict[str, int] | None = None):
    shards = Shards(folder)
    data = OCRDataModule(shards, shards, {"size": 32}, 4, num_workers=2, collator=collate)
    if state:
        data.load_state_dict(state)
    return data, data.train_dataloader()


def test_stopped_in_an_epoch_no_image_comes_twice_and_none_is_lost(tmp_path):
    folder = write_shards(Squares(40), tmp_path / "set", per_shard=7)
    for stop in (1, 3, 9):
        data, batches = loader(folder)
        taken = [next(it)["id"] for it in [iter(batches)] for _ in range(stop)]
        state = json.loads(json.dumps(data.state_dict()))
        _, rest = loader(folder, state)
        seen = [name for batch in [*taken, *(batch["id"] for batch in rest)] for name in batch]
        assert sorted(seen) == sorted(f"square-{index}" for index in range(40))


def test_memory_per_image_is_small(tmp_path):
    shards = Shards(write_shards(Squares(50), tmp_path / "set", per_shard=50))
    assert len(pickle.dumps(shards)) < 50 * 70 + 2000


def test_a_folder_with_labels_stays_a_folder(tmp_path):
    folder = write_folder(Squares(2), tmp_path / "set")
    write_tar(folder / "0.tar", {"b.png": PICTURE, "b.txt": b"two"})
    assert isinstance(Folder(folder), LabelsFolder)
