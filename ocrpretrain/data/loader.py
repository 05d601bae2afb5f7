"""Which images a rank sees in which order, and going on in the middle of an epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch.distributed as dist
from torch.utils.data import DataLoader, Sampler


class EpochSampler(Sampler[int]):
    """A seeded shuffle per epoch; each rank takes every n-th position, none is repeated.

    Lightning calls `set_epoch`; the positions carry the epoch to the dataset in the workers.
    """

    def __init__(self, length: int, seed: int, batch_size: int) -> None:
        self.length, self.seed, self.epoch = length, seed, 0
        in_group = dist.is_available() and dist.is_initialized()
        self.rank = dist.get_rank() if in_group else 0
        self.world = dist.get_world_size() if in_group else 1
        self.per_rank = length // (self.world * batch_size) * batch_size
        self.start = 0  # positions of this rank that the next pass leaves out

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.per_rank

    def __iter__(self) -> Iterator[int]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.length)
        mine = order[self.rank :: self.world][self.start : self.per_rank]
        self.start = 0
        return iter((mine + self.epoch * self.length).tolist())


class ResumableLoader(DataLoader[Any]):
    """A loader whose position is part of a checkpoint (Lightning stores its `state_dict`).

    A resumed pass leaves out the batches that were handed out before, without loading them.
    """

    batches = 0  # handed out in this pass
    resume_at = 0

    def __iter__(self) -> Iterator[Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        self.batches, self.resume_at = self.resume_at, 0
        if isinstance(self.sampler, EpochSampler):
            self.sampler.start = self.batches * (self.batch_size or 1)
        for batch in super().__iter__():
            self.batches += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        return {"batches": self.batches}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        # Stored at the end of an epoch, the next pass begins anew.
        self.resume_at = state_dict["batches"] % len(self)
