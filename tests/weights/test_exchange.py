"""Weights of other projects: recognised by keys, converted bit for bit, refused by name."""

from __future__ import annotations

import os
import pickle

import open_clip
import pytest
import torch
from conftest import golden, section
from safetensors.torch import save_file
from test_tools import run

from ocrpretrain import load_backbone, load_reader
from ocrpretrain.backbones import CLIPResNet
from ocrpretrain.errors import CheckpointMismatchError, ConfigError
from ocrpretrain.weights.convert import OCLIP_PREFIXES, to_mmocr_clip_resnet
from ocrpretrain.weights.exchange import export_weights, import_weights
from ocrpretrain.weights.foreign import read_state
from ocrpretrain.weights.format import WeightsInfo, read_info, read_weights, write_weights

NANO = dict(layers=(1, 2, 1, 1), width=8)


@pytest.fixture
def ours(tmp_path):
    """A weights file of a random nano trunk."""
    backbone = CLIPResNet(**NANO)
    info = WeightsInfo(
        {"type": "ocrpretrain.backbones.CLIPResNet", **NANO},
        *(backbone.mean, backbone.std, backbone.strides, backbone.out_channels),
    )
    tensors = {f"backbone.{name}": t for name, t in backbone.state_dict().items()}
    write_weights(tmp_path / "ours.safetensors", tensors, info)
    return tmp_path / "ours.safetensors"


def equal(a, b) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.golden
@pytest.mark.parametrize("prefix", ["", "module."])
def test_official_oclip_becomes_a_reader_file(tmp_path, prefix):
    tensors, details = golden("oclip")
    state = {prefix + key: t for key, t in section(tensors, "weight/").items()}
    torch.save({"epoch": 1, "name": "x", "state_dict": state}, tmp_path / "any_name.bin")
    sizes = details["config"]
    heads = dict(text_heads=sizes["transformer_heads"], pool_heads=sizes["vision_width"] * 32 // 64)
    out = tmp_path / "out.safetensors"
    kind, info = import_weights(tmp_path / "any_name.bin", out, head_options=heads)
    assert kind == "oclip" and info.head["compat"] == "official"
    backbone, head = load_reader(out)
    model = torch.nn.ModuleDict({"backbone": backbone, "head": head}).state_dict()
    assert len(model) == len(state)
    for key, tensor in section(tensors, "weight/").items():
        start = max((p for p in OCLIP_PREFIXES if key.startswith(p)), key=len)
        assert torch.equal(model[OCLIP_PREFIXES[start] + key.removeprefix(start)], tensor), key
    card = (tmp_path / "out.md").read_text()
    assert "converted from oclip" in card and "sha256" in card


def test_mmocr_there_and_back_is_bit_equal(tmp_path, ours, capsys):
    assert export_weights(ours, tmp_path / "mmocr.pth", "mmocr") == len(read_weights(ours))
    state = torch.load(tmp_path / "mmocr.pth", weights_only=True)
    assert equal(state, to_mmocr_clip_resnet(read_weights(ours, "backbone.")))
    kind, _ = import_weights(tmp_path / "mmocr.pth", tmp_path / "back.safetensors")
    assert kind == "mmocr"
    assert equal(read_weights(tmp_path / "back.safetensors"), read_weights(ours))
    detector = {f"backbone.{key}": t for key, t in state.items()} | {"neck.x": torch.zeros(1)}
    torch.save({"meta": {}, "state_dict": detector}, tmp_path / "detector.pth")
    statistics = ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    kind, info = import_weights(tmp_path / "detector.pth", tmp_path / "d.safetensors", *statistics)
    assert "left behind, no part of ours: 1 tensors" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="together"):
        import_weights(tmp_path / "detector.pth", tmp_path / "x.safetensors", mean=(0.5,) * 3)
    half = {k: t.half() if t.is_floating_point() else t for k, t in state.items()}
    torch.save(half, tmp_path / "half.pth")
    import_weights(tmp_path / "half.pth", tmp_path / "half.safetensors")
    assert "stored as float32: " in capsys.readouterr().out
    assert kind == "mmocr-detector" and (info.mean, info.std) == statistics
    assert equal(read_weights(tmp_path / "d.safetensors"), read_weights(ours))
    assert load_backbone(tmp_path / "d.safetensors").mean == statistics[0]


@pytest.mark.mmocr
def test_the_published_size_fits_mmocrs_own_class(tmp_path):
    from ocrpretrain.transfer.mmocr import register

    register()
    from mmocr.models.common.backbones import CLIPResNet as Theirs

    theirs = Theirs(depth=50)
    theirs.eval()  # returns nothing in mmdet
    save_file(theirs.state_dict(), tmp_path / "theirs.safetensors")
    import_weights(tmp_path / "theirs.safetensors", tmp_path / "ours.safetensors")
    assert export_weights(tmp_path / "ours.safetensors", tmp_path / "back.pth", "mmocr") == 330
    assert equal(torch.load(tmp_path / "back.pth", weights_only=True), theirs.state_dict())
    # As an unmodified MMOCR config loads it.
    other = Theirs(
        depth=50, init_cfg=dict(type="Pretrained", checkpoint=str(tmp_path / "back.pth"))
    )
    other.init_weights()
    assert equal(other.state_dict(), theirs.state_dict())
    image = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        maps = load_backbone(tmp_path / "ours.safetensors")(image).maps
        assert all(torch.equal(a, b) for a, b in zip(maps, theirs(image), strict=True))


@pytest.mark.slow
def test_open_clip_loads_what_we_write(tmp_path):
    theirs = open_clip.create_model("RN50", pretrained=None)
    save_file(theirs.state_dict(), tmp_path / "clip.safetensors")
    kind, info = import_weights(tmp_path / "clip.safetensors", tmp_path / "ours.safetensors")
    assert kind == "clip" and info.backbone["layers"] == [3, 4, 6, 3]
    tensors = {k: t + 1 for k, t in read_weights(tmp_path / "ours.safetensors").items()}
    write_weights(tmp_path / "trained.safetensors", tensors, info)
    with pytest.raises(ConfigError, match="--base"):
        export_weights(tmp_path / "trained.safetensors", tmp_path / "x.pt", "open_clip")
    base = tmp_path / "clip.safetensors"
    export_weights(tmp_path / "trained.safetensors", tmp_path / "x.pt", "open_clip", base)
    loaded = open_clip.create_model("RN50", pretrained=str(tmp_path / "x.pt"))
    back = loaded.state_dict()
    for name, tensor in tensors.items():
        assert torch.equal(back["visual." + name.removeprefix("backbone.trunk.")], tensor)
    assert torch.equal(back["text_projection"], theirs.state_dict()["text_projection"])


BROKEN = {
    "wrong key": (lambda s: s | {"layer1.0.conv9.weight": torch.zeros(1)}, "unexpected.*conv9"),
    "missing key": (lambda s: {k: t for k, t in s.items() if "bn3.bias" not in k}, "missing.*bn3"),
    "wrong shape": (lambda s: s | {"stem.3.weight": torch.zeros(2, 2)}, "shape of .*conv2.weight"),
    "no stage": (lambda s: {k: t for k, t in s.items() if "layer3" not in k}, "stage 3"),
    "foreign": (lambda s: {"a.weight": torch.zeros(1)}, "neither oCLIP"),
    "not tensors": (lambda s: s | {"epoch": 3}, "not tensors: epoch"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_does_not_fit_is_named_and_leaves_no_file(tmp_path, ours, case):
    change, message = BROKEN[case]
    state = to_mmocr_clip_resnet(read_weights(ours, "backbone."))
    torch.save(change(dict(state)), tmp_path / "broken.pth")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(CheckpointMismatchError, match=message):
        import_weights(tmp_path / "broken.pth", tmp_path / "out.safetensors")
    assert sorted(tmp_path.iterdir()) == before


def test_files_that_could_run_code_or_are_no_weights_are_refused(tmp_path, ours):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    torch.save({"stem.0.weight": torch.zeros(1)}, tmp_path / "whole.pth")
    torch.save({"state_dict": Evil()}, tmp_path / "evil.pth")
    (tmp_path / "pickled.pth").write_bytes(pickle.dumps(Evil()))
    (tmp_path / "half.pth").write_bytes((tmp_path / "whole.pth").read_bytes()[:200])
    (tmp_path / "empty.pth").write_bytes(b"")
    (tmp_path / "text.pth").write_text("hello")
    torch.jit.save(torch.jit.script(torch.nn.ReLU()), tmp_path / "script.pt")
    for name, message in (
        ("evil.pth", "could run code"),
        ("pickled.pth", "could run code"),
        ("half.pth", "truncated"),
        ("empty.pth", "truncated"),
        ("text.pth", "no weights file"),
        ("script.pt", "could run code|no weights file"),
        ("none.pth", "no such file"),
    ):
        with pytest.raises(CheckpointMismatchError, match=message):
            read_state(tmp_path / name)
    assert not (tmp_path / "ran").exists()
    with pytest.raises(CheckpointMismatchError, match="of ours already"):
        import_weights(ours, tmp_path / "again.safetensors")
    with pytest.raises(CheckpointMismatchError, match="no tag of open_clip"):
        import_weights("RN51/none", tmp_path / "again.safetensors")


def test_an_mmengine_checkpoint_loads_with_its_history(tmp_path):
    import numpy as np
    from mmengine.logging import HistoryBuffer

    history = HistoryBuffer([1.0, 2.0], [1, 1])
    state = {"stem.0.weight": torch.ones(1)}
    content = {"state_dict": state, "message_hub": {"log_scalars": {"loss": history}}}
    torch.save(content | {"meta": {"seed": np.int64(1).item()}}, tmp_path / "epoch.pth")
    assert equal(read_state(tmp_path / "epoch.pth"), state)


def test_the_tool_converts_both_ways(tmp_path, ours, monkeypatch, capsys):
    pth, back = str(tmp_path / "mmocr.pth"), str(tmp_path / "back.safetensors")
    assert run(monkeypatch, "convert", str(ours), pth, "--to", "mmocr") == 0
    assert run(monkeypatch, "convert", pth, back, "--statistics", "imagenet") == 0
    assert "converted from mmocr" in capsys.readouterr().out
    assert read_info(back).mean == (0.485, 0.456, 0.406)
