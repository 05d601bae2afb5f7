"""Batches are the same for any number of workers; epochs differ; ranks share without overlap."""

from __future__ import annotations

import pytest
import torch

from ocrpretrain.data import FewerLabels, OCRDataModule, SyntheticScenes
from ocrpretrain.data.datamodule import sample_seed
from ocrpretrain.data.loader import EpochSampler
from ocrpretrain.data.views import stack_images
from ocrpretrain.errors import ConfigError, DataError


def collate(samples):
    return {"image": stack_images(samples)[0], "id": [s.id for s in samples]}


def module(workers=0, **options):
    kw = {"size": (32, 32), "words": (0, 1), "letter_height": (0.3, 0.5)}
    train = SyntheticScenes(10, seed=0, **kw)
    val = SyntheticScenes(6, seed=1, fresh=False, **kw)
    options = {"view": {"size": 32}, "batch_size": 4, "collator": collate, **options}
    return OCRDataModule(train, val, num_workers=workers, **options)


@pytest.mark.slow
def test_workers_do_not_change_the_batches():
    plain = [list(module().train_dataloader()), list(module().val_dataloader())]
    several = [list(module(2).train_dataloader()), list(module(2).val_dataloader())]
    assert [len(batches) for batches in plain] == [2, 2]
    for a, b in zip(sum(plain, []), sum(several, []), strict=True):
        assert a["id"] == b["id"] and torch.equal(a["image"], b["image"])


def test_a_generator_draws_new_images_each_epoch_and_validation_stays():
    data = module()
    loader = data.train_dataloader()
    first = [name for batch in loader for name in batch["id"]]
    loader.sampler.set_epoch(1)
    second = [name for batch in loader for name in batch["id"]]
    assert not set(first) & set(second)
    fixed = [list(data.val_dataloader()) for _ in range(2)]
    assert torch.equal(fixed[0][0]["image"], fixed[1][0]["image"])


def test_ranks_share_an_epoch_without_overlap():
    samplers = [EpochSampler(23, seed=0, batch_size=3) for _ in range(3)]
    for rank, sampler in enumerate(samplers):
        sampler.rank, sampler.world = rank, 3
        sampler.per_rank = 23 // 9 * 3
    taken = [list(sampler) for sampler in samplers]
    assert [len(part) for part in taken] == [6, 6, 6]
    assert len({index for part in taken for index in part}) == 18


def test_seeds_differ_by_every_part():
    seeds = {sample_seed(s, e, i) for s in range(4) for e in range(4) for i in range(4)}
    assert len(seeds) == 64


def test_mistakes():
    with pytest.raises(ConfigError, match="size_divisor 64"):
        module(size_divisor=64)
    with pytest.raises(DataError, match="less than one batch"):
        module(batch_size=11)
    with pytest.raises(ConfigError, match="view 'word'"):
        module(view_name="word")


def test_smaller_shares_of_images_and_labels_are_part_of_larger_ones():
    words, images = [], []
    for share in (0.25, 0.5, 1.0):
        source = SyntheticScenes(8, size=(64, 64), words=(3, 4), fresh=False)
        data = OCRDataModule(
            source, source, {"size": 64}, 2, data_fraction=share, label_fraction=share
        )
        items = {item.id: item for item in map(data.train.__getitem__, range(len(data.train)))}
        assert len(items) == 8 * share
        images.append(set(items))
        words.append({(i, word.text) for i, item in items.items() for word in item.words})
    assert images[0] < images[1] < images[2] and words[0] < words[1] < words[2]
    labels = FewerLabels(source, 0.25)
    assert [len(labels[i].words) for i in range(8)] == [
        min(1, len(source[i].words)) for i in range(8)
    ]
    assert (labels[0].image == source[0].image).all()


def test_a_share_of_an_endless_generator_is_refused():
    with pytest.raises(ConfigError, match="fresh=False"):
        module(data_fraction=0.5)
    assert module(label_fraction=0.5).train.fresh
    with pytest.raises(DataError, match=r"\(0, 1\]"):
        module(label_fraction=0.0)
