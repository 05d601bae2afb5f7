"""Word augmentation is PARSeq's, seeded and free of global state; colours change only colours."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from timm.data import auto_augment as timm

from ocrpretrain.data.augment import _word_operations, augment_word, photometric, poisson_noise


def picture(seed=0, shape=(40, 120, 3)) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    return np.asarray(Image.fromarray(noise).filter(ImageFilter.GaussianBlur(2)))


PARSEQ = [name for name in timm._RAND_INCREASING_TRANSFORMS if name != "SharpnessIncreasing"]
SPREAD = {"ShearX": 0.9, "ShearY": 0.2, "TranslateXRel": 0.1, "TranslateYRel": 0.3, "Rotate": 30}


def test_the_operations_are_those_of_parseq():
    assert list(_word_operations()) == [*PARSEQ, "GaussianBlur", "PoissonNoise"]
    assert len(_word_operations()) == 16


@pytest.mark.parametrize("name", PARSEQ)
@pytest.mark.parametrize("magnitude", [2, 5, 9])
def test_each_operation_does_what_timm_does_at_parseqs_strength(name, magnitude):
    image = Image.fromarray(picture())
    official = timm.AugmentOp(name, prob=1.0, magnitude=magnitude)
    if name in SPREAD:  # PARSeq's ranges, and a rotation that cuts nothing off
        value = magnitude / 10 * SPREAD[name]
        official.level_fn = lambda level, _: (random.choice([-value, value]),)
        official.kwargs |= {"expand": True} if name == "Rotate" else {}
    theirs = {np.asarray(official(image)).tobytes() for _ in range(60)}
    ours = {
        np.asarray(
            _word_operations()[name](image, magnitude / 10, np.random.default_rng(seed))
        ).tobytes()
        for seed in range(60)
    }
    assert ours == theirs  # both signs, and both interpolations where there is one


def test_noise_has_the_mean_and_spread_of_a_poisson_variable_of_random_sign():
    grey = Image.fromarray(np.full((200, 300, 3), 128, np.uint8))
    image = np.asarray(poisson_noise(grey, 0.5, np.random.default_rng(0))).astype(int)
    assert (image[..., 0] == image[..., 1]).all() and (image[..., 0] == image[..., 2]).all()
    noise = image[..., 0] - 128
    exact = np.random.default_rng(1).poisson(21, noise.shape)
    assert abs(noise.mean()) < 0.5 and abs((noise > 0).mean() - 0.5) < 0.01
    assert abs(noise).mean() == pytest.approx(exact.mean(), rel=0.02)
    assert abs(noise).std() == pytest.approx(exact.std(), rel=0.03)
    small = poisson_noise(Image.fromarray(picture(shape=(8, 20, 3))), 1.0, np.random.default_rng(0))
    assert abs(np.asarray(small).astype(int) - picture(shape=(8, 20, 3))).mean() < 8  # mean 5


def test_the_same_seed_gives_the_same_word_and_no_global_state_is_used():
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    first = [augment_word(picture(i), np.random.default_rng(i)) for i in range(30)]
    assert states[0] == random.getstate() and states[1] == np.random.get_state()[1].tolist()
    assert torch.equal(states[2], torch.get_rng_state())
    random.seed(5)
    again = [augment_word(picture(i), np.random.default_rng(i)) for i in range(30)]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    changed = [not np.array_equal(image, picture(i)) for i, image in enumerate(first)]
    assert 15 < sum(changed) < 30  # each of three is skipped half of the time


def test_tiny_words_survive():
    for seed in range(40):
        image = augment_word(picture(shape=(1, 2, 3)), np.random.default_rng(seed), 10, 16)
        assert image.dtype == np.uint8 and image.ndim == 3 and image.size


def test_colours_of_a_batch():
    batch = torch.from_numpy(np.stack([picture(0), picture(0), picture(1)])).permute(0, 3, 1, 2)
    assert torch.equal(photometric(batch, torch.Generator(), strength=0.0), batch)

    def draw(seed: int) -> torch.Tensor:
        return photometric(batch, torch.Generator().manual_seed(seed), 0.5)

    assert draw(0).dtype == torch.uint8 and draw(0).shape == batch.shape
    assert torch.equal(draw(0), draw(0)) and not torch.equal(draw(0), draw(1))
    assert not torch.equal(draw(0)[0], draw(0)[1])  # images of a batch differ
    shifts = (
        torch.stack([draw(seed)[0].float().mean() for seed in range(40)]) - batch[0].float().mean()
    )
    assert shifts.min() < -20 and shifts.max() > 20
    grey = torch.full((1, 3, 4, 4), 90, dtype=torch.uint8)
    out = photometric(grey, torch.Generator().manual_seed(0), 1.0)
    assert (out == out[:, :1]).all()  # grey stays grey
