"""Work in pieces that can be replayed as CUDA graphs: reading a word is a thousand small kernels.

A piece is what a generator does up to its next `yield` of (result so far, flag). The work ends
where the flag, a bool on the device, says so, or is None. Between pieces the host decides; within
one it neither waits nor launches kernels one by one. Every result of a generator holds the same
tensors, which its later pieces go on filling: what comes next was captured for these. Other tensors
that pieces read, weights and tables, must outlive the runner and stay where they are.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from itertools import count
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

T = TypeVar("T")
Work = Generator[tuple[T, Tensor | None], None, None]


def once(work: Callable[[], T]) -> Work[T]:
    """Work of a single piece."""
    yield work(), None


class Runner(Protocol):
    """How pieces are run.

    Attributes:
        replays: whether the pieces of later runs are those of the first one.
    """

    replays: bool

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

    replays = False

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
    that the libraries have made what they need. Capturing a piece waits for the device.
    """

    replays = True

    def __init__(self) -> None:
        self.pool: Any = torch.cuda.graph_pool_handle()
        self.stages: dict[str, _Stage] = {}
        self.held: dict[str, Tensor] = {}

    def __call__(self, name: str, work: Work[T]) -> T:
        stage = self.stages.pop(name, None) or _Stage(work, self.pool)
        result = stage.run()
        self.stages[name] = stage  # not where a capture failed: its generator is over
        return result

    def hold(self, name: str, value: Tensor) -> Tensor:
        if name not in self.held:
            self.held[name] = value.clone()
        held = self.held[name]
        assert (held.shape, held.dtype) == (value.shape, value.dtype), f"{name} has another shape"
        return held.copy_(value, non_blocking=True)


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
                    found = next(self.work)
                self.graphs.append(graph)
                self.found.append(found)
                assert _places(found[0]) == _places(self.found[0][0]), "results moved"
            self.graphs[place].replay()
            result, over = self.found[place]
            if over is None or over.item():
                return result


def _places(result: Any) -> list[int]:
    """Where the tensors of a result lie."""
    return [leaf.data_ptr() for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
