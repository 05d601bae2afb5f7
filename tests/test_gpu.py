"""On a CUDA device: the losses of the CPU, exact resume, weights that load anywhere."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from conftest import ROOT
from lightning.fabric.utilities import move_data_to_device
from reader_files import write_reader
from test_resume import EVERY_STEP, PowerCut, assert_same, state_of

from ocrpretrain.backbones import CLIPResNet, ConvBackbone
from ocrpretrain.data import SyntheticScenes, SyntheticWords
from ocrpretrain.data.views import VIEWS
from ocrpretrain.engine import pretrain
from ocrpretrain.heads import CLIP4STRHead, CTCHead, OCLIPHead
from ocrpretrain.layers.pieces import EAGER, CUDAGraphs, once
from ocrpretrain.layers.relative_attention import relative_attention
from ocrpretrain.reading import WordFileReader
from ocrpretrain.reading.words import as_word
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
    """Answers of several lengths, short ones first: longer ones capture more pieces."""
    torch.manual_seed(2)
    backbone, head, view, source = clip4str()
    with torch.no_grad():
        for parameter in [*backbone.parameters(), *head.parameters()]:
            torch.nn.init.normal_(parameter, std=0.8)
        head.memory.project[0].weight.normal_(std=3.0)
        for decoder in (head.visual_decoder, head.cross_decoder):
            decoder.head.bias[0] += 4.0
    if not cross_branch:
        head.cross_decoder, head.text, head.answer = None, None, "visual"
    backbone, head = backbone.cuda().eval(), head.cuda().eval()
    samples = [view(source.read(place), 0) for place in range(8)]
    batch = move_data_to_device(head.collator()(samples), torch.device("cuda"))
    graphs, pieces, texts = CUDAGraphs(), [], set()

    def read(run, image):
        head.runner, held = run, run.hold("image", image)
        features = run("encode", once(lambda: head.encode(backbone, {"image": held})))
        return head.predict(features, None)

    with torch.no_grad():
        images = list(batch["image"].split(1))
        images.sort(key=lambda image: len(read(EAGER, image).texts[0]))
        for image in [*images, images[0]]:
            wanted, found = read(EAGER, image), read(graphs, image)
            assert found.branches.keys() == wanted.branches.keys()
            for name, answers in found.branches.items():
                (text, score), (own, own_score) = answers[0], wanted.branches[name][0]
                assert text == own and score == pytest.approx(own_score, rel=1e-3)
            texts.update(found.texts)
            pieces.append(len(graphs.stages["visual"].graphs))
    assert len(texts) > 3 and pieces[0] < pieces[-1]


def test_a_word_reader_replays_whole_batches(tmp_path, monkeypatch):
    """With a ragged last batch, padded pictures among others, and a drawing in between."""
    file = write_reader(tmp_path / "reader.safetensors", "clip4str")
    rng = np.random.default_rng(0)
    sizes = [(32, 70), (32, 64), (32, 64), (48, 96), (20, 90), (32, 64), (32, 64)]
    items = [
        as_word(rng.integers(0, 256, (*size, 3), np.uint8), f"{place}")
        for place, size in enumerate(sizes)
    ]
    reader, eager = (WordFileReader(file, batch_size=2) for _ in range(2))
    for each in (reader, eager):
        each.view = VIEWS["word"](size=(32, 64), resize="pad", train=False)
    monkeypatch.setattr(eager, "_runner", lambda shape, masked: EAGER)
    wanted = [(a.text, pytest.approx(a.score, rel=1e-3)) for a in eager.read(items)]
    for _ in range(3):
        assert [(a.text, a.score) for a in reader.read(items)] == wanted
        reader.picture(items[0])
    assert sorted(masked for _, masked in reader.runners) == [False, True]
    assert all(isinstance(runner, CUDAGraphs) for runner in reader.runners.values())


@pytest.mark.parametrize(
    ("kind", "grid", "channels", "bound"),
    [(torch.float32, (5, 6), 16, 1e-5)]
    + [(torch.bfloat16, grid, 64, 2e-2) for grid in ((14, 14), (40, 40), (64, 128))],
)
def test_the_product_of_longer_keys_is_the_attention(kind, grid, channels, bound):
    """In value and gradient, against float64."""

    def drawn(*shape):
        return torch.randn(*shape, device="cuda", dtype=kind)

    cells = grid[0] * grid[1]
    inputs = [drawn(1, 2, cells, channels) for _ in "qkv"]
    inputs += [drawn(1, 2, cells, side) for side in grid]
    weight, found = drawn(1, 2, cells, channels), []
    for wide in (False, True):
        own = [x.double() if wide else x.clone() for x in inputs]
        q, k, v, *rel = (x.requires_grad_() for x in own)
        out = relative_attention(q, k, v, (rel[0], rel[1]))
        grads = torch.autograd.grad((out * weight.to(out.dtype)).sum(), own)
        found.append([x.double() for x in (out, *grads)])
    for other, wanted in zip(*found, strict=True):
        assert (other - wanted).norm() <= bound * wanted.norm()
