"""Our sources as an MMEngine dataset: folders, zips and the generator, without a copy on disk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset

from ocrpretrain.config import build
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
    """

    METAINFO = {"dataset_type": "TextDetDataset", "task_name": "textdet"}

    def __init__(
        self, source: Mapping[str, Any], pipeline: list[Any], test_mode: bool = False
    ) -> None:
        self.source: Source = build(source)
        if pipeline and pipeline[0]["type"] == "LoadImageFromFile":
            pipeline = pipeline[1:]
        super().__init__(pipeline=pipeline, test_mode=test_mode)

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
