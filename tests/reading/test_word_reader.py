"""Words of pictures from a reader file: one by one, tall ones turned, with attention."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ocrpretrain.data.sources.base import AnnotatedImage, Word
from ocrpretrain.errors import CheckpointMismatchError, ConfigError, DataError
from ocrpretrain.heads.base import Prediction
from ocrpretrain.reading import WordFileReader, words
from ocrpretrain.reading.words import as_word


def item(height: int, width: int, seed: int = 0) -> AnnotatedImage:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return AnnotatedImage(image, [], f"{seed}")


def test_answers_do_not_depend_on_the_batch(reader_file):
    items = [item(32, 70, seed) for seed in range(5)]
    together = list(WordFileReader(reader_file, batch_size=5).read(items))
    alone = list(WordFileReader(reader_file, batch_size=1).read(items))
    assert [a.id for a in together] == ["0", "1", "2", "3", "4"]
    assert len({a.text for a in together}) > 1
    for a, b in zip(together, alone, strict=True):
        assert a.text == b.text and a.score == pytest.approx(b.score, rel=1e-3)
        assert a.branches.keys() == b.branches.keys()


def test_half_precision(reader_file):
    """Features are about the same; what an untrained head makes of them is not."""
    found = []
    for half in (False, True):
        reader = WordFileReader(reader_file, half=half)
        batch = reader.collate(reader.samples(item(32, 70)))
        found.append(reader.head.encode(reader.backbone, batch).maps[-1])
        assert len(list(reader.read([item(32, 70)]))) == 1
    whole, half = found
    assert half.dtype == torch.bfloat16 and not torch.equal(half.float(), whole)
    assert (half.float() - whole).norm() < 0.05 * whole.norm()


def test_labels_come_along(reader_file):
    labelled = as_word(item(32, 70).image, "x")
    labelled.words[0] = labelled.words[0].__class__("exit", labelled.words[0].polygon)
    found = list(WordFileReader(reader_file).read([labelled, item(32, 70)]))
    assert [answer.label for answer in found] == ["exit", ""]


def test_tall_pictures_are_read_turned_where_asked(reader_file, monkeypatch):
    """The most confident of three counts; here that of the picture whose left half is bright."""
    reader = WordFileReader(reader_file, upright=True)

    def predict(features, batch):
        scores = batch["image"][..., :32].float().mean((1, 2, 3)).tolist()
        return Prediction(["x"] * len(scores), scores, [])

    monkeypatch.setattr(reader.head, "predict", predict)
    tall = np.zeros((90, 30, 3), np.uint8)
    tall[45:] = 250
    wide = np.zeros((30, 90, 3), np.uint8)
    answers = list(reader.read(AnnotatedImage(x, [], "") for x in (tall, tall[::-1], wide)))
    assert [len(reader.samples(AnnotatedImage(x, [], ""))) for x in (tall, wide)] == [3, 1]
    assert [round(answer.score) for answer in answers] == [250, 250, 0]
    reader.upright = False
    assert round(next(iter(reader.read([AnnotatedImage(tall, [], "")]))).score) == 125


def test_several_words_are_refused_and_one_is_cut_out(reader_file):
    reader = WordFileReader(reader_file, upright=True)
    page = np.zeros((300, 900, 3), np.uint8)
    page[60:180, 40:80] = np.arange(120, dtype=np.uint8)[:, None, None]  # a tall word, in a scene
    corners = np.array([[40, 60], [80, 60], [80, 180], [40, 180]], np.float32)
    word = Word("日", corners)  # of a script that may stand upright
    first, *turned = reader.samples(AnnotatedImage(page, [word], "x"))
    assert len(turned) == 2 and first.image.mean() > 40
    # Turned to the left, what was above is on the left.
    assert turned[0].image[:, :8].mean() < 10 < 100 < turned[1].image[:, :8].mean()
    with pytest.raises(DataError, match="x: 2 words; readers of words take pictures of one"):
        reader.samples(AnnotatedImage(page, [word, word], "x"))


def test_pictures_are_drawn_as_they_were_read(reader_file, monkeypatch):
    reader = WordFileReader(reader_file, upright=True)
    if type(reader.head).__name__ == "CTCHead":
        return
    drawn, predict = [], reader.head.predict

    def prefer_the_last(features, batch):
        found = predict(features, batch)
        count = len(found.texts)
        return found._replace(scores=[float(n) for n in range(count)], counts={"cut_texts": 1})

    monkeypatch.setattr(reader.head, "predict", prefer_the_last)
    monkeypatch.setattr(words, "draw_words", lambda image, *_: drawn.append(image) or image)
    tall = item(90, 30)
    reader.picture(tall)
    assert np.array_equal(drawn[0], reader.samples(tall)[-1].image)
    assert not reader.counts  # what was read counts, not what is drawn of it


def test_pictures_of_attention(reader_file):
    reader = WordFileReader(reader_file)
    if type(reader.head).__name__ == "CTCHead":
        with pytest.raises(ConfigError, match="draws no attention"):
            reader.picture(item(32, 70))
        return
    (answer,) = reader.read([item(32, 70)])
    picture = reader.picture(item(32, 70), columns=100)
    tiles = 2 + len(answer.branches["visual"][0])  # the picture, its characters, the class token
    assert picture.dtype == np.uint8 and tiles > 2
    assert picture.shape[1] % tiles == 0, (picture.shape, answer)


def test_a_reader_of_something_else_is_refused(tmp_path):
    from test_lexicon import NANO
    from torch.nn import ModuleDict

    from ocrpretrain.backbones import CLIPResNet
    from ocrpretrain.heads import OCLIPHead
    from ocrpretrain.weights.format import WeightsInfo, write_weights

    trunk = dict(layers=(1, 1, 1, 1), width=8)
    backbone = CLIPResNet(**trunk)
    head = OCLIPHead(backbone.out_channels, backbone.strides, **NANO)
    info = WeightsInfo(
        {"type": "ocrpretrain.backbones.CLIPResNet", **trunk},
        *(backbone.mean, backbone.std, backbone.strides, backbone.out_channels),
        head={"type": "ocrpretrain.heads.OCLIPHead", **NANO},
        view={"size": [64, 64]},
    )
    model = ModuleDict({"backbone": backbone, "head": head})
    write_weights(tmp_path / "oclip.safetensors", model.state_dict(), info)
    with pytest.raises(CheckpointMismatchError, match="reads no words; see --lexicon"):
        WordFileReader(tmp_path / "oclip.safetensors")
