"""Words of a batch as packed rows: N real words instead of B images times the most slots.

Shapes: N words, B images, S slots (most words of one image), D width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Packed(NamedTuple):
    """Which image and slot each packed row belongs to.

    Attributes:
        image: (N,) index of the image.
        slot: (N,) position among the image's words.
        images: B, a Python int so that no shape waits for the device.
        slots: S, a Python int for the same reason.
    """

    image: Tensor
    slot: Tensor
    images: int
    slots: int

    def pad(self, x_ND: Tensor) -> Tensor:
        """(N, ...) -> (B, S, ...); slots without a word are 0."""
        x_BSD = x_ND.new_zeros(self.images, self.slots, *x_ND.shape[1:])
        return x_BSD.index_put((self.image, self.slot), x_ND)

    def unpad(self, x_BSD: Tensor) -> Tensor:
        """(B, S, ...) -> (N, ...)."""
        return x_BSD[self.image, self.slot]

    def counts(self) -> Tensor:
        """(B,) number of words of each image."""
        zeros = torch.zeros(self.images, dtype=torch.long, device=self.image.device)
        return zeros.index_add(0, self.image, torch.ones_like(self.image))

    def sum(self, x_ND: Tensor) -> Tensor:
        """(N, D) -> (B, D), summed over the words of each image."""
        return x_ND.new_zeros(self.images, *x_ND.shape[1:]).index_add(0, self.image, x_ND)
