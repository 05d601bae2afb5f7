"""Texts of pages, read by a reader file."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import torch

from ocrpretrain.data.sources.base import AnnotatedImage, Source
from ocrpretrain.data.views import PageView, Sample
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
        counts: pages that are longer than the decoder reads or that the tokenizer cannot spell.

    Raises:
        CheckpointMismatchError: no reader file, or one that does not read pages.
    """

    unit = "pages"

    def __init__(self, weights: PathLike, batch_size: int = 16) -> None:
        self.backbone, head = load_reader(weights)
        if not isinstance(head, CompressionHead):
            raise CheckpointMismatchError(f"{weights}: its head reads no pages")
        self.head = head
        self.view = PageView(**{**read_info(weights).view, "train": False})
        self.collate: Any = head.collator()
        self.batch_size = batch_size
        self.counts: Counter[str] = Counter()

    def read(self, items: Iterable[AnnotatedImage]) -> Iterator[PageAnswer]:
        """One answer per picture, in order."""
        items = iter(items)
        while group := list(islice(items, self.batch_size)):
            yield from self._answers([self.view(item, seed=0) for item in group])

    def read_source(self, source: Source) -> Iterator[PageAnswer]:
        """One answer per picture of a source, in order."""
        return self.read(source.read(place, self.view.needs) for place in range(len(source)))

    @torch.no_grad()
    def _answers(self, samples: list[Sample]) -> Iterator[PageAnswer]:
        batch = self.collate(samples)
        self.counts.update({name: n for name, n in batch["left_out"].items() if n})
        features = self.head.encode(self.backbone, batch)
        found, seen = self.head.predict(features, batch), self.head.seen(features, batch)
        for place, sample in enumerate(samples):
            truth = "\n".join(sample.text)
            tokens = self.head.tokenizer.count(truth)
            yield PageAnswer(
                sample.id, found.texts[place], found.scores[place], truth, tokens, *seen[place]
            )
