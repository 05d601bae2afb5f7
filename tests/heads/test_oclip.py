"""The corrected oCLIP head and its collator, on a nano model without a Trainer."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ocrpretrain.backbones import CLIPResNet
from ocrpretrain.data.charset import Charset
from ocrpretrain.data.tokenizer import CharacterTokenizer
from ocrpretrain.data.views import Sample
from ocrpretrain.errors import ConfigError
from ocrpretrain.heads import OCLIPHead
from ocrpretrain.heads.oclip_batch import OCLIPCollator
from ocrpretrain.heads.retrieval import both_ways, recall_at

NANO = {
    "embed_dim": 32,
    "grid": (2, 2),
    "text_width": 16,
    "text_heads": 2,
    "text_layers": 1,
    "decoder_layers": 1,
}


def sample(text: list[str], seed: int = 0, padded: bool = False) -> Sample:
    image = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    mask = None
    if padded:
        mask = np.zeros((64, 64), bool)
        mask[32:] = True
    return Sample(image, mask, text, [None] * len(text), f"id{seed}", seed)


def collator(max_words: int = 32, **options) -> OCLIPCollator:
    charset = Charset.load(94)
    return OCLIPCollator(charset, 25, max_words, CharacterTokenizer(charset), **options)


@pytest.fixture
def model():
    backbone = CLIPResNet((1, 1, 1, 1), 8)
    return backbone, OCLIPHead(backbone.out_channels, backbone.strides, **NANO)


def run(model, samples):
    backbone, head = model
    batch = head.collator()(samples)
    return head(head.encode(backbone, batch), batch), batch


def test_words_are_packed_split_and_masked_once():
    collate = collator()
    batch = collate([sample(["New York", "a  b", "日本"]), sample([])])
    assert batch["text"] == [["New", "York", "a", "b"], []]
    assert batch["packed"].image.tolist() == [0] * 4 and batch["packed"].slots == 4
    assert batch["tokens"].shape == (4, 5)  # the longest word and EOS
    charset = Charset.load(94)
    for tokens, masked, target in zip(
        batch["tokens"], batch["masked"], batch["target"], strict=True
    ):
        changed = (tokens != masked).nonzero().flatten()
        assert len(changed) == 1 and masked[changed] == charset.mask_id
        assert tokens[changed] == target and 1 <= target <= 94


def test_everything_left_out_is_counted():
    few = sample(["naïve", "日本", "x" * 24, "x" * 25, "a b c"])
    few.cropped = 3
    batch = collator(max_words=5)([few, sample([])])
    assert len(batch["text"][0]) == 5
    left_out = batch["left_out"]
    assert left_out.pop("cut_words") == sum(len(word) == 25 for word in batch["text"][0])
    assert left_out == {
        "unreadable_images": 0, "cropped_words": 3, "unknown_characters": 3,
        "unknown_words": 1, "surplus_words": 1,
    }  # fmt: skip


def test_masks_follow_the_seed_and_never_hit_eos():
    collate = collator()
    long = "x" * 30
    targets = {int(collate([sample([long], seed)])["target"]) for seed in range(200)}
    assert Charset.load(94).eos_id not in targets
    official = collator(mask_eos=True)
    targets = [int(official([sample([long], seed)])["target"]) for seed in range(400)]
    assert np.mean([t == 96 for t in targets]) == pytest.approx(1 / 25, abs=0.03)
    a, b = (collate([sample(["hello", "world"], 7)])["masked"] for _ in range(2))
    assert torch.equal(a, b)


def test_more_words_than_allowed_are_a_subset_that_changes_with_the_seed():
    collate = collator(max_words=3)
    words = [f"w{i}" for i in range(20)]
    chosen = {tuple(collate([sample(words, seed)])["text"][0]) for seed in range(20)}
    assert all(len(set(subset)) == 3 and set(subset) <= set(words) for subset in chosen)
    assert len(chosen) > 10


def test_losses_are_finite_and_reach_every_tensor(model):
    output, _ = run(model, [sample(["one", "two"], 1), sample(["three"], 2, padded=True)])
    sum(output.losses.values()).backward()
    idle = [n for part in model for n, p in part.named_parameters() if p.grad is None]
    assert idle == []
    assert all(torch.isfinite(loss) for loss in output.losses.values())


def test_an_image_without_words_is_left_out(model):
    backbone, head = model
    backbone.eval()
    pair = [sample(["one"], 1), sample(["three"], 2)]
    with_empty, _ = run(model, [*pair, sample([], 3)])
    without, _ = run(model, pair)
    for name in ("contrastive", "character"):
        assert torch.allclose(with_empty.losses[name], without.losses[name], atol=1e-6)
    output, _ = run(model, [sample([], 3), sample([], 4)])
    assert output.losses["contrastive"] == 0 and output.losses["character"] == 0
    sum(output.losses.values()).backward()


def test_text_feature_is_the_mean_over_real_words(model):
    _, head = model
    batch = head.collator()([sample(["ab", "cd", "ef"], 0), sample(["gh"], 1)])
    words, _ = head.encode_words(batch["tokens"])
    text, valid = head.text_features(words, batch["packed"])
    expected = torch.nn.functional.normalize(words[:3].mean(0), dim=-1)
    assert torch.allclose(text[0], expected, atol=1e-6) and valid.all()
    official = OCLIPHead(head.in_channels, head.strides, **NANO, compat="official")
    official.load_state_dict(head.state_dict())
    pad, _ = official.encode_words(torch.zeros(1, 1, dtype=torch.long))
    text, _ = official.text_features(words, batch["packed"])
    expected = torch.nn.functional.normalize((words[3] + 31 * pad[0]) / 32, dim=-1)
    assert torch.allclose(text[1], expected, atol=1e-6)


def test_logit_scale_is_clamped_in_training_only_where_asked(model):
    backbone, head = model
    with torch.no_grad():
        head.logit_scale.fill_(9.0)
    output, _ = run(model, [sample(["a"], 1), sample(["b"], 2)])
    assert output.metrics["logit_scale"].item() == pytest.approx(100, rel=1e-3)
    head.clamp_logit_scale = False
    with torch.no_grad():
        head.logit_scale.fill_(9.0)
    output, _ = run(model, [sample(["a"], 1), sample(["b"], 2)])
    assert output.metrics["logit_scale"].item() == pytest.approx(np.exp(9.0), rel=1e-3)


def test_an_image_is_read_the_same_alone_and_in_a_batch(model):
    backbone, head = model
    backbone.eval()
    samples = [sample(["one", "two", "three"], 1), sample(["four"], 2, padded=True)]
    together = head.collator()(samples)
    alone = head.collator()([samples[0]])
    both = head.validate(head.encode(backbone, together), together)
    one = head.validate(head.encode(backbone, alone), alone)
    assert torch.allclose(both["image"][:1], one["image"], atol=1e-5)
    assert torch.allclose(both["text"][:1], one["text"], atol=1e-5)
    assert len(one["hit"]) == 0 and len(both["hit"]) == 4  # nothing to blind a batch of one with


def test_blind_twin_differs_from_the_signal_when_the_image_matters(model):
    """After overfitting 8 images, words are read from the picture and not when it is another's."""
    backbone, head = model
    text = [list(word) for word in ("abcdefgh", "stuvwxyz")]
    samples = [sample([a + b], i) for i, (a, b) in enumerate(zip(*text, strict=True))]
    batch = head.collator()(samples)
    # One and the same masked word everywhere: only the image tells the character.
    batch["masked"][:] = torch.tensor([head.charset.mask_id, head.charset.mask_id, 96])
    parameters = [*backbone.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(parameters, 3e-3)
    for _ in range(60):
        loss = sum(head(head.encode(backbone, batch), batch).losses.values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    metrics = head.summarize(head.validate(head.encode(backbone, batch), batch))
    assert metrics["char_accuracy"] > 0.9 and metrics["blind_char_accuracy"] < 0.3


def test_attention_covers_the_grid(model):
    backbone, head = model
    batch = head.collator()([sample(["one", "two"], 1), sample(["x"], 2)])
    maps = head.attention(head.encode(backbone, batch), batch)
    assert maps.shape == (2, 2, 2, 2)
    assert torch.allclose(maps[0].sum((1, 2)), torch.ones(2), atol=1e-5)
    assert maps[1, 1].sum() == 0  # an empty slot


def test_unknown_loss_weight():
    with pytest.raises(ConfigError, match="contrastiv"):
        OCLIPHead((8,), (32,), loss_weights={"contrastiv": 1.0}, **NANO)


def test_recall_by_hand_and_constant_features_score_chance():
    eye = torch.eye(4)
    assert recall_at(eye, eye, (1, 2)) == {1: 1.0, 2: 1.0}
    assert recall_at(eye, eye.roll(1, 0), (1,)) == {1: 0.0}
    assert both_ways(torch.ones(20, 3), torch.ones(20, 3))["recall"] == 0
