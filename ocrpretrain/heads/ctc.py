"""A CTC reader (Graves et al. 2006; CRNN): each column of the image says one character or none.

Shapes: B images, C channels, h, w cells of the last map, T columns, S characters, V classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from ocrpretrain.backbones.base import Features
from ocrpretrain.data.charset import Charset
from ocrpretrain.heads.base import HeadOutput, Prediction
from ocrpretrain.heads.ctc_batch import CTCBatch, CTCCollator
from ocrpretrain.heads.word_reader import WordReader
from ocrpretrain.layers.attention_pool import grid_mask
from ocrpretrain.layers.distributed import global_mean
from ocrpretrain.strides import Stride, sides

COLUMN = 4  # pixels: a word of 128 has 32 columns, for 25 characters of which some stand twice


class CTCHead(WordReader):
    """Columns of the last map of any backbone, each classified; CTC aligns them with the label.

    The height is averaged away. A cell of a map coarser than 4 pixels becomes several columns.
    Blank is class 0, the charset's padding, and the characters keep their ids.

    Args:
        in_channels: given by the engine.
        strides: given by the engine.
        loss_weights: of `ctc` (1).
        charset: 36, 62, 94 or a file of characters.
        hidden: channels of a column.
        max_label_length: longer labels are left out of the loss, and counted.
    """

    default_loss_weights = {"ctc": 1.0}

    def __init__(
        self,
        in_channels: Sequence[int],
        strides: Sequence[Stride],
        loss_weights: Mapping[str, float] | None = None,
        charset: str | int = 94,
        hidden: int = 192,
        max_label_length: int = 25,
    ) -> None:
        super().__init__(in_channels, strides, loss_weights)
        self.charset, self.max_label_length = Charset.load(charset), max_label_length
        self.columns_per_cell = max(1, sides(strides[-1])[1] // COLUMN)
        self.project = nn.Linear(in_channels[-1], hidden * self.columns_per_cell)
        self.mix = nn.Sequential(_convolution(hidden), _convolution(hidden))
        self.classify = nn.Linear(hidden, len(self.charset) + 1)

    def collator(self) -> CTCCollator:
        return CTCCollator(self.charset, self.max_label_length)

    def log_probs(self, features: Features) -> tuple[Tensor, Tensor]:
        """(B, T, V) float32 log-probabilities, and (B,) columns that are not padding."""
        map_BChw = features.maps[-1]
        real_B1hw = torch.ones_like(map_BChw[:, :1])
        padding = grid_mask(features.mask, *map_BChw.shape[2:])
        if padding is not None:
            real_B1hw = (~padding).view_as(real_B1hw).to(map_BChw.dtype)
        pooled_BCw = (map_BChw * real_B1hw).sum(2) / real_B1hw.sum(2).clamp(min=1)
        column_BTC = self.project(pooled_BCw.mT).unflatten(2, (self.columns_per_cell, -1))
        column_BTC = self.mix(column_BTC.flatten(1, 2).mT).mT
        columns_B = real_B1hw.amax((1, 2)).long().sum(1) * self.columns_per_cell
        return self.classify(column_BTC).float().log_softmax(-1), columns_B

    def forward(self, features: Features, batch: CTCBatch) -> HeadOutput:
        """The loss per character; words with fewer columns than they need are left out."""
        log_prob_BTV, columns_B = self.log_probs(features)
        fits_B = batch["columns"] <= columns_B
        used_B = fits_B & (batch["length"] > 0)
        length_N = batch["length"][used_B]
        loss_N = _ctc(log_prob_BTV[used_B], columns_B[used_B], batch["target"][used_B], length_N)
        metrics = {name: torch.tensor(float(n)) for name, n in batch["left_out"].items()}
        metrics["words_without_room"] = (~fits_B).sum().float()
        return HeadOutput({"ctc": global_mean(loss_N / length_N)}, metrics)

    def decode(self, log_prob_BTV: Tensor, columns_B: Tensor) -> list[list[int]]:
        """Ids of the best class of each column without repetitions, then without blanks."""
        id_BT = log_prob_BTV.argmax(-1)
        place_T = torch.arange(id_BT.shape[1], device=id_BT.device)
        id_BT = id_BT.masked_fill(place_T >= columns_B.unsqueeze(1), 0)
        keep_BT = (id_BT != F.pad(id_BT, (1, 0))[:, :-1]) & (id_BT > 0)
        return [ids[keep].tolist() for ids, keep in zip(id_BT, keep_BT, strict=True)]

    def read(self, features: Features) -> list[str]:
        return [self.charset.decode(ids) for ids in self.decode(*self.log_probs(features))]

    def predict(self, features: Features, batch: CTCBatch) -> Prediction:
        """What each image says; the score is the text's probability over all its alignments."""
        log_prob_BTV, columns_B = self.log_probs(features)
        ids = self.decode(log_prob_BTV, columns_B)
        target_BS = pad_sequence([columns_B.new_tensor(row) for row in ids], batch_first=True)
        length_B = columns_B.new_tensor([len(row) for row in ids])
        scores = _ctc(log_prob_BTV, columns_B, target_BS, length_B).neg().exp().tolist()
        answers = list(zip(map(self.charset.decode, ids), scores, strict=True))
        return Prediction([text for text, _ in answers], scores, [[pair] for pair in answers])


def _ctc(log_prob_BTV: Tensor, columns_B: Tensor, target_BS: Tensor, length_B: Tensor) -> Tensor:
    """(B,) negative log-probability of each label, summed over its alignments."""
    if not len(length_B):
        return log_prob_BTV.sum((1, 2))  # PyTorch refuses an empty batch
    log_prob_TBV = log_prob_BTV.transpose(0, 1)
    return F.ctc_loss(log_prob_TBV, target_BS, columns_B, length_B, reduction="none")


def _convolution(channels: int) -> nn.Sequential:
    layer = nn.Conv1d(channels, channels, 3, padding=1, bias=False)
    return nn.Sequential(layer, nn.BatchNorm1d(channels), nn.ReLU(inplace=True))
