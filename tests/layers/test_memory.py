"""What decoders read: tokens of one map or of several, prefix first, padding known."""

from __future__ import annotations

import pytest
import torch

from ocrpretrain.backbones import Features
from ocrpretrain.errors import ConfigError
from ocrpretrain.layers.memory import Memory


def features(mask=None, prefix=None) -> Features:
    maps = (torch.randn(2, 4, 8, 16), torch.randn(2, 6, 4, 8), torch.randn(2, 8, 2, 4))
    return Features(maps, prefix, mask)


def test_the_last_map_as_it_is_or_projected():
    seen = features(prefix=torch.randn(2, 1, 8))
    tokens, padding = Memory((4, 6, 8), (4, 8, 16), None)(seen)
    assert torch.equal(tokens[:, 0], seen.prefix[:, 0]) and padding is None
    assert torch.equal(tokens[:, 1:], seen.maps[-1].flatten(2).mT)
    memory = Memory((4, 6, 8), (4, 8, 16), 5)
    projected, _ = memory(seen)
    assert torch.allclose(projected, tokens @ memory.project[0].weight.T, atol=1e-6)


def test_coarser_maps_are_added_at_a_stride():
    memory, seen = Memory((4, 6, 8), (4, 8, 16), 5, stride=8), features()
    tokens, _ = memory(seen)
    assert tokens.shape == (2, 4 * 8, 5) and len(memory.project) == 2
    fine = torch.einsum("bchw,dc->bdhw", seen.maps[1], memory.project[0].weight)
    coarse = torch.einsum("bchw,dc->bdhw", seen.maps[2], memory.project[1].weight)
    expected = fine + coarse.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert torch.allclose(tokens.mT.unflatten(2, (4, 8)), expected, atol=1e-5)
    tokens.sum().backward()
    assert all(layer.weight.grad.abs().sum() > 0 for layer in memory.project)


def test_padding_hides_cells_and_never_the_prefix():
    mask = torch.zeros(2, 32, 64, dtype=torch.bool)
    mask[1, :, 16:] = True
    seen = features(mask, prefix=torch.randn(2, 1, 8))
    _, padding = Memory((4, 6, 8), (4, 8, 16), 5)(seen)
    assert not padding[0].any() and padding[1].tolist() == [False] + [False, True, True, True] * 2


def test_cells_tell_where_they_are():
    """Also those of a map that is the same everywhere; the prefix has no place."""
    maps = (torch.ones(1, 8, 3, 5),)
    memory = Memory((8,), (8,), None, positions=True)
    tokens, _ = memory(Features(maps, torch.ones(1, 1, 8)))
    cells = tokens[0, 1:].unflatten(0, (3, 5))
    assert len({tuple(row) for row in tokens[0].tolist()}) == 16
    assert torch.allclose(cells[:, 0, :4], cells[:, 4, :4])  # the same rows
    assert torch.allclose(cells[0, :, 4:], cells[2, :, 4:])  # and columns
    assert torch.allclose(
        cells[1, 2], torch.tensor([0.84, 0.01, 0.54, 1.0, 0.91, 0.02, -0.42, 1.0]), atol=0.01
    )
    with pytest.raises(ConfigError, match="multiple of 4"):
        Memory((6,), (8,), None, positions=True)


@pytest.mark.parametrize(("width", "stride"), [(5, 2), (None, 8)])
def test_wrong_strides(width, stride):
    with pytest.raises(ConfigError, match="no map of stride"):
        Memory((4, 6, 8), (4, 8, 16), width, stride)


def test_positions_keep_half_precision():
    memory, seen = Memory((4, 6, 8), (4, 8, 16), 12, positions=True), features()
    halves = seen._replace(maps=tuple(x.bfloat16() for x in seen.maps))
    whole, half = memory(seen)[0], memory.bfloat16()(halves)[0]
    assert half.dtype == torch.bfloat16
    assert (half.float() - whole).norm() < 0.02 * whole.norm()
