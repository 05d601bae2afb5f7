"""Work in pieces that can be replayed as CUDA graphs: reading a word is a thousand small kernels.

A piece is what a generator does up to its next `yield` of (result so far, flag). The work ends
where the flag, a bool on the device, says so, or is None. Between pieces the host decides; within
one it neither waits nor launches kernels one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from itertools import count
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")
Work = Generator[tuple[T, Tensor | None], None, None]


def once(work: Callable[[], T]) -> Work[T]:
    """Work of a single piece."""
    yield work(), None


class Runner(Protocol):
    """How pieces are run."""

    def __call__(self, name: str, work: Work[T]) -> T:
        """The result of the piece at which the work ends.

        Args:
            name: of this work; the same one does the same in every run.
            work: a generator that has not begun.
        """
        ...

    def hold(self, name: str, value: Tensor) -> Tensor:
        """An input of later work, where that looks for it."""
        ...


class Eager:
    """Runs pieces as they come."""

    def __call__(self, name: str, work: Work[T]) -> T:
        for result, over in work:
            if over is None or over:
                return result
        raise AssertionError(f"{name} has no last piece")

    def hold(self, name: str, value: Tensor) -> Tensor:
        return value


EAGER = Eager()


class CUDAGraphs:
    """Captures each piece when it is first reached and replays it from then on.

    All runs must have inputs of the same shapes, and what differs between them must have gone
    through `hold`. Results are overwritten by the next run. Run the same work eagerly before, so
    that the libraries have made what they need.
    """

    def __init__(self) -> None:
        self.pool: Any = torch.cuda.graph_pool_handle()
        self.stages: dict[str, _Stage] = {}
        self.held: dict[str, Tensor] = {}

    def __call__(self, name: str, work: Work[T]) -> T:
        if name not in self.stages:
            self.stages[name] = _Stage(work, self.pool)
        return self.stages[name].run()

    def hold(self, name: str, value: Tensor) -> Tensor:
        if name not in self.held:
            self.held[name] = value.clone()
        return self.held[name].copy_(value, non_blocking=True)


class _Stage:
    """The pieces of one generator, which waits in the last that was reached."""

    def __init__(self, work: Work[Any], pool: Any) -> None:
        self.work, self.pool = work, pool
        self.graphs: list[torch.cuda.CUDAGraph] = []
        self.found: list[tuple[Any, Tensor | None]] = []

    def run(self) -> Any:
        for place in count():
            if place == len(self.graphs):
                graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graph, pool=self.pool):
                    self.found.append(next(self.work))
                self.graphs.append(graph)
            self.graphs[place].replay()
            result, over = self.found[place]
            if over is None or over.item():
                return result
