"""oCLIP's ablation axes: each option does what it says, and contradictions are refused."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ocrpretrain.backbones import CLIPResNet
from ocrpretrain.data.charset import Charset
from ocrpretrain.data.tokenizer import BpeTokenizer, CharacterTokenizer
from ocrpretrain.data.views import Sample
from ocrpretrain.errors import ConfigError
from ocrpretrain.heads import OCLIPHead
from ocrpretrain.layers.distributed import global_mean
from ocrpretrain.layers.packing import Packed
from ocrpretrain.layers.text_tower import CharacterBag

NANO = dict(embed_dim=32, grid=(2, 2), text_width=16, text_heads=2, text_layers=1, decoder_layers=1)


def sample(words: list[str], seed: int) -> Sample:
    image = np.random.default_rng(seed).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    return Sample(image, None, words, [None] * len(words), f"id{seed}", seed)


SAMPLES = [sample(["Hello", "abc"], 1), sample(["Extraordinarily"], 2), sample([], 3)]


def build(**options) -> tuple[CLIPResNet, OCLIPHead]:
    torch.manual_seed(0)
    backbone = CLIPResNet((1, 1, 1, 1), 8)
    return backbone, OCLIPHead(backbone.out_channels, backbone.strides, **NANO, **options)


def run(backbone, head):
    batch = head.collator()(SAMPLES)
    return head(head.encode(backbone, batch), batch), batch


AXES = [
    dict(text_encoder="bpe"),
    dict(text_encoder="bag"),
    dict(queries="character"),
    dict(queries="character", mask_share=0.5),
    dict(decoder=False),
    dict(contrastive=False),
    dict(max_words=1),
    dict(contrastive_sum=True),
]


@pytest.mark.parametrize("options", AXES, ids=str)
def test_every_axis_trains_each_of_its_tensors(options):
    backbone, head = build(**options)
    output, batch = run(backbone, head)
    sum(output.losses.values()).backward()
    idle = [n for part in (backbone, head) for n, p in part.named_parameters() if p.grad is None]
    assert idle == []
    assert ("character" in output.losses) == options.get("decoder", True)
    assert ("contrastive" in output.losses) == options.get("contrastive", True)
    metrics = head.summarize(head.validate(head.encode(backbone, batch), batch))
    assert head.monitor.removeprefix("val/") in metrics
    if options.get("decoder", True):
        maps = head.attention(head.encode(backbone, batch), batch)
        assert maps.shape == (3, batch["packed"].slots, 2, 2)
        words = len(batch["tokens"])
        assert maps.sum().item() == pytest.approx(words, abs=1e-4)


@pytest.mark.parametrize("share", [0.15, 0.3, 0.5, 1.0])
def test_a_share_of_the_characters_is_masked(share):
    batch = build(queries="character", mask_share=share)[1].collator()(SAMPLES)
    charset = Charset.load(94)
    for tokens, masked in zip(batch["tokens"], batch["masked"], strict=True):
        length = int((tokens > 0).sum()) - 1
        changed = tokens != masked
        assert changed.sum() == max(1, round(share * length))
        assert (masked[changed] == charset.mask_id).all()
    queries = batch["queries"]
    hidden = batch["tokens"][queries.word, queries.position]
    assert torch.equal(hidden, batch["target"])
    assert torch.equal(batch["packed"].image[queries.word], queries.packed.image)


def test_character_queries_equal_the_plain_form():
    """All L states of every word ask; the loss is taken at the masked ones only."""
    backbone, head = build(queries="character", mask_share=0.3)
    backbone.eval()
    output, batch = run(backbone, head)
    image = head.image_tokens(head.encode(backbone, batch))
    state_NLD = head.text(batch["masked"]) @ head.text_projection
    words, length, _ = state_NLD.shape
    of_image = batch["packed"].image.repeat_interleave(length)
    slot = torch.cat([torch.arange(n) for n in of_image.bincount().tolist()])
    plain = Packed(of_image, slot, len(SAMPLES), int(slot.max()) + 1)
    logits_NLV = head.read(state_NLD.flatten(0, 1), image, plain).unflatten(0, (words, length))
    masked = batch["masked"] == head.charset.mask_id
    loss = F.cross_entropy(logits_NLV[masked], batch["tokens"][masked])
    assert torch.allclose(loss, output.losses["character"], atol=1e-6)


def test_contrastive_sum_is_twice_the_mean():
    mean, total = (
        run(*build(contrastive_sum=value))[0].losses["contrastive"] for value in (False, True)
    )
    assert torch.allclose(total, 2 * mean)


def test_a_bag_does_not_know_the_order():
    bag = CharacterBag(97, 16)
    first, second = torch.tensor([[1, 2, 3, 96, 0]]), torch.tensor([[3, 1, 2, 96, 0]])
    assert torch.allclose(bag(first), bag(second), atol=1e-6)
    assert torch.allclose(bag(first)[:, 0], bag(first[:, :4])[:, 0], atol=1e-6)
    assert not torch.allclose(bag(first), bag(torch.tensor([[1, 2, 4, 96, 0]])), atol=1e-6)


def test_byte_pairs_never_show_the_masked_character():
    tokenizer = BpeTokenizer()
    mask = tokenizer.vocab_size - 2
    ids = {tuple(tokenizer.encode(word, [2])) for word in ("Hello", "Hexlo", "He9lo")}
    assert len(ids) == 1 and mask in ids.pop()
    for word, masked in itertools.product(["a", "Hello", "日本語"], [(), [0]]):
        row = tokenizer.encode(word, masked)
        assert row.index(max(row)) == len(row) - 1 and min(row) > 0
        assert len(row) <= tokenizer.context_length(len(word) + 1)
    characters = CharacterTokenizer(Charset.load(94))
    assert characters.encode("ab", [1]) == [65, 95, 96]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(decoder=False, contrastive=False), "leave no loss"),
        (dict(mask_share=0.0, queries="character"), r"\(0, 1\]"),
        (dict(mask_share=0.3), "queries='character'"),
        (dict(text_encoder="bpe", queries="character"), "no state for each character"),
    ],
)
def test_contradictions_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        build(**options)


def test_global_mean_of_nothing_is_zero_and_stays_in_the_graph():
    loss = torch.zeros(0, requires_grad=True)
    value = global_mean(loss)
    value.backward()
    assert value == 0 and loss.grad is not None
