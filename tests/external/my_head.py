"""A method of a user's own: one file outside the package, named by its dotted path in a config.

The pretext task: predict the mean colour of each image.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ocrpretrain.backbones import Features
from ocrpretrain.data.views import Sample, stack_images
from ocrpretrain.heads import Batch, Head, HeadOutput


def collate(samples: list[Sample]) -> Batch:
    image, mask = stack_images(samples)
    return Batch(image=image, mask=mask, text=[sample.text for sample in samples])


class ColourHead(Head):
    view = "scene"
    monitor = "val/score"
    default_loss_weights = {"colour": 1.0}

    def __init__(self, in_channels, strides, loss_weights=None, level: int = -1):
        super().__init__(in_channels, strides, loss_weights)
        self.level = level
        self.fc = nn.Linear(in_channels[level], 3)

    def collator(self):
        return collate

    def errors(self, features: Features, batch: Batch) -> Tensor:
        predicted = self.fc(features.maps[self.level].mean((2, 3)))
        target = batch["image"].float().mean((2, 3)) / 255
        return (predicted - target).abs().mean(1)

    def forward(self, features, batch):
        return HeadOutput({"colour": self.errors(features, batch).mean()}, {})

    def validate(self, features, batch):
        return {"error": self.errors(features, batch)}

    def summarize(self, collected: dict[str, Tensor]) -> dict[str, float]:
        return {"score": -torch.as_tensor(collected["error"]).mean().item()}
