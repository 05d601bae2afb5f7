"""Random distortions: PARSeq's for word images, and colours for a batch on the device.

All randomness comes from the generator that is handed in; no global state is read or changed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor

Operation = Callable[[Image.Image, float, np.random.Generator], Image.Image]
GREY = (128, 128, 128)  # timm's colour for what comes into view from outside
LUMA = (0.299, 0.587, 0.114)


def augment_word(
    image: np.ndarray, rng: np.random.Generator, magnitude: float = 5.0, count: int = 3
) -> np.ndarray:
    """PARSeq's RandAugment: `count` of 16 operations, each applied with probability one half.

    Args:
        image: (H, W, 3) uint8, a word at its original size.
        rng: source of randomness.
        magnitude: strength of all operations, 0 to 10.
        count: operations drawn, none twice.

    Returns:
        (H', W', 3) uint8; a rotation makes the picture larger.
    """
    operations = _word_operations()
    picture = Image.fromarray(image)
    for name in rng.choice(list(operations), count, replace=False):
        if rng.random() < 0.5:
            picture = operations[name](picture, magnitude / 10, rng)
    return np.asarray(picture)


@lru_cache(maxsize=1)
def _word_operations() -> Mapping[str, Operation]:
    """timm's name -> operation at a level from 0 to 1; timm's own where it has it."""
    from timm.data import auto_augment as timm  # takes seconds to import

    def plain(function: Callable[..., Image.Image], *value: Callable[[float], int]) -> Operation:
        return lambda image, level, rng: function(image, *(of(level) for of in value))

    def enhance(function: Callable[..., Image.Image]) -> Operation:
        return lambda image, level, rng: function(image, max(0.1, 1 + _either(0.9 * level, rng)))

    def warp(function: Callable[..., Image.Image], most: float, **options: bool) -> Operation:
        methods = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)

        def apply(image: Image.Image, level: float, rng: np.random.Generator) -> Image.Image:
            fixed = {"fillcolor": GREY, "resample": methods[rng.integers(2)], **options}
            return function(image, _either(most * level, rng), **fixed)

        return apply

    return {
        "AutoContrast": plain(timm.auto_contrast),
        "Equalize": plain(timm.equalize),
        "Invert": plain(timm.invert),
        "Rotate": warp(timm.rotate, 30, expand=True),
        "PosterizeIncreasing": plain(timm.posterize, lambda level: max(1, 4 - int(level * 4))),
        "SolarizeIncreasing": plain(timm.solarize, lambda level: 256 - int(level * 256)),
        "SolarizeAdd": plain(timm.solarize_add, lambda level: int(level * 110)),
        "ColorIncreasing": enhance(timm.color),
        "ContrastIncreasing": enhance(timm.contrast),
        "BrightnessIncreasing": enhance(timm.brightness),
        "ShearX": warp(timm.shear_x, 0.9),
        "ShearY": warp(timm.shear_y, 0.2),
        "TranslateXRel": warp(timm.translate_x_rel, 0.1),
        "TranslateYRel": warp(timm.translate_y_rel, 0.3),
        "GaussianBlur": gaussian_blur,
        "PoissonNoise": poisson_noise,
    }


def _either(value: float, rng: np.random.Generator) -> float:
    return value if rng.random() < 0.5 else -value


def gaussian_blur(image: Image.Image, level: float, rng: np.random.Generator) -> Image.Image:
    """Blur with a radius of up to 4 pixels."""
    return image.filter(ImageFilter.GaussianBlur(_by_size(image, 4 * level, 0.02)))


def poisson_noise(image: Image.Image, level: float, rng: np.random.Generator) -> Image.Image:
    """Add a Poisson variable of mean up to 40 with a random sign, the same in all channels."""
    mean = _by_size(image, 40 * level, 0.2) | 1
    shape = (image.height, image.width, 1)
    # The normal approximation: drawing true Poisson variables takes most of a millisecond.
    draw = mean + math.sqrt(mean) * rng.standard_normal(shape, np.float32)
    noise = np.round(np.maximum(draw, 0)) * np.sign(rng.random(shape, np.float32) - 0.5)
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


def _by_size(image: Image.Image, value: float, share: float) -> int:
    """A whole number of at most a share of the longer side, so that small words stay legible."""
    return round(min(value, max(1, share * max(image.size))))


def photometric(image_B3HW: Tensor, generator: torch.Generator, strength: float = 0.4) -> Tensor:
    """Random brightness, contrast, saturation and gamma for each image of a batch.

    Args:
        image_B3HW: (B, 3, H, W) uint8, on any device.
        generator: source of randomness; one on the CPU draws the same for every device.
        strength: the factors lie in 1 - strength .. 1 + strength, gamma in 1 / (1 + strength) ..
            1 + strength.

    Returns:
        (B, 3, H, W) uint8.
    """
    count, device = len(image_B3HW), generator.device
    draw_4B = 2 * torch.rand(4, count, generator=generator, device=device) - 1
    draw_4B111 = (strength * draw_4B).to(image_B3HW.device)[..., None, None, None]
    brightness, contrast, saturation, gamma = draw_4B111.unbind()
    image = image_B3HW.float() / 255 * (1 + brightness)
    luma = image.new_tensor(LUMA).view(1, 3, 1, 1)
    grey_B1HW = (image * luma).sum(1, keepdim=True)
    image = torch.lerp(grey_B1HW, image, 1 + saturation)
    image = torch.lerp(grey_B1HW.mean((2, 3), keepdim=True), image, 1 + contrast)
    power = (1 + gamma.abs()) ** gamma.sign()
    return (image.clamp(0, 1) ** power * 255).round().to(torch.uint8)
