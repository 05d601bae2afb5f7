"""The Lightning data module: sources -> views -> batches, the same for any number of workers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from zlib import crc32

import cv2
import lightning as L
import numpy as np
import torch
from torch.utils.data import Dataset

from ocrpretrain.data.augment import photometric
from ocrpretrain.data.loader import EpochSampler, ResumableLoader
from ocrpretrain.data.sources.bad import check_bad
from ocrpretrain.data.sources.base import Source
from ocrpretrain.data.sources.fewer_labels import FewerLabels
from ocrpretrain.data.sources.noisy_labels import NoisyLabels, WeakLabels
from ocrpretrain.data.sources.part import Part
from ocrpretrain.data.views import VIEWS, Sample, View
from ocrpretrain.errors import ConfigError, DataError
from ocrpretrain.strides import Stride, sides

VALIDATION_EPOCH = 2**31  # seeds of the validation view never meet those of a training epoch


def sample_seed(seed: int, epoch: int, index: int) -> int:
    """One number per (run, epoch, sample): independent of worker, rank and batch."""
    return int(np.random.SeedSequence([seed, epoch, index]).generate_state(1)[0])


class ViewDataset(Dataset[Sample]):
    """Views of a source; an item is addressed by `epoch * len(source) + index`.

    An image that cannot be read, or has nothing for the view, is replaced by the next usable one,
    as long as each process meets no more than a share `max_bad` of them; each is named once.
    """

    def __init__(
        self, source: Source, view: View, seed: int, fixed: bool = False, max_bad: float = 0.0
    ) -> None:
        self.source, self.view, self.seed, self.fixed = source, view, seed, fixed
        self.max_bad, self.bad = max_bad, dict[int, str]()

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, position: int) -> Sample:
        epoch, index = divmod(position, len(self.source))
        seed = sample_seed(self.seed, VALIDATION_EPOCH if self.fixed else epoch, index)
        # A generator draws new images every epoch; files are the same images again.
        first, step = position if self.source.fresh else index, 0
        while True:
            place = first + step if self.source.fresh else (first + step) % len(self.source)
            try:
                sample = self.view(self.source.read(place, self.view.needs), seed)
            except DataError as error:
                if place not in self.bad:
                    self.bad[place] = str(error)
                    check_bad("images", list(self.bad.values()), len(self.source), self.max_bad)
                step += 1
            else:
                sample.replaced = step
                return sample


class OCRDataModule(L.LightningDataModule):
    """Training and validation batches for one head.

    Args:
        train: source of the training images.
        val: source of the validation images, disjoint from `train`.
        view: arguments of the head's view (`size`, `resize`, ...).
        batch_size: images per step and process.
        val_batch_size: images per validation batch; `batch_size` if not given.
        data_fraction: share of the training images; a smaller share is part of a larger one.
        max_bad: share of the training images that may be unreadable or hold nothing for the view;
            each is named, counted (`train/unreadable_images`) and replaced by its neighbour.
        label_fraction: share of each training image's words that stay in its label, at least one;
            a smaller share is part of a larger one.
        label_noise: share of the training words with a wrong text, see `NoisyLabels`.
        weak_fraction: share of the training images whose words lose their polygons.
        colour: strength of the random colours of training batches, drawn on the device; see
            `photometric`. 0 draws none.
        num_workers: loader processes.
        seed: given by the engine.
        view_name: given by the engine, from the head.
        collator: given by the engine, from the head.
        size_divisor: given by the engine, from the backbone.

    Raises:
        ConfigError: a view size that the backbone does not divide, or a share of endless images.
        DataError: fewer training images than one batch, or more unusable ones than `max_bad`.
    """

    def __init__(
        self,
        train: Source,
        val: Source,
        view: Mapping[str, Any],
        batch_size: int,
        val_batch_size: int | None = None,
        num_workers: int = 0,
        data_fraction: float = 1.0,
        label_fraction: float = 1.0,
        label_noise: float = 0.0,
        weak_fraction: float = 0.0,
        colour: float = 0.0,
        max_bad: float = 0.0,
        *,
        seed: int = 0,
        view_name: str = "scene",
        collator: Callable[[list[Sample]], Any] | None = None,
        size_divisor: Stride = 1,
    ) -> None:
        super().__init__()
        if view_name not in VIEWS:
            raise ConfigError(f"view {view_name!r} is not available; there is {sorted(VIEWS)}")
        self.train_view = VIEWS[view_name](**view)
        self.val_view = VIEWS[view_name](**{**view, "train": False})
        for size in self.train_view.sizes():
            if any(side % by for side, by in zip(size, sides(size_divisor), strict=True)):
                raise ConfigError(
                    f"data.view.size: {size} is not a multiple of the backbone's size_divisor "
                    f"{size_divisor}"
                )
        if not 0 <= colour <= 1:
            raise ConfigError(f"data.colour: a strength in [0, 1], found {colour}")
        if not 0 <= max_bad < 1:
            raise ConfigError(f"data.max_bad: a share in [0, 1), found {max_bad}")
        if data_fraction != 1.0:
            if train.fresh:
                raise ConfigError(
                    "data.data_fraction: the source draws new images every epoch, so a share of "
                    "it is no less; set its length, or fresh=False"
                )
            train = Part(train, stop=data_fraction, seed=seed)
        if label_noise:  # first: wrong texts are chosen by the place of a word in its image
            train = NoisyLabels(train, label_noise, seed)
        if label_fraction != 1.0:
            train = FewerLabels(train, label_fraction, seed)
        if weak_fraction:
            train = WeakLabels(train, weak_fraction, seed)
        if len(train) < batch_size:
            raise DataError(f"data.train: {len(train)} images are less than one batch")
        self.train, self.val = train, val
        self.batch_size, self.val_batch_size = batch_size, val_batch_size or batch_size
        self.num_workers, self.seed, self.collator = num_workers, seed, collator
        self.max_bad, self.colour = max_bad, colour
        self._train_loader: ResumableLoader | None = None
        self._position: dict[str, int] | None = None

    def train_dataloader(self) -> ResumableLoader:
        dataset = ViewDataset(self.train, self.train_view, self.seed, max_bad=self.max_bad)
        sampler = EpochSampler(len(dataset), self.seed, self.batch_size)
        self._train_loader = self._loader(dataset, self.batch_size, sampler)
        if self._position:
            self._train_loader.load_state_dict(self._position)
        self._position = None
        return self._train_loader

    # Lightning restores its loaders only where nothing has asked for the number of steps before.
    def state_dict(self) -> dict[str, int]:
        return self._train_loader.state_dict() if self._train_loader else {}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        self._position = state_dict

    def val_dataloader(self) -> ResumableLoader:
        dataset = ViewDataset(self.val, self.val_view, self.seed, fixed=True)
        return self._loader(dataset, self.val_batch_size, None)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        trainer = self.trainer
        if self.colour and trainer is not None and trainer.training:
            # A function of run, epoch and images alone, so that a resumed run draws the same.
            names = crc32("\n".join(batch["id"]).encode())
            seed = sample_seed(self.seed, trainer.current_epoch, names)
            generator = torch.Generator().manual_seed(seed)
            batch["image"] = photometric(batch["image"], generator, self.colour)
        return batch

    def _loader(
        self, dataset: ViewDataset, batch_size: int, sampler: EpochSampler | None
    ) -> ResumableLoader:
        return ResumableLoader(
            dataset,
            batch_size,
            sampler=sampler,
            num_workers=self.num_workers,
            collate_fn=self.collator,
            persistent_workers=self.num_workers > 0,
            worker_init_fn=_one_thread,
            pin_memory=torch.cuda.is_available(),
            # Of its own, so that starting workers leaves the run's random state alone.
            generator=torch.Generator().manual_seed(self.seed),
        )


def _one_thread(worker: int) -> None:
    # Workers are the parallelism; OpenCV's own threads would only compete with them.
    cv2.setNumThreads(0)
