"""CLIP4STR (Zhao et al., TIP 2024): a visual branch reads, a cross branch corrects it with CLIP's text.

The visual branch is PARSeq's decoder on the image's tokens. What it reads goes through CLIP's text
encoder, and the cross branch, another such decoder, reads image and text tokens together; the
image's are detached, so that the image encoder learns from the visual branch alone. Both learn in
permuted orders. Without the cross branch this is PARSeq (Bautista & Atienza, ECCV 2022).
Shapes: B images, K orders, S steps, L image tokens, T text tokens, D width, V classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import open_clip
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ocrpretrain.backbones.base import Features
from ocrpretrain.data.charset import DIGITS_LOWER, Charset
from ocrpretrain.errors import ConfigError
from ocrpretrain.heads.base import HeadOutput, Prediction
from ocrpretrain.heads.orders_batch import OrdersBatch, OrdersCollator
from ocrpretrain.heads.word_reader import WordReader
from ocrpretrain.layers.attention import KeyValue
from ocrpretrain.layers.clip_text import CLIPText
from ocrpretrain.layers.word_decoder import WordDecoder


class Reading(NamedTuple):
    """Both branches' answers.

    Attributes:
        visual: (B, S, V) logits.
        cross: (B, S, V) logits, or None without cross branch.
    """

    visual: Tensor
    cross: Tensor | None


class CLIP4STRHead(WordReader):
    """Predict and refine on the last map of any backbone.

    Args:
        in_channels: given by the engine.
        strides: given by the engine.
        loss_weights: of `visual` and `cross` (both 1).
        charset: 36, 62, 94 or a file of characters.
        width: channels of the decoders (D): the image's tokens are projected to it (CLIP's
            `visual.proj`). None takes the backbone's channels as they are, as PARSeq does.
        heads: attention heads of the decoders.
        layers: of the decoders.
        dropout: of the decoders.
        max_label_length: longer labels are left out of the loss, and counted.
        orders: in which each word is learned (K).
        refine: how often the answer is read again, each character from all others.
        cross_branch: False is PARSeq.
        text: an open_clip model's name, or width, heads and layers of the text tower.
        context: tokens of a word in the text encoder, <start> and <end> included.
        answer: which branch `predict` answers with.
        compat: 'official' gives the text encoder lower-case letters and digits alone, shows its
            padding to the cross branch, and lets that branch read as long as the visual one.

    Raises:
        ConfigError: a text tower that open_clip does not know or whose width is not `width`.
    """

    default_loss_weights = {"visual": 1.0, "cross": 1.0}

    def __init__(
        self,
        in_channels: Sequence[int],
        strides: Sequence[int],
        loss_weights: Mapping[str, float] | None = None,
        charset: str | int = 94,
        width: int | None = 512,
        heads: int = 8,
        layers: int = 1,
        dropout: float = 0.1,
        max_label_length: int = 25,
        orders: int = 6,
        refine: int = 1,
        cross_branch: bool = True,
        text: str | Mapping[str, Any] = "ViT-B-16",
        context: int = 16,
        answer: Literal["cross", "visual"] = "cross",
        compat: Literal["official"] | None = None,
    ) -> None:
        super().__init__(in_channels, strides, loss_weights)
        self.charset, self.max_label_length = Charset.load(charset), max_label_length
        self.orders, self.refine, self.official = orders, refine, compat == "official"
        self.answer = answer if cross_branch else "visual"
        dim = width or in_channels[-1]
        self.project = nn.Linear(in_channels[-1], dim, bias=False) if width else nn.Identity()
        sizes = (dim, heads, layers, len(self.charset), max_label_length + 1)
        self.visual_decoder = WordDecoder(*sizes, dropout=dropout)
        self.cross_decoder = self.text = None
        if cross_branch:
            self.cross_decoder = WordDecoder(*sizes, dropout=dropout)
            self.text = CLIPText(**_tower(text), embed_dim=dim, context=context)
        self.lower = Charset(DIGITS_LOWER)

    def collator(self) -> OrdersCollator:
        return OrdersCollator(self.charset, self.max_label_length, self.orders)

    def memory(self, features: Features) -> Tensor:
        """(B, L, D): the class tokens and the last map's cells."""
        tokens_BLC = features.maps[-1].flatten(2).mT
        if features.prefix is not None:
            tokens_BLC = torch.cat([features.prefix, tokens_BLC], 1)
        return self.project(tokens_BLC)

    def forward(self, features: Features, batch: OrdersBatch) -> HeadOutput:
        """Cross entropy of each branch over all orders' targets."""
        memory_BLD = self.memory(features)
        visual = self.visual_decoder
        seen = visual.remember(memory_BLD)
        logits = {"visual": visual(batch["input"], seen, batch["look"]).transpose(0, 1)}
        if self.cross_decoder is not None:
            words = self.words(logits["visual"].argmax(-1).transpose(0, 1).flatten(0, 1))
            seen = self.cross_decoder.remember(memory_BLD.detach())
            seen, keep = self.add_text(seen, words, batch["input"].shape[1])
            logits["cross"] = self.cross_decoder(
                batch["input"], seen, batch["look"], keep
            ).transpose(0, 1)
        target, pad = batch["target"].flatten(), self.visual_decoder.pad_id
        losses = {
            name: F.cross_entropy(value.flatten(0, 2), target, ignore_index=pad)
            for name, value in logits.items()
        }
        metrics = {name: torch.tensor(float(n)) for name, n in batch["left_out"].items()}
        return HeadOutput(losses, metrics)

    def words(self, ids_NS: Tensor) -> list[str]:
        """What ids say up to their EOS, as the text encoder is given it."""
        texts = [
            self.charset.decode(row[: row.index(0)] if 0 in row else row) for row in ids_NS.tolist()
        ]
        return [self.lower.filter(text) for text in texts] if self.official else texts

    def add_text(
        self, seen: list[KeyValue], words: list[str], steps: int
    ) -> tuple[list[KeyValue], Tensor]:
        """The image's keys and values with those of the text, and who may look at them.

        Args:
            seen: (B, n, L, d) of each layer.
            words: B x K of them, one per image and order.
            steps: S.

        Returns:
            (B, n, L + K * T, d) of each layer, and (B, K, S, L + K * T) bool: all look at the image,
            and each order at its own text.
        """
        assert self.text is not None and self.cross_decoder is not None
        tokens_UTD, padding_UT, place_N = self.text(words)
        batch, orders = len(seen[0][0]), len(words) // len(seen[0][0])
        both = []
        for image, text in zip(seen, self.cross_decoder.remember(tokens_UTD), strict=True):
            rows = (
                x[place_N].unflatten(0, (batch, orders)).transpose(1, 2).flatten(2, 3) for x in text
            )
            both.append(tuple(torch.cat(pair, 2) for pair in zip(image, rows, strict=True)))
        real = ~padding_UT if not self.official else torch.ones_like(padding_UT)
        real_BKT = real[place_N].unflatten(0, (batch, orders))
        own = torch.eye(orders, dtype=torch.bool, device=real.device)
        text_BKKT = own[:, :, None] & real_BKT[:, None]
        image = real.new_ones(batch, orders, seen[0][0].shape[2])
        keep = torch.cat([image, text_BKKT.flatten(2)], 2)
        return both, keep.unsqueeze(2).expand(-1, -1, steps, -1)

    def branches(self, features: Features) -> Reading:
        """Both branches read, then refine each other's answer."""
        memory_BLD = self.memory(features)
        seen = self.visual_decoder.remember(memory_BLD)
        visual, cross, keep = self.visual_decoder.read(seen), None, None
        image = both = self.cross_decoder.remember(memory_BLD) if self.cross_decoder else []
        if self.cross_decoder is not None:
            both, keep = self.with_text(image, visual)
            cross = self.cross_decoder.read(both, keep)
            if self.official:  # as many steps as the slowest word of the visual branch took
                ended = (visual.argmax(-1) == 0).int().argmax(1)
                taken = (
                    visual.shape[1]
                    if not (visual.argmax(-1) == 0).any(1).all()
                    else int(ended.max()) + 1
                )
                cross[:, taken - 1 :, 0] = torch.inf
        for _ in range(self.refine):
            visual = self.visual_decoder.refine(seen, visual.argmax(-1))
            if self.cross_decoder is not None and cross is not None:
                both, keep = self.with_text(image, visual)
                cross = self.cross_decoder.refine(both, cross.argmax(-1), keep)
        return Reading(visual, cross)

    def with_text(self, image: list[KeyValue], visual: Tensor) -> tuple[list[KeyValue], Tensor]:
        """The cross branch's memory: the image and what the visual branch read."""
        both, keep = self.add_text(image, self.words(visual.argmax(-1)), 1)
        return both, keep[:, 0, 0]

    def read(self, features: Features) -> list[str]:
        return self.predict(features, None).texts

    def predict(self, features: Features, batch: Any) -> Prediction:
        """What each image says; the score is the product of its characters' probabilities."""
        reading = self.branches(features)
        found = {name: self._texts(x) for name, x in reading._asdict().items() if x is not None}
        texts, scores = found[self.answer]
        others = [
            [(names[i], values[i]) for names, values in found.values()] for i in range(len(texts))
        ]
        return Prediction(texts, scores, others)

    def _texts(self, logits_BSV: Tensor) -> tuple[list[str], list[float]]:
        probability_BS, ids_BS = logits_BSV.float().softmax(-1).max(-1)
        behind_BS = (ids_BS == 0).cumsum(1) - (ids_BS == 0).long() > 0
        score_B = probability_BS.masked_fill(behind_BS, 1.0).prod(1)
        rows = ids_BS.masked_fill(behind_BS, 0).tolist()
        return [self.charset.decode(row) for row in rows], score_B.tolist()


def _tower(text: str | Mapping[str, Any]) -> dict[str, Any]:
    """Width, heads, layers and activation of a text tower."""
    if not isinstance(text, str):
        return {"quick_gelu": False, **text}
    config = open_clip.get_model_config(text)
    if config is None or "hf_model_name" in config["text_cfg"]:
        raise ConfigError(f"head.text: open_clip has no model {text!r} with CLIP's text tower")
    sizes = {name: config["text_cfg"][name] for name in ("width", "heads", "layers")}
    return {**sizes, "quick_gelu": config.get("quick_gelu", False)}
