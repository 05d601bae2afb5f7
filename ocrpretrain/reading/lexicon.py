"""Images against a lexicon, zero-shot, with heads that compare images with texts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ocrpretrain.backbones.base import Features
from ocrpretrain.data.sources.base import AnnotatedImage
from ocrpretrain.data.sources.files import FileStore
from ocrpretrain.data.views import VIEWS, Sample
from ocrpretrain.drawing import draw_attention, tile
from ocrpretrain.errors import CheckpointMismatchError, DataError
from ocrpretrain.weights.build import load_reader
from ocrpretrain.weights.format import read_info

PathLike = str | os.PathLike[str]


def read_lexicon(path: PathLike) -> list[str]:
    """The lines of a UTF-8 file, blank ones and repetitions left out.

    Raises:
        DataError: no such file, not UTF-8, or no line.
    """
    try:
        text = Path(path).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a readable UTF-8 file ({error})") from None
    lines = list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
    if not lines:
        raise DataError(f"{path}: holds no word")
    return lines


class LexiconReader:
    """Ranks the labels of a lexicon for images, at the geometry that the weights were trained with.

    Args:
        weights: a reader file.
        lexicon: labels; blanks separate the words of one label.

    Attributes:
        unreadable: labels without any character of the head's charset; they are never an answer.
        changed: labels that lose characters outside the charset, or what is beyond the head's
            longest word.

    Raises:
        CheckpointMismatchError: not a reader file, or of a head that ranks nothing.
        DataError: no label that the head can read.
    """

    def __init__(self, weights: PathLike, lexicon: Sequence[str]) -> None:
        self.backbone, self.head = load_reader(weights)
        self.view = VIEWS[self.head.view](**{**read_info(weights).view, "train": False})
        self.collator: Any = self.head.collator()
        if not hasattr(self.collator, "lexicon"):
            kind = type(self.head).__name__
            raise CheckpointMismatchError(f"{weights}: {kind} ranks nothing; leave --lexicon out")
        known = self.collator.lexicon(list(lexicon))["text"]
        self.unreadable = [label for label, words in zip(lexicon, known, strict=True) if not words]
        pairs = zip(lexicon, known, strict=True)
        self.changed = [label for label, words in pairs if words and self._loses(label, words)]
        readable = dict.fromkeys(" ".join(words) for words in known if words)
        if not readable:
            raise DataError("no label of the lexicon has a character of the head's charset")
        self.batch = self.collator.lexicon(list(readable))

    def _loses(self, label: str, words: list[str]) -> bool:
        longest = max(map(len, words))
        fewer = sum(map(len, words)) < len("".join(label.split()))
        return fewer or longest >= self.collator.max_label_length

    def sample(self, path: PathLike) -> Sample:
        """An image file as the head sees it."""
        path = Path(path)
        image = FileStore(path.parent).read_image(path.name)
        return self.view(AnnotatedImage(image, [], path.name), seed=0)

    @torch.no_grad()
    def rank(self, sample: Sample, top: int) -> list[tuple[str, float]]:
        """The best `top` labels, as the charset spells them, with their cosines."""
        features, _ = self._encode(sample)
        return self.head.predict(features, self.batch).others[0][:top]

    @torch.no_grad()
    def picture(self, sample: Sample, labels: Sequence[str], columns: int = 5) -> Any:
        """(H, W, 3) uint8: the image under the attention of each word of `labels`."""
        shown = Sample(sample.image, sample.mask, list(labels), [], sample.id, sample.seed)
        features, batch = self._encode(shown)
        words = batch["text"][0]
        maps = self.head.attention(features, batch)[0, : len(words)].cpu().numpy()
        drawn = [draw_attention(sample.image, *pair) for pair in zip(maps, words, strict=True)]
        return tile(drawn, columns)

    def _encode(self, sample: Sample) -> tuple[Features, Any]:
        batch = self.collator([sample])
        return self.head.encode(self.backbone, batch), batch
