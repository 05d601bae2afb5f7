"""One word per image as ids in permuted orders; runs in the workers.

Shapes: B images, K orders, S steps: the longest word and EOS, rounded up so that few sizes occur.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor

from ocrpretrain.data.charset import Charset
from ocrpretrain.data.views import Sample, stack_images
from ocrpretrain.heads.base import Batch
from ocrpretrain.heads.ctc_batch import CTCCollator
from ocrpretrain.layers.permutations import draw_orders, order_masks
from ocrpretrain.layers.word_decoder import Look

STEPS = (8, 16, 26)


class OrderedWords(TypedDict):
    """The words of a batch and the orders in which they are learned.

    Attributes:
        input: (B, S) ids: BOS, the characters, PAD.
        target: (K, B, S) ids: the characters, EOS in the first two orders, PAD elsewhere and for
            words that are left out of the loss.
        look: what each step may look at, in each order.
    """

    input: Tensor
    target: Tensor
    look: Look


class OrdersBatch(Batch, OrderedWords):
    """A batch for heads that learn in permuted orders.

    Attributes:
        left_out: how much of the labels the batch leaves out, by reason: see `CTCCollator`.
    """

    left_out: dict[str, int]


@dataclass(frozen=True)
class OrdersCollator:
    """List of samples -> `OrdersBatch`.

    All words of a batch share the orders, which are drawn for the longest one from the seeds of the
    samples. Short words have fewer orders than K; the others have no target.
    """

    charset: Charset
    max_label_length: int
    orders: int

    def __call__(self, samples: list[Sample]) -> OrdersBatch:
        labels = CTCCollator(self.charset, self.max_label_length)
        left_out = labels.nothing_left_out()
        ids = [labels.encode(sample, left_out) for sample in samples]
        image, mask = stack_images(samples)
        rng = np.random.default_rng([sample.seed for sample in samples])
        return OrdersBatch(
            image=image,
            mask=mask,
            text=[sample.text for sample in samples],
            id=[sample.id for sample in samples],
            left_out=left_out,
            **self.pack(ids, draw_orders(max(map(len, ids), default=0) or 1, self.orders, rng)),
        )

    def pack(self, ids: list[list[int]], drawn: np.ndarray) -> OrderedWords:
        """The tensors of words and their orders."""
        bos, pad = len(self.charset) + 1, len(self.charset) + 2
        longest = drawn.shape[1] - 1
        most = self.max_label_length + 1
        steps = next((s for s in STEPS if longest <= s <= most), most)
        rows = torch.full((len(ids), steps + 1), pad)
        rows[:, 0] = bos
        for row, word in zip(rows, ids, strict=True):
            row[1 : len(word) + 2] = torch.tensor([*word, 0] if word else [pad])
        input_BS = rows[:, :-1].masked_fill(rows[:, :-1] == 0, pad)
        target = torch.full((self.orders, len(ids), steps), pad)
        target[: len(drawn)] = rows[:, 1:]
        target[2:].masked_fill_(target[2:] == 0, pad)
        # Steps behind the longest word come last, orders behind the drawn ones repeat the first.
        tail = np.arange(longest + 1, steps + 1)[None].repeat(len(drawn), 0)
        orders = np.concatenate([drawn, tail], 1)
        orders = np.concatenate([orders, orders[:1].repeat(self.orders - len(drawn), 0)])
        query, content = order_masks(torch.from_numpy(orders))
        look = Look(query, content, input_BS == pad)
        return OrderedWords(input=input_BS, target=target, look=look)
