"""Shared layers against plain forms: packing, attention pool, decoder, positions, contrastive."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ocrpretrain.layers.attention_pool import AttentionPool, grid_mask
from ocrpretrain.layers.contrastive import contrastive_loss
from ocrpretrain.layers.packing import Packed
from ocrpretrain.layers.positions import resize_grid
from ocrpretrain.layers.text_tower import TextTower
from ocrpretrain.layers.visual_decoder import PackedCrossAttention


def packing(counts: list[int]) -> Packed:
    image = [i for i, n in enumerate(counts) for _ in range(n)]
    slot = [s for n in counts for s in range(n)]
    return Packed(
        torch.tensor(image, dtype=torch.long),
        torch.tensor(slot, dtype=torch.long),
        len(counts),
        max([*counts, 1]),
    )


@settings(deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=6))
def test_packing_round_trip_counts_and_sums(counts):
    packed = packing(counts)
    x = torch.randn(sum(counts), 3)
    padded = packed.pad(x)
    assert torch.equal(packed.unpad(padded), x)
    assert packed.counts().tolist() == counts
    assert torch.allclose(packed.sum(x), padded.sum(1), atol=1e-6)
    empty = torch.tensor([[s >= n for s in range(packed.slots)] for n in counts])
    assert (padded[empty] == 0).all()


def test_decoder_attention_equals_torchs_on_padded_words():
    packed, width, heads = packing([3, 0, 2]), 16, 4
    ours, plain = PackedCrossAttention(width, heads), nn.MultiheadAttention(width, heads)
    plain.batch_first = True
    nn.init.normal_(ours.in_proj_weight, std=0.3)
    nn.init.normal_(ours.in_proj_bias)
    plain.load_state_dict(ours.state_dict())
    word = torch.randn(5, width, requires_grad=True)
    key, value = torch.randn(3, 7, width), torch.randn(3, 7, width)
    padding = torch.zeros(3, 7, dtype=torch.bool)
    padding[0, 4:] = True
    out = ours(word, key, value, packed, padding)
    expected, weights = plain(packed.pad(word), key, value, key_padding_mask=padding)
    assert torch.allclose(out, packed.unpad(expected), atol=1e-6)
    attention = ours.attention(word, key, packed, padding)
    assert torch.allclose(attention, packed.unpad(weights), atol=1e-6)
    direction = torch.randn_like(out)
    (gradient,) = torch.autograd.grad((out * direction).sum(), word, retain_graph=True)
    (plain_gradient,) = torch.autograd.grad((packed.unpad(expected) * direction).sum(), word)
    assert torch.allclose(gradient, plain_gradient, atol=1e-6)


def test_masked_pool_equals_the_pool_of_the_real_cells():
    """What lies in the padding does not matter, and a padded row is as if it were not there."""
    pool = AttentionPool(32, 8, heads=4, grid=(4, 4))
    image = torch.randn(2, 32, 4, 4)
    padding = torch.zeros(2, 16, dtype=torch.bool)
    padding[:, 8:] = True
    other = image.clone()
    other[:, :, 2:] = 99
    out = pool(image, padding)[:, :9]
    assert torch.allclose(out, pool(other, padding)[:, :9], atol=1e-5)
    table = pool.positional_embedding.data
    small = AttentionPool(32, 8, heads=4, grid=(2, 4))
    small.load_state_dict({**pool.state_dict(), "positional_embedding": table[:9]})
    assert torch.allclose(out, small(image[:, :, :2]), atol=1e-5)
    assert pool(torch.randn(1, 32, 3, 6)).shape == (1, 19, 8)


def test_grid_mask_marks_cells_that_are_padding_throughout():
    mask = torch.ones(1, 64, 64, dtype=torch.bool)
    mask[:, :33, :64] = False
    assert grid_mask(mask, 2, 2).tolist() == [[False, False, False, False]]
    mask[:, 32] = True
    assert grid_mask(mask, 2, 2).tolist() == [[False, False, True, True]]
    assert grid_mask(None, 2, 2) is None


def test_positions_keep_their_table_and_resize_smoothly():
    table = torch.randn(16, 5)
    assert resize_grid(table, (4, 4), (4, 4)) is table
    ramp = torch.arange(4.0).repeat(4, 1).reshape(16, 1)
    wide = resize_grid(ramp, (4, 4), (4, 8)).reshape(4, 8)
    assert (wide.diff(dim=1) > 0).all() and torch.allclose(wide[0], wide[3])


def test_text_tower_is_causal_so_padding_needs_no_mask():
    tower = TextTower(20, 16, 2, 2, context_length=9).eval()
    ids = torch.randint(1, 20, (3, 5))
    padded = F.pad(ids, (0, 4), value=7)
    assert torch.allclose(tower(ids), tower(padded)[:, :5], atol=1e-6)


def plain_contrastive(image, text, scale):
    logits = scale * image @ text.T
    rows = [-logits[i, i] + np.log(np.exp(logits[i]).sum()) for i in range(len(logits))]
    columns = [-logits[i, i] + np.log(np.exp(logits[:, i]).sum()) for i in range(len(logits))]
    return (np.mean(rows) + np.mean(columns)) / 2


def test_contrastive_loss_in_value_and_gradient_and_without_invalid_pairs():
    image, text = (F.normalize(torch.randn(6, 8, dtype=torch.double), dim=-1) for _ in range(2))
    scale = torch.tensor(7.0, dtype=torch.double, requires_grad=True)
    image.requires_grad_()
    loss = contrastive_loss(image, text, scale)
    plain = plain_contrastive(image.detach().numpy(), text.numpy(), 7.0)
    assert loss.item() == np.float64(plain).round(12) or abs(loss.item() - plain) < 1e-12
    valid = torch.tensor([True, False, True, True, False, True])
    masked = contrastive_loss(image, text, scale, valid)
    kept = contrastive_loss(image[valid], text[valid], scale)
    assert torch.allclose(masked, kept)
    gradients = [torch.autograd.grad(x, image, retain_graph=True)[0] for x in (masked, kept)]
    assert torch.allclose(*gradients)
    assert (gradients[0][~valid] == 0).all()
    nothing = contrastive_loss(image, text, scale, torch.zeros(6, dtype=torch.bool))
    assert nothing.item() == 0
    everything = torch.ones(6, dtype=torch.bool)
    assert torch.allclose(contrastive_loss(image, text, scale, everything), loss)
