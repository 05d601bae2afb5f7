"""Exact shares, no image twice in a round, and a pure function of seed and position."""

from __future__ import annotations

import pickle
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocrpretrain.data import Mixed, OCRDataModule
from ocrpretrain.data.sources.base import AnnotatedImage, Source
from ocrpretrain.data.sources.mixed import BLOCK, apportion, shuffled
from ocrpretrain.errors import DataError


class Numbers(Source):
    def __init__(self, name: str, length: int, fresh: bool = False) -> None:
        self.name, self.length, self.fresh = name, length, fresh

    def __len__(self) -> int:
        return self.length

    def read(self, index, needs=None):
        assert index < self.length or self.fresh
        return AnnotatedImage(np.zeros((8, 8, 3), np.uint8), [], f"{self.name}{index}")


def visits(mixed: Mixed, stop: int) -> dict[int, list[int]]:
    """Source -> the indices that it was asked for, in order of position."""
    found = defaultdict(list)
    for position in range(stop):
        which, index = mixed.locate(position)
        found[which].append(index)
    return found


@given(
    st.lists(st.floats(0.01, 1), min_size=1, max_size=6),
    st.integers(0, 9),
    st.integers(0, 3),
)
@settings(deadline=None, max_examples=30)
def test_every_block_holds_the_exact_shares(weights, seed, block):
    mixed = Mixed([Numbers("x", 5) for _ in weights], weights, seed=seed)
    owners = Counter(mixed.locate(block * BLOCK + place)[0] for place in range(BLOCK))
    for which, weight in enumerate(weights):
        assert abs(owners[which] - BLOCK * weight / sum(weights)) < 1


def test_largest_remainder():
    assert apportion([0.29, 0.71], 1000) == (290, 710)
    assert apportion([1, 1, 1], 1000) == (334, 333, 333)
    assert apportion([3, 1], 1000) == (750, 250)
    assert apportion([5.5, 2.4, 2.1], 10) == (6, 2, 2)


@pytest.mark.parametrize("length", [1, 2, 7, 100, 333, 1500])
def test_a_finite_source_is_walked_in_rounds(length):
    mixed = Mixed([Numbers("a", length), Numbers("b", 40)], [2, 1])
    walked = visits(mixed, 5 * BLOCK)[0]
    rounds = [walked[at : at + length] for at in range(0, len(walked) - length + 1, length)]
    assert len(rounds) >= 2
    assert all(sorted(one) == list(range(length)) for one in rounds)
    if length > 30:
        assert len({tuple(one) for one in rounds}) == len(rounds)
        assert rounds[0] != sorted(rounds[0])


def test_a_generator_goes_on_for_ever():
    mixed = Mixed([Numbers("a", 10), Numbers("b", 10, fresh=True)], [1, 1], length=50)
    assert visits(mixed, 3 * BLOCK)[1] == list(range(3 * BLOCK // 2))
    assert mixed[10**9].id.startswith(("a", "b"))
    assert len(mixed) == 50 and mixed.fresh


def test_a_position_is_a_function_of_the_seed_alone():
    sources = [Numbers("a", 300), Numbers("b", 7)]
    mixed = Mixed(sources, [1, 2], seed=3)
    expected = [mixed[position].id for position in range(2500)]
    again = pickle.loads(pickle.dumps(mixed))
    order = np.random.default_rng(0).permutation(2500)
    assert all(again[int(position)].id == expected[position] for position in order)
    other = Mixed(sources, [1, 2], seed=4)
    assert sum(other[position].id == expected[position] for position in range(2500)) < 1200


def test_epochs_of_a_loader_meet_each_position_once():
    mixed = Mixed([Numbers("a", 30), Numbers("b", 30)], [3, 1], length=40)
    data = OCRDataModule(mixed, mixed, {"size": 8}, 4, num_workers=2, collator=list)
    loader, seen = data.train_dataloader(), []
    for epoch in range(3):
        loader.sampler.set_epoch(epoch)
        seen += [sample.id for batch in loader for sample in batch]
    assert sorted(seen) == sorted(mixed[position].id for position in range(120))


@given(st.integers(1, 400), st.integers(0, 5))
@settings(deadline=None, max_examples=40)
def test_shuffled_is_a_permutation(length, key):
    assert sorted(shuffled(i, length, key) for i in range(length)) == list(range(length))


def test_shuffled_is_even():
    """Each thing comes to each place equally often (chi-square within 5 %), neighbours part."""
    counts, close = np.zeros((30, 30)), 0
    for key in range(600):
        order = [shuffled(place, 30, key) for place in range(30)]
        counts[np.arange(30), order] += 1
        close += sum(abs(a - b) == 1 for a, b in zip(order, order[1:], strict=False))
    chi = ((counts - 20) ** 2 / 20).sum() / 29**2
    assert 0.85 < chi < 1.15
    assert close / 600 == pytest.approx(2 * 29 / 30, rel=0.1)


def test_mistakes_and_records():
    with pytest.raises(DataError, match="2 sources need as many positive weights"):
        Mixed([Numbers("a", 5), Numbers("b", 5)], [1])
    with pytest.raises(DataError, match="positive"):
        Mixed([Numbers("a", 5), Numbers("b", 5)], [1, 0])
    with pytest.raises(DataError, match="positive"):
        Mixed([], [])
    with pytest.raises(DataError, match=r"at least one"):
        Mixed([Numbers("a", 5), Numbers("b", 5)], [10000, 1])
    mixed = Mixed([Numbers("a", 5), Numbers("b", 7)], [3, 1])
    assert len(mixed) == 12
    assert mixed.describe() == "0.75 Numbers(5 images) + 0.25 Numbers(7 images) (seed 0, 12 images)"
    assert mixed.fingerprint() != Mixed(mixed.sources, [2, 1]).fingerprint()
