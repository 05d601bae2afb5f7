"""Zero-shot reading from a reader file, as `tools/read.py` does it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import ROOT
from PIL import Image
from test_tools import run

from ocrpretrain.backbones import CLIPResNet
from ocrpretrain.errors import CheckpointMismatchError, DataError
from ocrpretrain.heads import OCLIPHead
from ocrpretrain.reading import LexiconReader, read_lexicon
from ocrpretrain.weights.format import WeightsInfo, write_weights

NANO = dict(embed_dim=32, grid=(2, 2), text_width=16, text_heads=2, text_layers=1, decoder_layers=1)
LABELS = ["exit", "New York", "日本", "Sale"]
CHANGED = ["Café", "x" * 30]


def test_heads_that_rank_nothing(reader_file):
    with pytest.raises(CheckpointMismatchError, match="ranks nothing; leave --lexicon out"):
        LexiconReader(reader_file, LABELS)


@pytest.fixture
def files(tmp_path):
    """A reader file, a lexicon and a picture that is not square."""
    torch.manual_seed(0)
    trunk = dict(layers=(1, 1, 1, 1), width=8)
    backbone = CLIPResNet(**trunk)
    head = OCLIPHead(backbone.out_channels, backbone.strides, **NANO)
    model = torch.nn.ModuleDict({"backbone": backbone, "head": head})
    info = WeightsInfo(
        {"type": "ocrpretrain.backbones.CLIPResNet", **trunk},
        *(backbone.mean, backbone.std, backbone.strides, backbone.out_channels),
        head={"type": "ocrpretrain.heads.OCLIPHead", **NANO},
        view={"size": [64, 64]},
    )
    write_weights(tmp_path / "reader.safetensors", model.state_dict(), info)
    (tmp_path / "words.txt").write_text("\ufeff" + "\n".join([*LABELS, "", "exit"]) + "\n", "utf-8")
    noise = np.random.default_rng(0).integers(0, 255, (40, 90, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "picture.png")
    return tmp_path


def test_labels_are_ranked_by_their_cosine(files):
    reader = LexiconReader(files / "reader.safetensors", read_lexicon(files / "words.txt"))
    assert reader.unreadable == ["日本"]
    changed = LexiconReader(files / "reader.safetensors", [*LABELS, *CHANGED]).changed
    assert changed == CHANGED and reader.changed == []
    sample = reader.sample(files / "picture.png")
    assert sample.image.shape == (64, 64, 3) and sample.mask is not None
    ranking = reader.rank(sample, 5)
    assert {label for label, _ in ranking} == {"exit", "New York", "Sale"}
    head, batch = reader.head, reader.collator([sample])
    image = head.image_tokens(head.encode(reader.backbone, batch)).pooled[0]
    for label, score in ranking:
        words = reader.collator.lexicon(label.split())
        mean = head.encode_words(words["tokens"])[0].mean(0)
        assert score == pytest.approx(torch.cosine_similarity(image, mean, dim=0).item(), abs=1e-5)
    assert [score for _, score in ranking] == sorted((s for _, s in ranking), reverse=True)


def test_the_tool_prints_the_ranking_and_draws_it(files, monkeypatch, capsys):
    arguments = [files / "reader.safetensors", files / "picture.png"]
    options = ["--lexicon", str(files / "words.txt"), "--top", "2", "--save", str(files / "out")]
    assert run(monkeypatch, "read", *map(str, arguments), *options) == 0
    shown = capsys.readouterr().out
    assert "left out, no character in the charset: 日本" in shown
    assert shown.count("picture.png: ") == 1 and shown.count(", ") >= 1
    with Image.open(files / "out" / "picture_attention.png") as picture:
        assert picture.size[0] % 256 == 0 and picture.size[1] == 256 + 18


def test_mistakes_are_named(files):
    with pytest.raises(DataError, match="no word"):
        (files / "empty.txt").write_text("\n \n")
        read_lexicon(files / "empty.txt")
    with pytest.raises(DataError, match="no label of the lexicon"):
        LexiconReader(files / "reader.safetensors", ["日本"])
    with pytest.raises(CheckpointMismatchError, match="no such file"):
        LexiconReader(files / "none.safetensors", ["a"])
    reader = LexiconReader(files / "reader.safetensors", ["a"])
    with pytest.raises(DataError, match="not a readable image"):
        reader.sample(ROOT / "README.md")
