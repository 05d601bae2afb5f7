"""Weights files: strict in names and shapes, never half written, safe to load."""

from __future__ import annotations

import json
import pickle

import pytest
import torch
from conftest import ROOT
from safetensors.torch import load_file, save_file

from ocrpretrain import load_backbone, load_reader
from ocrpretrain.backbones import CLIPResNet
from ocrpretrain.data.inline import Inline
from ocrpretrain.data.page_tokenizer import train
from ocrpretrain.engine import pretrain
from ocrpretrain.environment import file_sha256
from ocrpretrain.errors import CheckpointMismatchError
from ocrpretrain.heads import CompressionHead, CTCHead
from ocrpretrain.weights.export import export, find_checkpoint
from ocrpretrain.weights.format import (
    WeightsInfo,
    initialise,
    load_strict,
    read_info,
    read_weights,
    write_weights,
)


def nano() -> torch.nn.ModuleDict:
    backbone = CLIPResNet((1, 1, 1, 1), 8)
    return torch.nn.ModuleDict({"backbone": backbone, "head": torch.nn.Linear(2, 2)})


INFO = WeightsInfo({"type": "x.Y"}, (0.1,) * 3, (0.2,) * 3, (4, 8, 16, 32), (32, 64, 128, 256))


def test_round_trip_is_bit_equal_and_keeps_what_it_is(tmp_path):
    model = nano()
    write_weights(tmp_path / "w.safetensors", model.state_dict(), INFO)
    assert read_info(tmp_path / "w.safetensors") == INFO
    other = nano()
    load_strict(other, read_weights(tmp_path / "w.safetensors"), "w")
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name])
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]


def test_every_mismatch_is_named():
    model = nano()
    tensors = dict(model.state_dict())
    tensors["backbone.trunk.conv9.weight"] = tensors.pop("backbone.trunk.conv1.weight")
    tensors["head.weight"] = torch.zeros(3, 2)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(CheckpointMismatchError) as error:
        load_strict(model, tensors, "file")
    text = str(error.value)
    assert "missing in the file: backbone.trunk.conv1.weight" in text
    assert "unexpected in the file: backbone.trunk.conv9.weight" in text
    assert "shape of head.weight: (3, 2) in the file, (2, 2) wanted" in text
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())


def test_foreign_and_broken_files_are_refused(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(CheckpointMismatchError, match="convert it first"):
        read_info(tmp_path / "foreign.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"no weights at all")
    for name, message in (("broken", "not a safetensors file"), ("none", "no such file")):
        with pytest.raises(CheckpointMismatchError, match=message):
            read_info(tmp_path / f"{name}.safetensors")
    metadata = {"ocrpretrain": json.dumps({"version": 99})}
    save_file({"a": torch.zeros(1)}, tmp_path / "newer.safetensors", metadata)
    with pytest.raises(CheckpointMismatchError, match="newer"):
        read_info(tmp_path / "newer.safetensors")


def test_exported_backbone_loads_and_a_transfer_file_is_no_reader(transfer_file):
    info = read_info(transfer_file)
    assert info.images_seen == 32 and info.head["type"] == "my_head.ColourHead"
    assert info.git and info.config_hash and "synthetic" in info.data
    backbone = load_backbone(transfer_file)
    assert not backbone.training and backbone.mean == info.mean
    names = load_file(transfer_file).keys()
    assert all(name.startswith("backbone.") for name in names)
    with pytest.raises(CheckpointMismatchError, match=r"holds no tensor head"):
        load_reader(transfer_file)


def test_card_and_record_lie_beside_an_export(transfer_file):
    record = json.loads(transfer_file.with_suffix(".record.json").read_text())
    assert record["weights_sha256"] == file_sha256(transfer_file)
    assert record["images_seen"] == 32 and record["config"]["head"]["type"] == "my_head.ColourHead"
    card = transfer_file.with_suffix(".md").read_text()
    assert record["weights_sha256"] in card and "ColourHead" in card


def test_a_checkpoint_that_does_not_fit_leaves_no_file(tmp_path, transfer_file):
    checkpoint = torch.load(find_checkpoint(transfer_file.parent / "run"), weights_only=True)
    state = checkpoint["state_dict"]
    state["backbone.trunk.conv9.weight"] = state.pop("backbone.trunk.conv1.weight")
    torch.save(checkpoint, tmp_path / "wrong.ckpt")
    with pytest.raises(CheckpointMismatchError, match="conv9"):
        export(tmp_path / "wrong.ckpt", tmp_path / "out.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["wrong.ckpt"]
    with pytest.raises(CheckpointMismatchError, match="no such checkpoint"):
        find_checkpoint(tmp_path)
    torch.save({"state_dict": {}}, tmp_path / "other.ckpt")
    with pytest.raises(CheckpointMismatchError, match="not written by a pretraining run"):
        export(tmp_path / "other.ckpt", tmp_path / "out.safetensors")


def test_init_takes_claimed_prefixes_strictly(tmp_path):
    source, target = nano(), nano()
    write_weights(tmp_path / "w.safetensors", source.state_dict(), INFO)
    file = str(tmp_path / "w.safetensors")
    before = target["head"].weight.clone()
    new = initialise(target, [{"file": file, "only": ["backbone.trunk.layer1"]}])
    assert torch.equal(target["head"].weight, before)
    layer = "trunk.layer1.0.conv1.weight"
    assert torch.equal(
        target["backbone"].get_parameter(layer), source["backbone"].get_parameter(layer)
    )
    assert "head.weight" in new and f"backbone.{layer}" not in new
    with pytest.raises(CheckpointMismatchError, match="layer9"):
        initialise(target, [{"file": file, "only": ["backbone.trunk.layer9"]}])
    wider = torch.nn.ModuleDict({"backbone": CLIPResNet((1, 1, 1, 1), 16)})
    with pytest.raises(CheckpointMismatchError, match="shape of"):
        initialise(wider, [{"file": file, "only": ["backbone."]}])


def test_a_reader_file_needs_no_other_file(tmp_path):
    """Neither its charset's nor its tokenizer's."""
    characters, reader = tmp_path / "characters.txt", tmp_path / "reader.safetensors"
    characters.write_text("äöü\nabc\n", "utf-8")
    options = {
        "head.charset": str(characters), "data.train.length": 16, "data.val.length": 4,
        "data.batch_size": 4, "data.num_workers": 0, "trainer.max_epochs": 1,
        "logger.mode": "disabled",
    }  # fmt: skip
    config = ROOT / "configs" / "pretrain" / "ctc_conv-nano_8e_synthetic-words.py"
    run = pretrain(config, options, work_dir=tmp_path / "run")
    export(find_checkpoint(run, "last"), reader, reader=True)
    characters.unlink()
    backbone, head = load_reader(reader)
    assert head.charset.characters == "äöüabc"
    other = CTCHead(backbone.out_channels, backbone.strides, charset=Inline("abcäöü"))
    module = torch.nn.ModuleDict({"backbone": backbone, "head": other})
    with pytest.raises(CheckpointMismatchError, match=r"head\.charset: another one"):
        initialise(module, [{"file": reader}])
    initialise(module, [{"file": reader, "only": ["backbone."]}])


def test_a_tokenizer_as_its_content(tmp_path):
    path = tmp_path / "tokenizer.json"
    train(["the cat sat on the mat\n"] * 20, 270, path)
    sizes = {"max_tokens": 20, "decoder": {"width": 16, "layers": 1, "heads": 2, "hidden": 16}}
    head = CompressionHead([8], [16], tokenizer=str(path), **sizes)
    path.unlink()
    again = CompressionHead([8], [16], tokenizer=Inline(head.files()["tokenizer"]), **sizes)
    copied = pickle.loads(pickle.dumps(again.collator()))
    assert copied.tokenizer.encode("the mat") == head.tokenizer.encode("the mat")
