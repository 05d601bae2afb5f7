"""One call for all orders equals one call per order; reading with caches equals reading without."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from ocrpretrain.layers.attention import CachedAttention
from ocrpretrain.layers.permutations import draw_orders, order_masks
from ocrpretrain.layers.word_decoder import Look, WordDecoder

CHARACTERS, STEPS = 10, 7


@pytest.fixture(params=[1, 2])
def decoder(request):
    decoder = WordDecoder(24, 4, request.param, CHARACTERS, STEPS, dropout=0.0)
    for parameter in decoder.parameters():  # zeros and tiny values would hide mistakes
        nn.init.normal_(parameter, std=0.4)
    return decoder.eval()


def batch(decoder, words=3):
    orders = torch.from_numpy(draw_orders(STEPS - 1, 6, np.random.default_rng(0)))
    query, content = order_masks(orders)
    ids = torch.randint(1, CHARACTERS + 1, (words, STEPS))
    ids[:, 0] = decoder.bos_id
    ids[0, 4:] = decoder.pad_id
    memory = torch.randn(words, 5, 24)
    keep = torch.rand(words, len(orders), 1, 5) < 0.6
    keep[..., 0] = True
    return ids, decoder.remember(memory), Look(query, content, ids == decoder.pad_id), keep


def test_all_orders_at_once_equal_one_after_the_other(decoder):
    ids, memory, look, keep = batch(decoder)
    together = decoder(ids, memory, look, keep)
    for k in range(len(look.query)):
        one = Look(look.query[k : k + 1], look.content[k : k + 1], look.padding)
        alone = decoder(ids, memory, one, keep[:, k : k + 1])
        assert torch.allclose(together[:, k], alone[:, 0], atol=1e-5)


def test_gradients_too(decoder):
    ids, memory, look, keep = batch(decoder)
    weight = torch.randn(3, len(look.query), STEPS, CHARACTERS + 1)
    (decoder(ids, memory, look, keep) * weight).sum().backward()
    together = {name: p.grad.clone() for name, p in decoder.named_parameters()}
    decoder.zero_grad()
    memory = [(k.detach(), v.detach()) for k, v in memory]
    for k in range(len(look.query)):
        one = Look(look.query[k : k + 1], look.content[k : k + 1], look.padding)
        (decoder(ids, memory, one, keep[:, k : k + 1])[:, 0] * weight[:, k]).sum().backward()
    for name, p in decoder.named_parameters():
        if "cross_attn.in_proj" not in name:  # the memory's part was detached
            assert torch.allclose(together[name], p.grad, rtol=1e-3, atol=1e-3), name


@torch.no_grad()
def test_reading_equals_the_plain_loop(decoder):
    _, memory, _, _ = batch(decoder)
    keep = torch.tensor([[True] * 5, [True] * 3 + [False] * 2, [True] * 4 + [False]])
    fast = decoder.read(memory, keep, check_every=0)
    forward = torch.arange(STEPS + 1)[None]
    query, content = order_masks(forward)
    ids = torch.full((3, STEPS), decoder.pad_id)
    ids[:, 0] = decoder.bos_id
    for step in range(STEPS):
        plain = decoder(ids, memory, Look(query, content), keep[:, None, None])[:, 0]
        assert torch.allclose(plain[:, step], fast[:, step], atol=1e-5)
        if step + 1 < STEPS:
            ids[:, step + 1] = plain[:, step].argmax(-1)


@torch.no_grad()
def test_an_early_stop_changes_no_word(decoder):
    decoder.head.bias[0] = 5.0  # EOS comes soon
    memory = decoder.remember(torch.randn(4, 5, 24))
    whole, early = decoder.read(memory, check_every=0), decoder.read(memory, check_every=1)
    for a, b in zip(whole.argmax(-1).tolist(), early.argmax(-1).tolist(), strict=True):
        assert 0 in a and a[: a.index(0)] == b[: b.index(0)]
    for check_every in (0, 1):  # nor does a batch
        alone = [(k[2:3], v[2:3]) for k, v in memory]
        assert torch.allclose(
            decoder.read(alone, check_every=check_every)[0, 0], whole[2, 0], atol=1e-5
        )


@torch.no_grad()
def test_refining_sees_all_but_the_character_itself(decoder):
    _, memory, _, _ = batch(decoder)
    ids = torch.tensor([[1, 2, 3, 4, 0, 7, 7], [5, 6, 0, 8, 8, 8, 8], [1, 2, 3, 4, 5, 6, 7]])
    first = decoder.refine(memory, ids)
    for place in range(3 if len(decoder.layers) == 1 else 0):  # deeper, others tell of it
        changed = ids.clone()
        changed[:, place] = 9
        second = decoder.refine(memory, changed)
        assert torch.allclose(first[2, place], second[2, place], atol=1e-5)
        assert not torch.allclose(first[2, place + 1], second[2, place + 1], atol=1e-3)
    behind = ids.clone()
    behind[0, 5:] = 3  # behind EOS nothing counts
    assert torch.allclose(first[0], decoder.refine(memory, behind)[0], atol=1e-5)


def test_attention_is_torchs():
    ours, theirs = CachedAttention(16, 4), nn.MultiheadAttention(16, 4, batch_first=True)
    assert {n: p.shape for n, p in ours.named_parameters()} == {
        n: p.shape for n, p in theirs.named_parameters()
    }
    ours.load_state_dict(theirs.state_dict())
    query, key, blocked = torch.randn(2, 3, 16), torch.randn(2, 5, 16), torch.rand(3, 5) < 0.4
    blocked[:, 0] = False
    expected, _ = theirs(query, key, key, attn_mask=blocked)
    found = ours(ours.queries(query), ours.keys(key), ~blocked)
    assert torch.allclose(found, expected, atol=1e-6)
    with torch.autocast("cpu", torch.bfloat16):  # plain with gradients, fused without
        plain = ours(ours.queries(query), ours.keys(key), ~blocked)
        with torch.no_grad():
            fused = ours(ours.queries(query), ours.keys(key), ~blocked)
    assert plain.dtype == torch.bfloat16 and torch.allclose(plain, fused, atol=0.02)
    assert torch.allclose(plain.float(), expected, atol=0.03)
