"""Batches are the same for any number of workers; epochs differ; ranks share without overlap."""

from __future__ import annotations

import lightning as L
import numpy as np
import pytest
import torch

from ocrpretrain.data import FewerLabels, OCRDataModule, SyntheticScenes
from ocrpretrain.data.datamodule import ViewDataset, sample_seed
from ocrpretrain.data.loader import EpochSampler
from ocrpretrain.data.sources import AnnotatedImage, Source, Word
from ocrpretrain.data.views import SceneView, WordView, stack_images
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
    with pytest.raises(ConfigError, match=r"\(640, 640\) is not a multiple"):  # 1024 is one
        module(size_divisor=256, view_name="page", view={"mode": "gundam"})
    with pytest.raises(DataError, match="less than one batch"):
        module(batch_size=11)
    with pytest.raises(ConfigError, match="view 'line' is not available"):
        module(view_name="line")


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


class Mute(Source):
    """Ten images, of which some have no word, or no polygon."""

    def __init__(self, without: tuple[int, ...]):
        self.without, self.needs = without, []

    def __len__(self) -> int:
        return 10

    def read(self, index, needs=None):
        self.needs.append(needs)
        image = np.random.default_rng(index).integers(0, 256, (20, 40, 3), np.uint8)
        border = np.array([[0, 0], [40, 0], [40, 20], [0, 20]], np.float32)
        words = [Word(f"w{index}", border)]
        if index in self.without:
            words = [Word("weak")] if index % 2 else []
        return AnnotatedImage(image, words, f"{index}")


def test_an_image_without_anything_for_the_view_is_counted_and_replaced(capsys):
    source = Mute((3, 4))
    view = WordView((16, 32))
    dataset = ViewDataset(source, view, seed=0, max_bad=0.2)
    samples = [dataset[index] for index in range(10)]
    assert [sample.text[0] for sample in samples] == [
        f"w{i}" for i in (0, 1, 2, 5, 5, 5, *range(6, 10))
    ]
    assert [sample.replaced for sample in samples] == [0, 0, 0, 2, 1, 0, 0, 0, 0, 0]
    assert set(source.needs) == {view.needs}
    assert "left out 2 of 10" in capsys.readouterr().out
    with pytest.raises(DataError, match="3: has no legible word"):
        [ViewDataset(source, view, seed=0)[index] for index in range(10)]
    assert ViewDataset(source, SceneView(16), seed=0)[3].text == ["weak"]


@pytest.mark.slow
def test_distorted_words_are_the_same_for_any_number_of_workers():
    view = {"size": (16, 32), "augment": "parseq"}

    def batches(workers: int) -> list[torch.Tensor]:
        data = OCRDataModule(
            Mute(()), Mute(()), view, 4, num_workers=workers, view_name="word", collator=collate
        )
        return [batch["image"] for batch in data.train_dataloader()]

    plain, several = batches(0), batches(2)
    assert len(plain) == 2 and all(map(torch.equal, plain, several))


def test_wrong_texts_and_weak_labels_are_nested_shares_of_the_training_set_only():
    source = SyntheticScenes(30, size=(64, 64), words=(3, 4), fresh=False)
    wrong, weak = [], []
    for share in (0.0, 0.3, 0.6):
        options = {"label_noise": share, "weak_fraction": share}
        data = OCRDataModule(source, source, {"size": 64}, 2, **options)
        assert data.val is source
        pairs = [
            (i, w, v)
            for i in range(30)
            for w, v in zip(source[i].words, data.train[i].words, strict=True)
        ]
        wrong.append({(i, v.text) for i, w, v in pairs if v.text != w.text})
        weak.append({i for i, _, v in pairs if v.polygon is None})
    assert not wrong[0] and not weak[0]
    assert wrong[0] < wrong[1] < wrong[2] and weak[0] < weak[1] < weak[2]
    assert 0.1 < len(weak[1]) / 30 < 0.5


class Seen(L.LightningModule):
    """Keeps the images that arrive."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.images: dict[str, list[torch.Tensor]] = {"train": [], "val": []}

    def training_step(self, batch, index):
        self.images["train"].append(batch["image"])
        return self.layer(torch.ones(1)).sum()

    def validation_step(self, batch, index):
        self.images["val"].append(batch["image"])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_colours_are_drawn_on_the_device_for_training_only_and_the_same_again(tmp_path):
    def seen(colour):
        model = Seen()
        quiet = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False}
        trainer = L.Trainer(max_epochs=1, accelerator="cpu", default_root_dir=tmp_path, **quiet)
        trainer.fit(model, module(colour=colour))
        return model.images

    plain, coloured, again = seen(0.0), seen(0.5), seen(0.5)
    for a, b, c in zip(plain["train"], coloured["train"], again["train"], strict=True):
        assert b.dtype == torch.uint8 and not torch.equal(a, b) and torch.equal(b, c)
    for a, b in zip(plain["val"], coloured["val"], strict=True):
        assert torch.equal(a, b)
    with pytest.raises(ConfigError, match=r"data\.colour"):
        module(colour=2.0)
