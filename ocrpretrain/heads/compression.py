"""Optical compression (DeepSeek-OCR, Wei et al. 2025): few vision tokens -> the page's whole text.

A causal decoder reads BOS, the page's tokens and then, one after the other, the tokens of its text.
Shapes: B pages, P positions of the image, S tokens of the text, W channels, V ids.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ocrpretrain.backbones.base import Features
from ocrpretrain.data.page_tokenizer import PageTokenizer
from ocrpretrain.errors import ConfigError
from ocrpretrain.evaluation.pages import score_page
from ocrpretrain.heads.base import Head, HeadOutput, Prediction
from ocrpretrain.heads.page_batch import NO_TARGET, PageBatch, PageCollator
from ocrpretrain.layers.causal_decoder import CausalDecoder
from ocrpretrain.layers.chunked_loss import chunked_cross_entropy
from ocrpretrain.layers.distributed import global_mean
from ocrpretrain.layers.page_tokens import PageTokens
from ocrpretrain.strides import Stride

SCORES = ("one_minus_ned", "precision", "recall")


class CompressionHead(Head):
    """Reads a page from its last map.

    Args:
        in_channels: given by the engine.
        strides: given by the engine.
        loss_weights: of `text` (1) and `balance` of the experts (0.001).
        tokenizer: a `tokenizer.json`; bytes by default.
        max_tokens: of a text, EOS included; longer pages are left out of the loss, and counted.
        decoder: arguments of `CausalDecoder`, its vocabulary left out.
        tokens: pools the map to so many cells, a square number; None keeps the map's.
        sees: 'page'; or the controls: 'nothing', a language model alone; 'text', the mean-pooled
            embeddings of the text itself, in as many positions.

    Raises:
        ConfigError: tokens that are no square number.
    """

    view = "page"
    monitor = "val/one_minus_ned"
    default_loss_weights = {"text": 1.0, "balance": 0.001}

    def __init__(
        self,
        in_channels: Sequence[int],
        strides: Sequence[Stride],
        loss_weights: Mapping[str, float] | None = None,
        tokenizer: str | None = None,
        max_tokens: int = 1024,
        decoder: Mapping[str, Any] | None = None,
        tokens: int | None = None,
        sees: Literal["page", "nothing", "text"] = "page",
    ) -> None:
        super().__init__(in_channels, strides, loss_weights)
        self.tokenizer, self.max_tokens = PageTokenizer(tokenizer), max_tokens
        sizes = {"width": 384, "layers": 6, "heads": 6, "hidden": 1024, **(decoder or {})}
        self.decoder = CausalDecoder(len(self.tokenizer), **sizes)
        self.page = PageTokens(in_channels[-1], sizes["width"])
        self.side = None if tokens is None else math.isqrt(tokens)
        if tokens is not None and math.isqrt(tokens) ** 2 != tokens:
            raise ConfigError(f"head.tokens: a square number, such as 16 or 64, found {tokens}")
        self.sees = sees

    def collator(self) -> PageCollator:
        return PageCollator(self.tokenizer, self.max_tokens)

    def forward(self, features: Features, batch: PageBatch) -> HeadOutput:
        """Cross entropy of each next token, and the balance of the experts' work."""
        ids_BS = batch["ids"]
        start_BPW = self.start(features, ids_BS)
        text_BSW = self.decoder.embedding(ids_BS.clamp(min=0))
        states, balance = self.decoder(torch.cat([start_BPW, text_BSW[:, :-1]], 1))
        states_MW = states[:, start_BPW.shape[1] - 1 :].flatten(0, 1)
        target_M = ids_BS.flatten()
        total = chunked_cross_entropy(states_MW, self.decoder.head.weight, target_M, NO_TARGET)
        count = (target_M != NO_TARGET).sum()
        metrics = {name: torch.tensor(float(n)) for name, n in batch["left_out"].items()}
        losses = {"text": global_mean(total[None], count), "balance": balance}
        return HeadOutput(losses, metrics)

    def start(self, features: Features, ids_BS: Tensor) -> Tensor:
        """(B, P, W): BOS and what the decoder sees of the page before it reads."""
        map_BChw = features.maps[-1]
        if self.side is not None:
            map_BChw = F.adaptive_avg_pool2d(map_BChw, self.side)
        first = torch.full((len(map_BChw), 1), self.tokenizer.bos_id, device=map_BChw.device)
        parts = [self.decoder.embedding(first)]
        if self.sees != "nothing":
            parts.append(torch.stack(self.page(map_BChw)))
        if self.sees == "text":
            parts[1] = self._pooled(ids_BS, parts[1].shape[1])
        return torch.cat(parts, 1)

    def _pooled(self, ids_BS: Tensor, positions: int) -> Tensor:
        """(B, positions, W): mean embeddings of equal parts of each text."""
        rows = []
        for ids_S in ids_BS:
            own_SW = self.decoder.embedding(ids_S[ids_S != NO_TARGET])
            empty = own_SW.new_zeros(1, own_SW.shape[1])
            own_SW = own_SW if len(own_SW) else empty
            rows.append(F.adaptive_avg_pool1d(own_SW.T, positions).T)
        return torch.stack(rows)

    def predict(self, features: Features, batch: PageBatch) -> Prediction:
        """What each page says; the score is the geometric mean of its tokens' probabilities."""
        start_BPW = self.start(features, batch["ids"])
        ids_BS, score_B = self.decoder.generate(start_BPW, self.tokenizer.eos_id, self.max_tokens)
        texts = [self.tokenizer.decode(row) for row in ids_BS.tolist()]
        scores = score_B.exp().tolist()
        pairs = zip(texts, scores, strict=True)
        return Prediction(texts, scores, [[pair] for pair in pairs])

    def validate(self, features: Features, batch: PageBatch) -> dict[str, Tensor]:
        """1 - NED and Fox's word sets of each page, and their blind twins."""
        texts = self.predict(features, batch).texts
        others = texts[-1:] + texts[:-1] if len(texts) > 1 else []
        values: dict[str, Tensor] = {}
        for prefix, found in {"": texts, "blind_": others}.items():
            truths = ("\n".join(text) for text in batch["text"])
            pages = [score_page(*pair) for pair in zip(found, truths, strict=False)]
            for name in SCORES:
                known = [getattr(page, name) for page in pages]
                values[prefix + name] = torch.tensor([x for x in known if x is not None])
        return values

    def summarize(self, collected: dict[str, Tensor]) -> dict[str, float]:
        """Means over the pages where a score exists."""
        return {k: v.double().mean().item() if len(v) else 0.0 for k, v in collected.items()}
