"""Words of pictures, read by a reader file."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, cast

import numpy as np
import torch
from lightning.fabric.utilities import move_data_to_device

from ocrpretrain.backbones import ClipViT
from ocrpretrain.data.rectify import croppable, cut_word
from ocrpretrain.data.sources.base import AnnotatedImage, Source, Word
from ocrpretrain.data.views import VIEWS, Sample
from ocrpretrain.drawing import draw_attention, draw_words, tile
from ocrpretrain.errors import CheckpointMismatchError, ConfigError, DataError
from ocrpretrain.evaluation.word_scores import Answer
from ocrpretrain.heads.base import Head
from ocrpretrain.layers.pieces import EAGER, CUDAGraphs, Runner, once
from ocrpretrain.weights.build import load_reader
from ocrpretrain.weights.format import read_info

PathLike = str | os.PathLike[str]
TALL = 1.5  # a crop that is so many times as high as wide may hold a word on its side


class WordFileReader:
    """Reads pictures of one word each.

    Args:
        weights: a reader file.
        upright: tall pictures are also read turned to either side, and the most confident answer
            counts. Off in the published protocol.
        batch_size: pictures at a time.
        half: compute in bfloat16.

    On a GPU, whole batches of a shape are CUDA graphs from the second one on.

    Attributes:
        counts: what the head cut or left out in all that it read, by name.

    Raises:
        CheckpointMismatchError: no reader file, or one that does not read words.
    """

    unit = "words"

    def __init__(
        self, weights: PathLike, upright: bool = False, batch_size: int = 64, half: bool = False
    ) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        backbone, head = load_reader(weights)
        place: dict[str, Any] = {"device": self.device, "dtype": torch.bfloat16 if half else None}
        self.backbone, self.head = backbone.to(**place), head.to(**place)
        self.runners: dict[tuple[torch.Size, bool], Runner] = {}
        if self.head.view != "word":
            raise CheckpointMismatchError(f"{weights}: its head reads no words; see --lexicon")
        self.view: Any = VIEWS["word"](**{**read_info(weights).view, "train": False})
        self.collate: Any = self.head.collator()
        self.upright, self.batch_size = upright, batch_size
        self.counts: Counter[str] = Counter()

    def read(self, items: Iterable[AnnotatedImage]) -> Iterator[Answer]:
        """One answer per picture, in order; one without a legible word is read as a whole.

        Raises:
            DataError: a picture of several words.
        """
        items = iter(items)
        while group := list(islice(items, self.batch_size)):
            turned = [self.samples(item) for item in group]
            found = self._answers([sample for samples in turned for sample in samples])
            for item, samples in zip(group, turned, strict=True):
                best = max((next(found) for _ in samples), key=lambda answer: answer.score)
                label = " ".join(samples[0].text) if croppable(item.words) else ""
                yield best._replace(id=item.id, label=label)

    def read_source(self, source: Source) -> Iterator[Answer]:
        """One answer per picture of a source, in order."""
        return self.read(source.read(place, self.view.needs) for place in range(len(source)))

    def samples(self, item: AnnotatedImage) -> list[Sample]:
        """A picture as the head sees it, a tall one also turned."""
        places = croppable(item.words)
        if len(places) > 1:
            raise DataError(
                f"{item.id}: {len(places)} words; readers of words take pictures of one each, as "
                "the source WordCrops cuts them"
            )
        item = item if places else as_word(item.image, item.id)
        first = self.view(item, seed=0)
        if not self.upright:
            return [first]
        word = item.words[places[0] if places else 0]
        crop = cut_word(item.image, word.outline, word.text, self.view.rectify)
        if crop.shape[0] < TALL * crop.shape[1]:
            return [first]
        sides = (np.ascontiguousarray(np.rot90(crop, turns)) for turns in (1, -1))
        return [first, *(self.view(as_word(image, item.id), seed=0) for image in sides)]

    def check_attention(self) -> None:
        """Raises `ConfigError` where the head draws no attention."""
        if type(self.head).attention is Head.attention:
            raise ConfigError(f"{type(self.head).__name__} draws no attention; leave --save out")

    @torch.no_grad()
    def picture(self, item: AnnotatedImage, columns: int = 8) -> np.ndarray:
        """(H, W, 3) uint8: the picture under what each character looks at, and the class token.

        A picture that was read turned is drawn so.

        Raises:
            ConfigError: a head that draws no attention.
        """
        self.check_attention()
        samples = self.samples(item)
        batch = move_data_to_device(self.collate(samples), self.device)
        features = self.head.encode(self.backbone, batch)
        found = self.head.predict(features, batch)
        best = found.scores.index(max(found.scores))
        sample, text = samples[best], found.texts[best]
        if "visual" in found.branches:
            text, _ = found.branches["visual"][best]
        maps = self.head.attention(features, batch)[best]
        drawn = [
            draw_attention(sample.image, map_hw.float().cpu().numpy(), char)
            for map_hw, char in zip(maps, text, strict=False)
        ]
        if features.prefix is not None:
            image = self.backbone.normalize(batch["image"])
            looks = cast(ClipViT, self.backbone).class_attention(image)[best]
            drawn.append(draw_attention(sample.image, looks.float().cpu().numpy(), "class token"))
        return tile([draw_words(sample.image, [], []), *drawn], columns)

    @torch.no_grad()
    def _answers(self, samples: list[Sample]) -> Iterator[Answer]:
        batch = move_data_to_device(self.collate(samples), self.device)
        masked = batch.get("mask") is not None
        run = self._runner(batch["image"].shape, masked)
        for name in ("image", *["mask"] * masked):
            batch[name] = run.hold(name, batch[name])
        try:
            self.head.runner = run
            features = run("encode", once(lambda: self.head.encode(self.backbone, batch)))
            found = self.head.predict(features, batch)
        finally:
            self.head.runner = EAGER
        self.counts.update(found.counts)
        for place, sample in enumerate(samples):
            branches = {name: answers[place] for name, answers in found.branches.items()}
            yield Answer(sample.id, found.texts[place], found.scores[place], "", branches)

    def _runner(self, shape: torch.Size, masked: bool) -> Runner:
        """A first whole batch runs eagerly, later ones of its shape as graphs."""
        key = (shape, masked)
        if self.device.type == "cpu" or not self.head.replays or shape[0] != self.batch_size:
            return EAGER
        if key not in self.runners:
            self.runners[key] = EAGER
        elif self.runners[key] is EAGER:
            self.runners[key] = CUDAGraphs()
        return self.runners[key]


def as_word(image: np.ndarray, name: str) -> AnnotatedImage:
    """A picture of one unknown word."""
    height, width = image.shape[:2]
    border = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    return AnnotatedImage(image, [Word("?", border)], name)
