"""The word view: one word of the image, rectified."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from ocrpretrain.data.augment import augment_word
from ocrpretrain.data.rectify import croppable, cut_word
from ocrpretrain.data.sources.base import AnnotatedImage
from ocrpretrain.data.views.base import Resize, Sample, View
from ocrpretrain.errors import ConfigError, DataError


class WordView(View):
    """One word of an image, drawn at random where there are several.

    A legible word with a polygon can be drawn. Where its polygon is the border of the picture, as
    in sets of word images, the picture is the crop.

    Args:
        size: see `View`.
        resize: see `View`.
        rectify: turn and straighten the word by its polygon; False cuts its bounding box out.
        augment: 'parseq' distorts training crops as PARSeq does, see `augment_word`.
        train: whether to distort.

    Raises:
        ConfigError: an unknown option.
    """

    def __init__(
        self,
        size: Sequence[int] | int = (32, 128),
        resize: Resize = "squash",
        rectify: bool = True,
        augment: Literal["parseq"] | None = None,
        train: bool = True,
    ) -> None:
        super().__init__(size, resize, train)
        self.rectify, self.augment = rectify, augment
        if augment not in (None, "parseq"):
            raise ConfigError(f"data.view.augment: 'parseq' or None, found {augment!r}")

    def needs(self, height: int, width: int) -> tuple[int, int]:
        """The full size: before the labels are known, a word may be a small part of the picture."""
        return height, width

    def __call__(self, item: AnnotatedImage, seed: int) -> Sample:
        """One word; weak labels, and words outside the image that were drawn, are counted.

        Raises:
            DataError: no legible word with a polygon inside the image.
        """
        places, rng = croppable(item.words), None
        if len(places) > 1 or self.augment:  # else nothing is drawn, which saves time
            rng = np.random.default_rng(seed)
            places = rng.permutation(places).tolist()
        cropped = sum(word.polygon is None and not word.ignore for word in item.words)
        for place in places:
            word = item.words[place]
            try:
                crop = cut_word(item.image, word.outline, word.text, self.rectify)
            except DataError:
                cropped += 1
                continue
            if self.train and self.augment and rng:
                crop = augment_word(crop, rng)
            name = item.id if len(item.words) == 1 else f"{item.id}#{place}"
            return self.whole(crop, word.text, name, seed, cropped)
        raise DataError(f"{item.id}: has no legible word with a polygon inside the image")
