"""Orders in which a decoder reads a word, and the masks that follow (PARSeq, ECCV 2022).

Positions of a word of T characters: 0 is BOS, 1 to T the characters, T + 1 EOS.
Shapes: K orders, T characters, S = T + 1 steps.
"""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import torch
from torch import Tensor

# Of the 24 orders of four characters, sorted: one of each order and its mirror image.
HALF_OF_FOUR = (0, 3, 4, 6, 9, 10, 12, 16, 17, 18, 19, 21)


def draw_orders(characters: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Orders of a word: left to right, right to left, and random ones with mirror images.

    Distinct up to four characters; drawn of longer words, so that two may happen to be equal.

    Args:
        characters: T, at least 1.
        count: how many at most; short words have fewer (1, 2 and 6 of 1, 2 and 3 characters).
        rng: source of the random ones.

    Returns:
        (K, T + 2) positions in the order of reading, BOS first and EOS last, except for the second
        row: from EOS on backwards, so that EOS too is learned without the word before it.
    """
    if characters == 1 or count == 1:
        return np.arange(characters + 2)[None]
    pairs = min(count // 2, math.factorial(characters) // 2)
    rows = [np.arange(characters)]
    if characters < 5:
        pool = list(permutations(range(characters)))
        places = HALF_OF_FOUR if characters == 4 else range(len(pool) // 2)
        chosen = rng.choice(len(places) - 1, pairs - 1, replace=False) + 1
        rows += [np.array(pool[places[i]]) for i in chosen]
    else:
        rows += [rng.permutation(characters) for _ in range(pairs - 1)]
    both = np.stack([order for row in rows for order in (row, row[::-1])])
    orders = np.pad(both + 1, ((0, 0), (1, 1)), constant_values=((0, 0), (0, characters + 1)))
    orders[1, 1:] = np.arange(characters + 1, 0, -1)
    return orders


def order_masks(orders_KP: Tensor) -> tuple[Tensor, Tensor]:
    """(K, T + 2) orders -> what queries and what the input itself may look at, (K, S, S) bool.

    The query of position q + 1 looks at the input positions before it in its order; an input
    position looks at those and at itself.
    """
    rank_KP = orders_KP.argsort(1)
    query_KSS = rank_KP[:, 1:, None] > rank_KP[:, None, :-1]
    return query_KSS, rank_KP[:, :-1, None] >= rank_KP[:, None, :-1]


def cloze_mask(steps: int, device: torch.device | None = None) -> Tensor:
    """(S, S) bool: every position looks at all input but its own character."""
    return ~torch.ones(steps, steps, dtype=torch.bool, device=device).diagonal(1).diag_embed(1)
