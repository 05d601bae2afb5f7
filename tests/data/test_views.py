"""The scene view: polygons follow the pixels, cut words leave the label, padding is masked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocrpretrain.data.sources import AnnotatedImage, Word
from ocrpretrain.data.views import SceneView, stack_images
from ocrpretrain.errors import ConfigError


def box(x, y, w, h):
    return np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]], np.float32)


def scene(height=120, width=200, x=40, y=30, w=60, h=20) -> AnnotatedImage:
    """One white word on black, and one don't-care."""
    image = np.zeros((height, width, 3), np.uint8)
    image[y : y + h, x : x + w] = 255
    words = [Word("word", box(x, y, w, h)), Word("###", box(0, 0, 5, 5), ignore=True)]
    return AnnotatedImage(image, words, "one")


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10**6), st.sampled_from(["pad", "squash"]))
def test_polygons_follow_the_pixels(seed, resize):
    view = SceneView((96, 96), resize=resize, crop=(0.4, 1.0))
    sample = view(scene(), seed)
    bright = sample.image[..., 0] > 127
    assert sample.image.shape == (96, 96, 3)
    if not sample.text:
        return
    polygon = sample.polygons[0].clip(0, 96)
    ys, xs = np.nonzero(bright)
    found = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
    assert np.abs(found - [*polygon.min(0), *polygon.max(0)]).max() <= 2


def test_words_cut_by_the_crop_leave_the_label():
    view = SceneView((64, 64), crop=(0.3, 0.3))
    samples = [view(scene(x=100, y=50), seed) for seed in range(60)]
    kept = [len(sample.text) for sample in samples]
    assert any(kept) and not all(kept)
    assert [sample.cropped for sample in samples] == [1 - n for n in kept]


def test_an_image_with_a_weak_label_is_never_cropped():
    item = scene()
    item.words.append(Word("somewhere"))
    view = SceneView((60, 100), crop=(0.2, 0.3))
    for seed in range(10):
        sample = view(item, seed)
        assert sample.text == ["word", "somewhere"]
        assert (sample.image[..., 0] > 127).mean() == pytest.approx(0.05, abs=0.01)


def test_padding_is_masked_and_ignored_words_are_not_labels():
    sample = SceneView((96, 96), train=False)(scene(), 0)
    assert sample.text == ["word"]
    assert sample.mask is not None
    assert not sample.mask[: round(120 * 0.48)].any() and sample.mask[60:].all()
    assert SceneView((96, 160), train=False)(scene(), 0).mask is None
    image, mask = stack_images([sample])
    assert image.shape == (1, 3, 96, 96) and image.dtype.is_floating_point is False
    assert mask is not None and mask.shape == (1, 96, 96)


def test_the_same_seed_gives_the_same_view():
    view = SceneView((64, 64), crop=(0.3, 0.9))
    a, b, other = view(scene(), 5), view(scene(), 5), view(scene(), 6)
    assert (a.image == b.image).all()
    assert not (a.image == other.image).all()


@pytest.mark.parametrize("options", [{"crop": (0.0, 1.0)}, {"crop": (0.9, 0.5)}, {"resize": "no"}])
def test_bad_options(options):
    with pytest.raises(ConfigError, match="data.view"):
        SceneView((64, 64), **options)
