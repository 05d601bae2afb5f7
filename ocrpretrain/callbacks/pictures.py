"""Pictures of what is trained on."""

from __future__ import annotations

from pathlib import Path

import lightning as L
from lightning.pytorch.loggers import WandbLogger

from ocrpretrain.drawing import draw_words, save_picture, tile


class SamplePicture(L.Callback):
    """Draws training samples as the head sees them, with words and polygons, before step 0.

    Args:
        count: number of samples.
        columns: samples per row.
    """

    def __init__(self, count: int = 16, columns: int = 4) -> None:
        self.count, self.columns = count, columns

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        loader = trainer.datamodule.train_dataloader()  # pyright: ignore
        dataset, folder = loader.dataset, Path(trainer.default_root_dir)
        if not trainer.is_global_zero:
            return
        samples = [dataset[index] for index in range(min(self.count, len(dataset)))]
        drawn = [draw_words(s.image, s.text, s.polygons) for s in samples]
        picture = tile(drawn, self.columns)
        save_picture(picture, folder / "samples.png")
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.log_image("samples", [picture])
