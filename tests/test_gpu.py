"""On a CUDA device: the losses of the CPU, exact resume, weights that load anywhere."""

from __future__ import annotations

import copy

import pytest
import torch
from conftest import ROOT
from lightning.fabric.utilities import move_data_to_device
from test_resume import EVERY_STEP, PowerCut, assert_same, state_of

from ocrpretrain.backbones import CLIPResNet, ConvBackbone
from ocrpretrain.data import SyntheticScenes, SyntheticWords
from ocrpretrain.data.views import VIEWS
from ocrpretrain.engine import pretrain
from ocrpretrain.heads import CLIP4STRHead, CTCHead, OCLIPHead
from ocrpretrain.layers.pieces import EAGER, CUDAGraphs, once
from ocrpretrain.layers.relative_attention import relative_attention
from ocrpretrain.weights.build import load_reader
from ocrpretrain.weights.export import export, find_checkpoint

pytestmark = pytest.mark.gpu
DEMO = ROOT / "configs" / "pretrain" / "oclip_clip-resnet-nano_demo_synthetic.py"
CTC = ROOT / "configs" / "pretrain" / "ctc_conv-nano_8e_synthetic-words.py"
SHORT = {
    "trainer.accelerator": "gpu", "trainer.devices": 1, "trainer.max_epochs": 2,
    "trainer.enable_progress_bar": False, "trainer.enable_model_summary": False,
    "data.train.length": 64, "data.val.length": 32, "data.batch_size": 16,
    "data.num_workers": 2, "logger.mode": "disabled",
}  # fmt: skip


def oclip():
    backbone = CLIPResNet((1, 1, 1, 1), 8)
    sizes = {"embed_dim": 32, "grid": (2, 2), "text_width": 16, "text_heads": 2}
    head = OCLIPHead(backbone.out_channels, backbone.strides, **sizes, text_layers=1)
    return backbone, head, VIEWS["scene"](size=(64, 64)), SyntheticScenes(8, seed=0)


def ctc():
    backbone = ConvBackbone(16, (1, 1, 1))
    head = CTCHead(backbone.out_channels, backbone.strides)
    return backbone, head, VIEWS["word"](), SyntheticWords(8, seed=0)


def clip4str():
    """Whose text is tokenized on the device there, and on the host here."""
    backbone = ConvBackbone(16, (1, 1, 1))
    text = {"width": 16, "heads": 2, "layers": 1}
    head = CLIP4STRHead(backbone.out_channels, backbone.strides, width=32, heads=4, text=text)
    return backbone, head, VIEWS["word"](), SyntheticWords(8, seed=0)


@pytest.fixture(autouse=True)
def _deterministic_only_where_asked():
    yield
    torch.use_deterministic_algorithms(False)  # CTC's backward on CUDA has no such form


@pytest.mark.parametrize("make", [oclip, ctc, clip4str])
def test_losses_and_gradients_are_those_of_the_cpu(make, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    backbone, head, view, source = make()
    batch = head.collator()([view(source.read(i, view.needs), i) for i in range(8)])
    found = {}
    for device in ("cpu", "cuda"):
        model = torch.nn.ModuleList(copy.deepcopy([backbone, head])).to(device)
        there = move_data_to_device(batch, torch.device(device))
        model.eval()  # BatchNorm over eight images would magnify roundings
        losses = model[1](model[1].encode(model[0], there), there).losses
        torch.stack(list(losses.values())).sum().backward()
        gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
        found[device] = {**losses, **gradients}
    assert found["cpu"].keys() == found["cuda"].keys()
    size = max(value.norm() for value in found["cpu"].values())
    for name, value in found["cpu"].items():
        error = (value - found["cuda"][name].cpu()).norm()
        # Some gradients are 0 in exact arithmetic, such as those of the bias of attention's keys.
        assert error < 1e-3 * value.norm() + 1e-6 * size, f"{name}: {error:.2g}"


def test_a_broken_run_ends_with_the_weights_of_a_whole_one(tmp_path, monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    options = SHORT | {
        "trainer.deterministic": True,
        "callbacks": [EVERY_STEP, {"type": "test_resume.PowerCut"}],
    }
    PowerCut.step = -1
    whole = state_of(pretrain(DEMO, options, tmp_path / "whole"))
    for step in (2, 5):
        PowerCut.step = step
        with pytest.raises(RuntimeError, match="the power goes"):
            pretrain(DEMO, options, tmp_path / "run", resume=True)
        torch.rand(3, device="cuda")  # a new process starts otherwise
    PowerCut.step = -1
    pretrain(DEMO, options, tmp_path / "run", resume=True)
    assert_same(tmp_path / "run", whole)


@pytest.mark.parametrize("options", [{"trainer.precision": "bf16-mixed"}, {"data.colour": 1.0}])
def test_what_a_gpu_trained_reads_on_the_cpu(tmp_path, options):
    run = pretrain(CTC, SHORT | options, tmp_path / "run")
    export(find_checkpoint(run, "last"), tmp_path / "reader.safetensors", reader=True)
    backbone, head = load_reader(tmp_path / "reader.safetensors")
    view, source = VIEWS["word"](train=False), SyntheticWords(2, seed=3)
    batch = head.collator()([view(source.read(i, view.needs), i) for i in range(2)])
    read = head.predict(head.encode(backbone, batch), batch)
    assert all(0 <= score <= 1 for score in read.scores)


@pytest.mark.parametrize("cross_branch", [False, True])
def test_replayed_graphs_read_as_the_eager_reader(cross_branch):
    """Other pictures than those of the capture, and words that end at other steps."""
    backbone, head, view, source = clip4str()
    if not cross_branch:
        head = CLIP4STRHead(
            backbone.out_channels, backbone.strides, width=32, heads=4, cross_branch=False
        )
    torch.nn.init.normal_(head.visual_decoder.head.bias, std=3.0)
    backbone, head = backbone.cuda().eval(), head.cuda().eval()
    samples = [view(source.read(place), 0) for place in range(8)]
    batch = move_data_to_device(head.collator()(samples), torch.device("cuda"))
    graphs = CUDAGraphs()

    def read(run, image):
        head.runner, held = run, run.hold("image", image)
        features = run("encode", once(lambda: head.encode(backbone, {"image": held})))
        return head.predict(features, None)

    with torch.no_grad():
        for first in (0, 2, 4, 6, 0):
            image = batch["image"][first : first + 2]
            wanted, found = read(EAGER, image), read(graphs, image)
            assert found.texts == wanted.texts
            assert found.scores == pytest.approx(wanted.scores, rel=1e-3)


def test_the_product_of_longer_keys_is_the_attention_in_parts():
    def drawn(*shape):
        return torch.randn(*shape, device="cuda", requires_grad=True)

    inputs = [drawn(2, 3, 30, 16) for _ in "qkv"] + [drawn(2, 3, 30, side) for side in (5, 6)]
    weight, found = torch.randn(2, 3, 30, 16, device="cuda"), []
    for device in ("cuda", "cpu"):
        q, k, v, *rel = (x.to(device) for x in inputs)
        out = relative_attention(q, k, v, tuple(rel))
        grads = torch.autograd.grad((out * weight.to(device)).sum(), inputs)
        found.append([out.cpu(), *(grad.cpu() for grad in grads)])
    for a, b in zip(*found, strict=True):
        assert torch.allclose(a, b, atol=1e-4)
