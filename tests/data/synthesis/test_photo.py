"""Light, lens, sensor: noise is what it says, nothing shifts the colours, nothing moves."""

from __future__ import annotations

import numpy as np
import pytest

from ocrpretrain.data.synthesis.photo import add_grain, compress, photograph


@pytest.mark.parametrize("shape", [(200, 200), (200, 200, 3)])
def test_grain_has_its_sigma_in_every_channel_and_no_mean(shape):
    flat = np.full(shape, 128, np.uint8)
    noisy = add_grain(flat, 7.0, np.random.default_rng(0)).astype(float)
    assert np.abs(noisy.mean((0, 1)) - 128).max() < 0.2
    assert np.abs(noisy.std((0, 1)) - 7).max() < 0.2
    assert (add_grain(flat, 7.0, np.random.default_rng(0)) == noisy).all()


def test_compression_keeps_the_colours():
    colours = np.zeros((64, 64, 3), np.uint8)
    colours[:, :32], colours[:, 32:] = (200, 30, 90), (20, 160, 220)
    change = np.abs(compress(colours, 90).astype(int) - colours)
    assert change[:, :28].max() < 8 and change[:, 36:].max() < 8


def test_pictures_keep_their_hue_on_average_and_strength_0_keeps_everything():
    grey = np.full((64, 96, 3), 120, np.uint8)
    assert photograph(grey, 0.0, np.random.default_rng(0)) is grey
    taken = [photograph(grey, 1.0, np.random.default_rng(i)).mean((0, 1)) for i in range(200)]
    assert np.ptp(np.mean(taken, 0)) < 4
    assert all(np.ptp(mean) < 60 for mean in taken)


def test_edges_stay_where_they_are():
    half = np.zeros((64, 96, 3), np.uint8)
    half[:, 48:] = 255
    for seed in range(40):
        taken = photograph(half, 1.0, np.random.default_rng(seed)).mean(2)
        assert taken[:, 60:].mean() > taken[:, :36].mean() + 60
