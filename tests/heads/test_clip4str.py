"""The corrected CLIP4STR head: alike alone and in a batch, nothing leaks, losses of data count."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from lightning.fabric.utilities.apply_func import apply_to_collection
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from ocrpretrain.backbones import ClipViT, ConvBackbone, Features
from ocrpretrain.data.tokenizer import clip_ids
from ocrpretrain.data.views import Sample
from ocrpretrain.engine import pretrain
from ocrpretrain.errors import ConfigError
from ocrpretrain.heads import CLIP4STRHead
from ocrpretrain.heads.clip4str import Reading
from ocrpretrain.layers.pieces import Eager

TEXT = {"width": 16, "heads": 2, "layers": 2}
NANO = {"width": 24, "heads": 4, "text": TEXT, "dropout": 0.0}


def sample(text: str, seed: int = 0, padded: bool = False) -> Sample:
    image = np.random.default_rng(seed).integers(0, 256, (32, 64, 3), np.uint8)
    mask = None
    if padded:
        mask = np.zeros((32, 64), bool)
        mask[:, 32:] = True
    return Sample(image, mask, [text], [None], f"{seed}", seed)


@pytest.fixture(params=["vit", "conv"])
def model(request):
    if request.param == "vit":
        backbone = ClipViT(size=(32, 64), patch=(8, 8), width=32, layers=1, heads=2)
    else:
        backbone = ConvBackbone(16, (1, 1, 1))
    head = CLIP4STRHead(backbone.out_channels, backbone.strides, **NANO)
    for parameter in head.parameters():  # as drawn, every word would be answered alike
        torch.nn.init.normal_(parameter, std=0.3)
    for module in backbone.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the statistics of the one batch that follows
    backbone.train()(torch.randn(8, 3, 32, 64))
    torch.nn.init.normal_(head.memory.project[0].weight, std=3.0)
    return backbone.eval(), head.eval()


def features_of(model, samples) -> Features:
    backbone, head = model
    return head.encode(backbone, head.collator()(samples))


@pytest.mark.parametrize(("most", "lengths"), [(40, (26, 27, 30)), (20, (17, 18, 19))])
def test_few_shapes_whatever_the_longest_label(most, lengths):
    collate = CLIP4STRHead([8], [8], **NANO, max_label_length=most).collator()
    shapes = {collate([sample("x" * length)])["input"].shape for length in lengths}
    assert shapes == {(1, most + 1)}


def test_wrong_numbers_are_named_all_at_once():
    wrong = {"max_label_length": 0, "orders": 3, "refine": -1, "heads": 5, "context": 100}
    with pytest.raises(ConfigError) as caught:
        CLIP4STRHead([8], [8], **{**NANO, **wrong})
    assert [line.partition(":")[0] for line in str(caught.value).splitlines()] == [
        f"head.{name}" for name in wrong
    ]


def test_remembered_words_are_of_the_precision_that_is_asked_for():
    text = CLIP4STRHead([8], [8], **NANO).eval().text
    ids = torch.tensor([[5, 6, 0]])
    with torch.no_grad():
        assert text(ids).tokens.dtype == torch.float32
        with torch.autocast("cpu", torch.bfloat16):
            assert text(ids).tokens.dtype == torch.bfloat16
        assert text(ids).tokens.dtype == torch.float32
        assert text.double()(ids).tokens.dtype == torch.float64


def test_targets_inputs_and_orders():
    head = CLIP4STRHead([8], [8], **NANO)
    collate = head.collator()
    batch = collate([sample("ab", 0), sample("Q", 1), sample("日", 2), sample("x" * 300, 3)])
    bos, pad = head.visual_decoder.bos_id, head.visual_decoder.pad_id
    ids = head.charset.encode("ab")
    assert batch["input"].shape == (4, 8)
    assert batch["input"][0].tolist() == [bos, *ids, *[pad] * 5]
    assert batch["target"].shape == (6, 4, 8)
    assert batch["target"][0, 0].tolist() == [*ids, 0, *[pad] * 5]
    assert (batch["target"][2:] == pad).all()  # two characters have two orders
    assert (batch["target"][:, 2:] == pad).all()
    assert batch["left_out"]["unknown_words"] == 1 and batch["left_out"]["long_words"] == 1
    longer = collate([sample("abcdefgh", 0), sample("ab", 1)])
    assert longer["input"].shape == (2, 16) and (longer["target"][5] != pad).sum() == 10
    again = collate([sample("abcdefgh", 0), sample("ab", 1)])
    assert torch.equal(longer["look"].query, again["look"].query)
    other = collate([sample("abcdefgh", 5), sample("ab", 1)])
    assert not torch.equal(longer["look"].query, other["look"].query)


def test_labels_with_spaces(tmp_path):
    """Kept, one between two words, where the charset has a space."""
    (tmp_path / "charset.txt").write_text("abc ")
    for charset, words in ((str(tmp_path / "charset.txt"), ["ab c", "a"]), (94, ["abc", "a"])):
        head = CLIP4STRHead([8], [8], charset=charset, **NANO)
        batch = head.collator()([sample(" ab  c", 0), sample("a", 1)])
        assert head.text.words(batch["target"][0]) == words
        assert not batch["left_out"]["unknown_characters"]


def test_a_batch_without_words_has_no_loss_and_no_nan(model):
    backbone, head = model
    batch = head.collator()([sample("日"), sample("")])
    losses, _ = head(head.encode(backbone, batch), batch)
    assert all(loss == 0 for loss in losses.values())
    sum(losses.values()).backward()


def test_the_image_learns_from_the_visual_branch_alone(model):
    backbone, head = model
    batch = head.collator()([sample("exit", 1), sample("Sale", 2)])
    losses, _ = head(head.encode(backbone, batch), batch)
    losses["cross"].backward()
    assert all(p.grad is None for p in backbone.parameters())
    assert head.text.text_projection.grad.abs().sum() > 0
    assert head.visual_decoder.positions.grad is None
    assert head.memory.project[0].weight.grad is None


def test_an_image_reads_the_same_alone_and_in_any_batch(model):
    samples = [sample("a", seed) for seed in range(5)]
    backbone, head = model
    with torch.no_grad():
        together = head.predict(features_of(model, samples), None)
        for place, one in enumerate(samples):
            alone = head.predict(features_of(model, [one]), None)
            assert alone.texts == [together.texts[place]]
            assert alone.scores[0] == pytest.approx(together.scores[place], rel=1e-3)
    assert len(set(together.texts)) > 1


def test_padding_is_never_looked_at(model):
    backbone, head = model
    one = sample("exit", padded=True)
    batch = head.collator()([one])
    with torch.no_grad():
        features = backbone(backbone.normalize(batch["image"]), batch["mask"])
        other = features.maps[-1].clone()
        other[..., other.shape[3] // 2 :] = 7.0
        changed = features._replace(maps=(*features.maps[:-1], other))
        for name, loss in head(features, batch).losses.items():
            assert torch.allclose(loss, head(changed, batch).losses[name])
        assert head.predict(features, batch).texts == head.predict(changed, batch).texts
        bare = head(features._replace(mask=None), batch).losses
        assert not torch.allclose(bare["visual"], head(changed, batch).losses["visual"])


def ids_of(head, *words):
    rows = [head.charset.encode(word) for word in words]
    return torch.tensor([[*row, *[0] * (8 - len(row))] for row in rows])


def test_equal_words_are_encoded_once_and_their_padding_is_known(model):
    _, head = model
    assert [len(clip_ids(word)) for word in ("exit", "3rdave")] == [1, 3]
    text = head.text(ids_of(head, "exit", "3rdave", "exit"))
    assert text.tokens.shape[:2] == (2, 5) and text.place.tolist() == [0, 1, 0]
    assert text.padding.tolist() == [[False] * 3 + [True] * 2, [False] * 5]
    with torch.no_grad():  # from memory, where each word has its own length
        again = [head.text(ids_of(head, word)) for word in ("exit", "3rdave", "exit")]
    assert [text.tokens.shape[1] for text in again] == [3, 5, 3]
    assert torch.allclose(again[2].tokens[0], text.tokens[0, :3], atol=1e-6)


def test_texts_that_do_not_fit_are_counted():
    head = CLIP4STRHead([8], [8], **NANO, context=6)
    assert head.text(ids_of(head, "123456", "1234", "exit")).cut.tolist() == [2, 0, 0]


@torch.no_grad()
def test_encoded_words_are_remembered_until_the_weights_change(model):
    _, head = model
    ids = ids_of(head, "exit", "sale")
    first = head.text(ids)
    assert torch.equal(head.text(ids_of(head, "sale")).tokens[0], first.tokens[1])
    head.text.text_projection.mul_(2)
    assert torch.allclose(head.text(ids).tokens, 2 * first.tokens)


def test_encoding_each_word_equals_encoding_each_once(model, monkeypatch):
    """What other devices and compiled steps do, in value and gradient."""
    backbone, head = model
    batch = head.collator()([sample("exit", 1), sample("Sale", 2), sample("don't", 3)])
    found = {}
    for compiling in (False, True):
        monkeypatch.setattr(torch.compiler, "is_compiling", lambda answer=compiling: answer)
        head.zero_grad()
        losses, metrics = head(head.encode(backbone, batch), batch)
        sum(losses.values()).backward()
        grads = [p.grad.clone() for p in head.parameters()]
        found[compiling] = [*losses.values(), metrics["cut_texts"], *grads]
    for once, each in zip(found[False], found[True], strict=True):
        assert torch.allclose(once, each, rtol=1e-3, atol=1e-4)


class Step(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = ClipViT(size=(32, 64), patch=(8, 8), width=32, layers=1, heads=2)
        self.head = CLIP4STRHead(self.backbone.out_channels, self.backbone.strides, **NANO)

    def forward(self, batch):
        return self.head(self.head.encode(self.backbone, batch), batch).losses


def test_a_step_never_waits_for_the_device():
    """On pretended CUDA tensors, whose values nothing can ask for."""
    step = Step()
    batch = step.head.collator()([sample("exit", 1), sample("Sale", 2)])
    state = {**dict(step.named_parameters()), **dict(step.named_buffers())}
    with FakeTensorMode() as mode:
        fake = {name: mode.from_tensor(tensor).cuda() for name, tensor in state.items()}
        there = apply_to_collection(batch, torch.Tensor, lambda x: mode.from_tensor(x).cuda())
        losses = torch.func.functional_call(step, fake, (there,))
        with pytest.raises(DataDependentOutputException):
            losses["cross"].item()


def test_a_compiled_step_has_one_graph_per_length():
    """Whatever the words say, and however many orders they have."""
    step = Step()
    collate, graphs = step.head.collator(), []

    def count(graph, inputs):
        graphs.append(graph)
        return graph.forward

    compiled = torch.compile(step, backend=count, fullgraph=True, dynamic=False)
    for words in (["exit", "Sale"], ["a", "b"], ["lot", "12"]):
        batch = collate([sample(word, seed) for seed, word in enumerate(words)])
        for name, loss in compiled(batch).items():
            assert torch.allclose(loss, step(batch)[name], rtol=1e-4)
    assert len(graphs) == 1
    compiled(collate([sample("Restaurant", 0), sample("a", 1)]))
    assert len(graphs) == 2


def test_branches_and_answers(model):
    backbone, head = model
    features = features_of(model, [sample("a", 1), sample("b", 2)])
    with torch.no_grad():
        answers = head.predict(features, None)
        assert answers.branches.keys() == {"visual", "cross"}
        assert [text for text, _ in answers.branches["cross"]] == answers.texts
        head.answer = "visual"
        visual = [text for text, _ in answers.branches["visual"]]
        assert head.predict(features, None).texts == visual != answers.texts
    assert all(0 <= score <= 1 for score in answers.scores)


def test_parseq_has_no_text():
    head = CLIP4STRHead([8], [8], cross_branch=False, width=None, heads=2)
    assert head.text is None and head.cross_decoder is None and head.memory.width == 8
    assert not any("text" in name or "cross" in name.split(".")[0] for name in head.state_dict())


def test_a_word_that_reads_like_a_token():
    head = CLIP4STRHead([8], [8], cross_branch=False, width=None, heads=2)
    logits = torch.zeros(1, 26, 95)
    for place, char in enumerate("[E]x"):
        logits[0, place, head.charset.encode(char)] = 9.0
    logits[0, 4:, 0] = 9.0
    _, _, *ids = head._answers(Reading(logits, None, None))[0].long().tolist()
    assert head.charset.decode(ids) == "[E]x"


class Replaying(Eager):
    replays = True


def test_a_runner_that_replays_is_given_spelled_words():
    """They are spelled outside of the piece that encodes them; answers stay the same."""
    text = {"width": 16, "heads": 2, "layers": 1}
    head = CLIP4STRHead([8], [8], width=32, heads=4, text=text, refine=2).eval()
    features = Features((torch.randn(3, 8, 2, 4),))
    with torch.no_grad():
        found = head.branches(features)
        head.runner = Replaying()
        other = head.branches(features)
    assert found.cross is not None and other.cross is not None
    assert torch.allclose(found.cross, other.cross, atol=1e-5)
    assert torch.equal(found.visual, other.visual)


@pytest.mark.parametrize("text", ["ViT-B-99", "xlm-roberta-base-ViT-B-32"])
def test_unknown_text_towers(text):
    with pytest.raises(ConfigError, match="open_clip has no model"):
        CLIP4STRHead([8], [8], text=text)


@pytest.mark.slow
def test_it_learns_to_read(tmp_path):
    """Eight words by heart, through the engine, with both branches."""
    config = tmp_path / "config.py"
    config.write_text(
        "backbone = dict(type='ocrpretrain.backbones.ConvBackbone', width=16, blocks=(1, 1, 1))\n"
        "head = dict(type='ocrpretrain.heads.CLIP4STRHead', width=48, heads=4, dropout=0.0,\n"
        "            text=dict(width=16, heads=2, layers=1))\n"
        "data = dict(batch_size=8, view=dict(size=(32, 128), resize='squash'), **{\n"
        "    part: dict(type='ocrpretrain.data.SyntheticWords', length=8, seed=0, fresh=False)\n"
        "    for part in ('train', 'val')})\n"
        "optimizer = dict(type='torch.optim.AdamW', lr=3e-3)\n"
        "trainer = dict(max_epochs=120, accelerator='cpu', check_val_every_n_epoch=120,\n"
        "               enable_progress_bar=False, enable_model_summary=False)\n"
        "logger = dict(mode='disabled')\n"
    )
    run = pretrain(config, work_dir=tmp_path / "run")
    last = (run / "metrics.csv").read_text().splitlines()
    names, values = last[0].split(","), last[-1].split(",")
    metrics = dict(zip(names, values, strict=True))
    assert float(metrics["val/word_accuracy"]) > 0.8
