"""Texts of pages, read by a reader file."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import torch
from lightning.fabric.utilities import move_data_to_device

from ocrpretrain.data.sources.base import AnnotatedImage, Source
from ocrpretrain.data.views import PageView
from ocrpretrain.errors import CheckpointMismatchError
from ocrpretrain.evaluation.pages import PageAnswer
from ocrpretrain.heads.compression import CompressionHead
from ocrpretrain.weights.build import load_reader
from ocrpretrain.weights.format import read_info

PathLike = str | os.PathLike[str]


class PageFileReader:
    """Reads the whole text of pictures of pages.

    Args:
        weights: a reader file.
        batch_size: pictures at a time.

    Attributes:
        counts: pages that had more to say than the decoder reads (`cut_pages`), or whose true text
            is longer or cannot be spelled.

    Raises:
        CheckpointMismatchError: no reader file, or one that does not read pages.
    """

    unit = "pages"

    def __init__(self, weights: PathLike, batch_size: int = 16) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        backbone, head = load_reader(weights)
        if not isinstance(head, CompressionHead):
            raise CheckpointMismatchError(f"{weights}: its head reads no pages")
        self.backbone, self.head = backbone.to(self.device), head.to(self.device)
        self.view = PageView(**{**read_info(weights).view, "train": False})
        self.collate: Any = head.collator()
        self.batch_size = batch_size
        self.counts: Counter[str] = Counter()

    def read(self, items: Iterable[AnnotatedImage]) -> Iterator[PageAnswer]:
        """One answer per picture, in order."""
        items = iter(items)
        while group := list(islice(items, self.batch_size)):
            yield from self._answers(group)

    def read_source(self, source: Source) -> Iterator[PageAnswer]:
        """One answer per picture of a source, in order."""
        return self.read(source.read(place, self.view.needs) for place in range(len(source)))

    @torch.no_grad()
    def _answers(self, items: list[AnnotatedImage]) -> Iterator[PageAnswer]:
        samples = [self.view(item, seed=0) for item in items]
        batch = move_data_to_device(self.collate(samples), self.device)
        self.counts.update({name: n for name, n in batch["left_out"].items() if n})
        features = self.head.encode(self.backbone, batch)
        found, seen = self.head.predict(features, batch), self.head.seen(features, batch)
        self.counts.update(found.counts)
        for place, (item, sample) in enumerate(zip(items, samples, strict=True)):
            truth, count = "\n".join(sample.text), self.head.tokenizer.count
            whole, tiles, positions = seen[place]
            valid = math.ceil(whole * self._share(item)) + tiles
            counts = (count(truth) - count(sample.given), whole + tiles, valid, positions)
            yield PageAnswer(sample.id, found.texts[place], found.scores[place], truth, *counts)

    def _share(self, item: AnnotatedImage) -> float:
        """Of the whole view, what the page fills."""
        if self.view.resize == "squash":
            return 1.0
        high, wide = (
            side / most for side, most in zip(item.image.shape[:2], self.view.size, strict=True)
        )
        return min(high, wide) / max(high, wide)
