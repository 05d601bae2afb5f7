"""Heads: the pretraining methods. Each is one file."""

from ocrpretrain.heads.base import Batch, Head, HeadOutput
from ocrpretrain.heads.clip4str import CLIP4STRHead
from ocrpretrain.heads.compression import CompressionHead
from ocrpretrain.heads.ctc import CTCHead
from ocrpretrain.heads.oclip import OCLIPHead

__all__ = ["Batch", "CLIP4STRHead", "CTCHead", "CompressionHead", "Head", "HeadOutput", "OCLIPHead"]
