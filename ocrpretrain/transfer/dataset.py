"""Our sources as an MMEngine dataset: folders, zips and the generator, without a copy on disk."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any

import imgaug
import numpy as np
import torch
from mmengine.dataset import BaseDataset, DefaultSampler

from ocrpretrain.config import build
from ocrpretrain.data.datamodule import sample_seed
from ocrpretrain.data.sources.base import Source
from ocrpretrain.errors import DataError


class SourceDataset(BaseDataset):
    """Images and words of a source for MMOCR's detection pipelines.

    A leading `LoadImageFromFile` of the pipeline is left out, since the source decodes the image
    (BGR here, as MMOCR's pipelines expect); so configs stay what MMOCR's own tools can read.

    Args:
        source: `dict(type=..., **arguments)` of the source.
        pipeline: MMOCR transforms.
        test_mode: whether samples are never drawn again when a transform rejects them.
        seed: of the augmentation. A training sample's randomness follows (seed, epoch, index), so
            it is the same for any number of workers, and after a resume.
    """

    METAINFO = {"dataset_type": "TextDetDataset", "task_name": "textdet"}

    def __init__(
        self,
        source: Mapping[str, Any],
        pipeline: list[Any],
        test_mode: bool = False,
        seed: int = 0,
    ) -> None:
        self.source: Source = build(source)
        self.seed = seed
        if pipeline and pipeline[0]["type"] == "LoadImageFromFile":
            pipeline = pipeline[1:]
        super().__init__(pipeline=pipeline, test_mode=test_mode)

    def __getitem__(self, idx: int) -> dict[str, Any]:
        """A sample by its position `epoch * len(self) + index` (see `EpochPositions`)."""
        epoch, index = divmod(idx, len(self))
        if self.test_mode:
            return super().__getitem__(index)
        with torch.random.fork_rng(devices=[]):
            seed_transforms(sample_seed(self.seed, epoch, index))
            return super().__getitem__(index)

    def load_data_list(self) -> list[dict[str, Any]]:
        return [{"index": index} for index in range(len(self.source))]

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """One image and its instances in MMOCR's format.

        Raises:
            DataError: a weak label, whose text a detector would learn as background.
        """
        item = self.source[idx]
        weak = [word.text for word in item.words if word.polygon is None]
        if weak:
            raise DataError(f"{item.id}: words without polygon cannot train a detector: {weak}")
        shape = item.image.shape[:2]
        return {
            "img": np.ascontiguousarray(item.image[..., ::-1]),
            "img_path": item.id,
            "img_shape": shape,
            "ori_shape": shape,
            "height": shape[0],
            "width": shape[1],
            "sample_idx": idx,
            "instances": [
                {
                    "polygon": word.outline.flatten().tolist(),
                    "bbox": [*word.outline.min(0).tolist(), *word.outline.max(0).tolist()],
                    "bbox_label": 0,
                    "ignore": word.ignore,
                    "text": word.text,
                }
                for word in item.words
            ],
        }


class EpochPositions(DefaultSampler):
    """MMEngine's sampler, whose numbers carry the epoch to the dataset in the workers."""

    def __iter__(self) -> Iterator[int]:
        start = self.epoch * len(self.dataset)
        return (start + index for index in super().__iter__())


def seed_transforms(seed: int) -> None:
    """Seed every generator that MMOCR's transforms draw from; MMEngine forgets imgaug's."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    imgaug.seed(seed)
