"""Optical compression (DeepSeek-OCR, Wei et al. 2025): few vision tokens -> the page's whole text.

A causal decoder reads BOS, what is given of the text, the page's tokens and then, one after the
other, the tokens of the whole text.
Shapes: B pages, P positions of the image, S tokens of the text, W channels, V ids.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ocrpretrain.backbones.base import Backbone, Features
from ocrpretrain.data.page_tokenizer import PageTokenizer
from ocrpretrain.errors import ConfigError
from ocrpretrain.evaluation.pages import score_of, score_page
from ocrpretrain.heads.base import Head, HeadOutput, Prediction
from ocrpretrain.heads.page_batch import NO_TARGET, PageBatch, PageCollator
from ocrpretrain.layers.causal_decoder import CausalDecoder
from ocrpretrain.layers.chunked_loss import chunked_cross_entropy
from ocrpretrain.layers.distributed import global_mean
from ocrpretrain.layers.page_tokens import PageTokens
from ocrpretrain.strides import Stride, sides

SCORES = ("one_minus_ned", "precision", "recall")


class CompressionHead(Head):
    """Reads a page from its last map.

    Args:
        in_channels: given by the engine.
        strides: given by the engine.
        loss_weights: of `text` (1) and `balance` of the experts (0.001).
        tokenizer: a `tokenizer.json`; bytes by default.
        max_tokens: of a text, EOS included; longer pages are left out of the loss, and counted.
        decoder: arguments of `CausalDecoder`; `vocab_size` only where it is more than the
            tokenizer has ids.
        tokens: pools each map to so many cells, a square number; None keeps the map's.
        sees: 'page'; or the controls: 'nothing', a language model alone; 'text', mean-pooled
            embeddings of the text itself in place of the cells of the whole page.

    Raises:
        ConfigError: tokens that are no square number, fewer ids than the tokenizer has, or another
            control. While running: more tokens than the map has cells.
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
        if sees not in ("page", "nothing", "text") or max_tokens < 1:
            raise ConfigError(
                f"head: sees is page, nothing or text, found {sees!r}; max_tokens 1 or more, "
                f"found {max_tokens}"
            )
        self.tokenizer, self.max_tokens = PageTokenizer(tokenizer), max_tokens
        sizes = {"width": 384, "layers": 6, "heads": 6, "hidden": 1024, **(decoder or {})}
        ids = sizes.setdefault("vocab_size", len(self.tokenizer))
        if ids < len(self.tokenizer):
            raise ConfigError(f"head.decoder.vocab_size: {ids} of {len(self.tokenizer)} ids")
        self.decoder = CausalDecoder(**sizes)
        # A control has no part that it does not train: DDP would wait for its gradient.
        self.page = None
        if sees != "nothing":
            self.page = PageTokens(in_channels[-1] if sees == "page" else None, sizes["width"])
        if tokens is not None and (tokens < 1 or math.isqrt(tokens) ** 2 != tokens):
            raise ConfigError(f"head.tokens: a square number, such as 16 or 64, found {tokens}")
        self.side = None if tokens is None else math.isqrt(tokens)
        self.sees = sees
        if sees != "page":  # greedy answers without an image are all the same
            self.monitor = "val/log_likelihood"

    def files(self) -> dict[str, str]:
        return self.tokenizer.files()

    def collator(self) -> PageCollator:
        return PageCollator(self.tokenizer, self.max_tokens)

    def encode(self, backbone: Backbone, batch: PageBatch) -> Features:
        """The whole pages, and the tiles of all pages as one batch.

        The controls see nothing of the backbone, which does not run.
        """
        if self.sees != "page":
            high, wide = sides(self.strides[-1])
            batch_size, _, height, width = batch["image"].shape
            size = (batch_size, self.in_channels[-1], height // high, width // wide)
            return Features((torch.zeros(size, device=batch["image"].device),))
        features = super().encode(backbone, batch)
        if batch["tiles"] is None:
            return features
        tiles = backbone(backbone.normalize(batch["tiles"])).maps[-1]
        return features._replace(tiles=tiles)

    def forward(self, features: Features, batch: PageBatch) -> HeadOutput:
        """Cross entropy of each next token, and the balance of the experts' work."""
        total, count, balance = self._cross_entropy(features, batch)
        metrics = {name: torch.tensor(float(n)) for name, n in batch["left_out"].items()}
        losses = {"text": global_mean(total[None], count), "balance": balance}
        return HeadOutput(losses, metrics)

    def _cross_entropy(self, features: Features, batch: PageBatch) -> tuple[Tensor, Tensor, Tensor]:
        """The sum over all tokens, how many these are, and the balance of the experts' work."""
        starts, ids_BS = self._starts(features, batch), batch["ids"]
        text_BSW = self.decoder.embedding(ids_BS.clamp(min=0))[:, :-1]
        first, steps = {len(start) - 1 for start in starts}, ids_BS.shape[1]
        if len(first) == 1:
            states, balance = self.decoder(torch.cat([torch.stack(starts), text_BSW], 1))
            states = states[:, first.pop() :]
        else:  # padded on the right, where causal attention needs no mask
            rows = [torch.cat(pair) for pair in zip(starts, text_BSW, strict=True)]
            states, balance = self.decoder(pad_sequence(rows, True))
            pairs = zip(states, starts, strict=True)
            states = torch.stack([row[len(start) - 1 :][:steps] for row, start in pairs])
        target_M = ids_BS.flatten()
        head_VW = self.decoder.head.weight
        total = chunked_cross_entropy(states.flatten(0, 1), head_VW, target_M, NO_TARGET)
        return total, (target_M != NO_TARGET).sum(), balance

    def start(self, features: Features, batch: PageBatch) -> tuple[Tensor, Tensor | None]:
        """What the decoder sees before it reads: BOS, what is given of the text, and the page.

        Returns:
            (B, P, W), and (B, P) bool, True = padding, on the left; None where there is none.
        """
        starts = self._starts(features, batch)
        lengths = torch.tensor([len(start) for start in starts])
        start_BPW = pad_sequence(starts, True, 0.0, "left")
        if len(lengths.unique()) == 1:
            return start_BPW, None
        padding_BP = torch.arange(start_BPW.shape[1]) < (lengths.max() - lengths)[:, None]
        return start_BPW, padding_BP.to(start_BPW.device)

    def _starts(self, features: Features, batch: PageBatch) -> list[Tensor]:
        """(P, W) of each page, see `start`; the host waits only where something is given."""
        given_BG = batch["given"]
        pages, bos = self._pages(features, batch), given_BG.new_full((1,), self.tokenizer.bos_id)
        if not given_BG.shape[1]:
            first_1W = self.decoder.embedding(bos)
            return [torch.cat([first_1W, page]) for page in pages]
        real = ([bos, given_G[given_G != NO_TARGET]] for given_G in given_BG)
        texts = (self.decoder.embedding(torch.cat(ids)) for ids in real)
        return [torch.cat(pair) for pair in zip(texts, pages, strict=True)]

    def seen(self, features: Features, batch: PageBatch) -> list[tuple[int, int, int]]:
        """Of each page, cells of the whole view, of its tiles, and positions of the decoder.

        Positions include what is given of the text and leave BOS out. A control sees no tiles, and
        'nothing' no cells; the mean embeddings of a text stand in the cells of the whole page.
        """
        start_BPW, padding_BP = self.start(features, batch)
        hidden = [0] * len(start_BPW) if padding_BP is None else padding_BP.sum(1).tolist()
        whole, tiles = self._pool(features.maps[-1]), self._pool(features.tiles)
        cells = 0 if self.sees == "nothing" else whole[0, 0].numel()
        small = 0 if tiles is None else tiles[0, 0].numel()
        grids = batch["grids"] if self.sees == "page" else [(0, 0)] * len(start_BPW)
        counts = [columns * rows * small for columns, rows in grids]
        positions = start_BPW.shape[1] - 1
        return [(cells, n, positions - int(h)) for n, h in zip(counts, hidden, strict=True)]

    def _pages(self, features: Features, batch: PageBatch) -> list[Tensor]:
        """(P, W) of each page."""
        whole_BChw = self._pool(features.maps[-1])
        if self.page is None:
            empty = self.decoder.embedding.weight.new_zeros(0, self.decoder.embedding.embedding_dim)
            return [empty] * len(whole_BChw)
        if self.sees == "page":
            return self.page(whole_BChw, self._pool(features.tiles), batch["grids"])
        size = whole_BChw.shape[2:]
        return self.page(self._pooled(batch["whole"], size.numel()).mT.unflatten(2, size))

    def _pool(self, map_BChw: Any) -> Any:
        """A map of fewer cells, where `tokens` asks for them."""
        if self.side is None or map_BChw is None:
            return map_BChw
        if self.side > min(map_BChw.shape[2:]):
            found = " x ".join(map(str, map_BChw.shape[2:]))
            raise ConfigError(f"head.tokens: {self.side**2} of a map that has {found} cells")
        return F.adaptive_avg_pool2d(map_BChw, self.side)

    def _pooled(self, ids_BS: Tensor, cells: int) -> Tensor:
        """(B, cells, W): mean embeddings of equal parts of each text, as `adaptive_avg_pool1d`."""
        real_BS = ids_BS != NO_TARGET
        own_BSW = self.decoder.embedding(ids_BS.clamp(min=0)) * real_BS[..., None]
        sums_BSW = F.pad(own_BSW.float().cumsum(1), (0, 0, 1, 0))
        length_B1 = real_BS.sum(1, keepdim=True).clamp(min=1)
        part_c = torch.arange(cells, device=ids_BS.device)
        start_Bc, end_Bc = part_c * length_B1 // cells, -(-(part_c + 1) * length_B1 // cells)
        rows = torch.arange(len(ids_BS), device=ids_BS.device)[:, None]
        total_BcW = sums_BSW[rows, end_Bc] - sums_BSW[rows, start_Bc]
        return (total_BcW / (end_Bc - start_Bc)[..., None]).to(own_BSW.dtype)

    def predict(self, features: Features, batch: PageBatch) -> Prediction:
        """What each page says; the score is the geometric mean of its tokens' probabilities.

        `counts` has the pages that had more to say than `max_tokens`.
        """
        start_BPW, padding_BP = self.start(features, batch)
        ids_BS, score_B = self.decoder.generate(
            start_BPW, self.tokenizer.eos_id, self.max_tokens, padding_BP
        )
        texts = [self.tokenizer.decode(row) for row in ids_BS.tolist()]
        scores = score_B.exp().tolist()
        others = [[pair] for pair in zip(texts, scores, strict=True)]
        cut = int((ids_BS != self.tokenizer.eos_id).all(1).sum())
        return Prediction(texts, scores, others, counts={"cut_pages": cut} if cut else {})

    def validate(self, features: Features, batch: PageBatch) -> dict[str, Tensor]:
        """1 - NED and word sets of each page, their blind twins, the log likelihood of a token."""
        texts = self.predict(features, batch).texts
        others = texts[-1:] + texts[:-1] if len(texts) > 1 else []
        total, count, _ = self._cross_entropy(features, batch)
        values = {"log_likelihood": -total[None] / count if count else total.new_zeros(0)}
        for prefix, found in {"": texts, "blind_": others}.items():
            truths = ("\n".join(text) for text in batch["text"])
            pages = [score_page(*pair) for pair in zip(found, truths, strict=False)]
            for name in SCORES:
                known = [score_of(page, name) for page in pages]
                values[prefix + name] = torch.tensor([x for x in known if x is not None])
        return values

    def summarize(self, collected: dict[str, Tensor]) -> dict[str, float]:
        """Means over the pages where a score exists."""
        return {k: v.double().mean().item() if len(v) else 0.0 for k, v in collected.items()}
