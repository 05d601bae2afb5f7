"""What heads that read words share: how they are validated."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor

from ocrpretrain.backbones.base import Features
from ocrpretrain.data.charset import Charset
from ocrpretrain.evaluation.words import compare
from ocrpretrain.heads.base import Head


class WordReader(Head):
    """A head that reads one word per image; subclasses set `charset` and define `read`.

    Compared are the 36 letters and digits, or a charset that is not ASCII in itself.
    """

    view = "word"
    monitor = "val/word_accuracy"
    replays = True
    charset: Charset

    def files(self) -> dict[str, str]:
        return self.charset.files()

    @abstractmethod
    def read(self, features: Features) -> list[str]:
        """What each image says."""

    def validate(self, features: Features, batch: Any) -> dict[str, Tensor]:
        """Accuracy and 1-NED of each word that the protocol counts, and their blind twins."""
        texts = self.read(features)
        # A batch of one has no other image to be blinded with.
        others = texts[-1:] + texts[:-1] if len(texts) > 1 else []
        compared = Charset.load(36) if self.charset.characters.isascii() else self.charset
        values: dict[str, Tensor] = {}
        for name, found in {"": texts, "blind_": others}.items():
            pairs = zip(found, ("".join(text) for text in batch["text"]), strict=False)
            counts = [c for c in (compare(*pair, compared) for pair in pairs) if c.words]
            values[f"{name}word_accuracy"] = torch.tensor([c.accuracy for c in counts])
            values[f"{name}one_minus_ned"] = torch.tensor([c.one_minus_ned for c in counts])
        return values

    def summarize(self, collected: dict[str, Tensor]) -> dict[str, float]:
        """Means over the split, and the number of words that the protocol counts."""
        means = {k: v.double().mean().item() if len(v) else 0.0 for k, v in collected.items()}
        return {**means, "words": float(len(collected["word_accuracy"]))}
