"""What the generators of scenes, words and pages share: texts, fonts, surfaces, seeds."""

from __future__ import annotations

from abc import abstractmethod
from inspect import signature

import numpy as np

from ocrpretrain.data.sources.base import AnnotatedImage, Needs, Source
from ocrpretrain.data.synthesis.colours import draw_ramp
from ocrpretrain.data.synthesis.fonts import load_fonts
from ocrpretrain.data.synthesis.texts import Texts
from ocrpretrain.data.synthesis.textures import list_photos, photo_piece, texture
from ocrpretrain.errors import ConfigError


class Generator(Source):
    """Draws image i of a seed, always the same and without the others.

    Args:
        length: images per epoch.
        seed: of the whole set; different seeds share no image.
        fresh: draw new images in every epoch.
        text: what to write; `Texts()` if not given.
        fonts: a folder of fonts, or 'system', instead of the packaged ones.
        backgrounds: a folder of pictures to write on instead of procedural surfaces.

    A subclass keeps each of its own arguments as an attribute of the same name.

    Raises:
        ConfigError: no images.
        DataError: no font draws the texts, or no picture in the folder.
    """

    kind = ""
    version = 2  # goes up when the same arguments draw other pictures

    def __init__(
        self,
        length: int,
        seed: int,
        fresh: bool,
        text: Texts | None,
        fonts: str | None,
        backgrounds: str | None,
    ) -> None:
        if length < 1:
            raise ConfigError(f"{type(self).__name__}: length {length} is no number of images")
        self.length, self.seed, self.fresh = length, seed, fresh
        self.text, self.backgrounds = text or Texts(), backgrounds
        self.fonts = {
            language: load_fonts(self.text.alphabet(language), fonts)
            for language in self.text.languages
        }
        self.photos = list_photos(backgrounds) if backgrounds else ()

    def __len__(self) -> int:
        return self.length

    def describe(self) -> str:
        return f"synthetic {self.kind} (version {self.version}, seed {self.seed})"

    def fingerprint(self) -> str:
        files = sorted({font.path.name for fonts in self.fonts.values() for font in fonts})
        names = " ".join([*files, *(path.name for path in self.photos)])
        own = signature(type(self)).parameters.keys() - signature(Generator).parameters.keys()
        options = {name: getattr(self, name) for name in sorted(own)}
        return f"{self.describe()} {options} {self.text.describe()} {names}"

    def read(self, index: int, needs: Needs | None = None) -> AnnotatedImage:
        rng = np.random.default_rng([self.seed, index])
        item = self.draw(rng)
        item.id = f"synthetic-{self.kind}-{self.seed}-{index}"
        return item

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> AnnotatedImage:
        """One image from its own source of randomness."""

    def surface(self, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
        """(H, W, 3) uint8: a piece of a texture or of a picture."""
        if self.backgrounds:
            return photo_piece(height, width, self.backgrounds, rng)
        return texture(height, width, draw_ramp(rng), rng)
