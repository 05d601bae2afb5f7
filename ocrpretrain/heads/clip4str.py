"""CLIP4STR (Zhao et al., TIP 2024): a visual branch reads, a cross branch corrects it.

The visual branch is PARSeq's decoder on the image's tokens. What it reads goes through CLIP's text
encoder, and the cross branch, another such decoder, reads image and text tokens together; the
image's are detached, so that the image encoder learns from the visual branch alone. Both learn in
permuted orders. Without the cross branch this is PARSeq (Bautista & Atienza, ECCV 2022).
Shapes: B images, K orders, S steps, L image tokens, T text tokens, D width, V classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ocrpretrain.backbones.base import Features
from ocrpretrain.data.charset import Charset
from ocrpretrain.errors import ConfigError
from ocrpretrain.heads.base import HeadOutput, Prediction
from ocrpretrain.heads.orders_batch import OrdersBatch, OrdersCollator
from ocrpretrain.heads.word_reader import WordReader
from ocrpretrain.layers.attention import KeyValue
from ocrpretrain.layers.clip_text import CLIP_CONTEXT, CLIPText, Text, tower_sizes
from ocrpretrain.layers.distributed import global_mean
from ocrpretrain.layers.memory import Memory
from ocrpretrain.layers.pieces import Work, once
from ocrpretrain.layers.word_decoder import WordDecoder
from ocrpretrain.strides import Stride


class Reading(NamedTuple):
    """Both branches' answers.

    Attributes:
        visual: (B, S, V) logits.
        cross: (B, S, V) logits, or None without cross branch.
        cut: (B,) True where a text was too long for the text encoder, or None.
    """

    visual: Tensor
    cross: Tensor | None
    cut: Tensor | None


class _Seen(NamedTuple):
    """The visual branch's memory and padding (see `Memory`), keys, and (B, S, V) logits."""

    memory: Tensor
    padding: Tensor | None
    keys: list[KeyValue]
    logits: Tensor


class _Told(NamedTuple):
    """The cross branch's keys of the image, the text of all answers, its keys, (B, S, V) logits."""

    image: list[KeyValue]
    text: Text
    words: list[KeyValue]
    logits: Tensor


class CLIP4STRHead(WordReader):
    """Predict and refine on the last map of any backbone.

    Args:
        in_channels: given by the engine.
        strides: given by the engine.
        loss_weights: of `visual` and `cross` (both 1).
        charset: 36, 62, 94 or a file of characters.
        width: channels of the decoders (D): the image's tokens are projected to it (CLIP's
            `visual.proj`). None takes the backbone's channels as they are, as PARSeq does.
        stride: see `Memory`: the map that is read, the last one by default.
        positions: see `Memory`; for backbones without a transformer.
        heads: attention heads of the decoders.
        layers: of the decoders.
        dropout: of the decoders.
        max_label_length: longer labels are left out of the loss, and counted.
        orders: in which each word is learned (K): 1, or an even number, half of them mirrored.
        refine: how often the answer is read again, each character from all others.
        cross_branch: False is PARSeq.
        text: an open_clip model's name, or width, heads and layers of the text tower.
        context: tokens of a word in the text encoder, <start> and <end> included.
        answer: which branch `predict` answers with.
        compat: 'official' gives the text encoder lower-case letters and digits alone, shows its
            padding to the cross branch, and lets that branch read as long as the visual one.

    Raises:
        ConfigError: numbers that make no sense, a text tower that open_clip does not know.
    """

    default_loss_weights = {"visual": 1.0, "cross": 1.0}

    def __init__(
        self,
        in_channels: Sequence[int],
        strides: Sequence[Stride],
        loss_weights: Mapping[str, float] | None = None,
        charset: str | int = 94,
        width: int | None = 512,
        stride: int | None = None,
        positions: bool = False,
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
        self.memory = Memory(in_channels, strides, width, stride, positions)
        self._check(heads, context)
        sizes = (self.memory.width, heads, layers, len(self.charset), max_label_length + 1)
        self.visual_decoder = WordDecoder(*sizes, dropout=dropout)
        self.cross_decoder = self.text = None
        if cross_branch:
            self.cross_decoder = WordDecoder(*sizes, dropout=dropout)
            sizes = {"embed_dim": self.memory.width, "context": context, "official": self.official}
            self.text = CLIPText(self.charset, **tower_sizes(text), **sizes)

    def _check(self, heads: int, context: int) -> None:
        """All wrong numbers at once."""
        width, longest, orders = self.memory.width, self.max_label_length, self.orders
        rules = [
            (longest > 0, f"max_label_length: 1 or more, found {longest}"),
            (orders == 1 or orders in range(2, 1000, 2), f"orders: 1 or even, found {orders}"),
            (self.refine >= 0, f"refine: 0 or more, found {self.refine}"),
            (heads > 0 and width % heads == 0, f"heads: {heads} do not divide the width {width}"),
            (3 <= context <= CLIP_CONTEXT, f"context: 3 to {CLIP_CONTEXT}, found {context}"),
        ]
        if wrong := [f"head.{message}" for holds, message in rules if not holds]:
            raise ConfigError("\n".join(wrong))

    def collator(self) -> OrdersCollator:
        return OrdersCollator(self.charset, self.max_label_length, self.orders)

    def forward(self, features: Features, batch: OrdersBatch) -> HeadOutput:
        """Cross entropy of each branch over all orders' targets."""
        memory_BLD, padding_BL = self.memory(features)
        ids_BS, look, visual = batch["input"], batch["look"], self.visual_decoder
        image = None if padding_BL is None else ~padding_BL[:, None, None]
        logits = {"visual": visual(ids_BS, visual.remember(memory_BLD), look, image)}
        metrics = {name: torch.tensor(float(n)) for name, n in batch["left_out"].items()}
        if self.cross_decoder is not None and self.text is not None:
            read_NS = logits["visual"].argmax(-1).flatten(0, 1)
            seen = self.cross_decoder.remember(memory_BLD.detach())
            text = self.text(read_NS)
            both, keep = self.add_text(seen, padding_BL, text)
            logits["cross"] = self.cross_decoder(ids_BS, both, look, keep)
            metrics["cut_texts"] = (text.cut > 0).float().mean()
        target_BKS = batch["target"].transpose(0, 1)
        losses = {name: self.loss(value, target_BKS) for name, value in logits.items()}
        return HeadOutput(losses, metrics)

    def loss(self, logits_BKSV: Tensor, target_BKS: Tensor) -> Tensor:
        """Mean cross entropy over the targets of all orders, words and processes."""
        flat = logits_BKSV.flatten(0, 2).float()
        loss_M = F.cross_entropy(
            flat, target_BKS.flatten(), ignore_index=self.visual_decoder.pad_id, reduction="none"
        )
        return global_mean(loss_M, (target_BKS != self.visual_decoder.pad_id).sum())

    def add_text(
        self,
        seen: list[KeyValue],
        padding_BL: Tensor | None,
        text: Text,
        words: list[KeyValue] | None = None,
    ) -> tuple[list[KeyValue], Tensor]:
        """The image's keys and values with those of the text, and who may look at them.

        Args:
            seen: (B, n, L, d) of each layer.
            padding_BL: True where the image is padding, or None.
            text: of B x K words, one per image and order.
            words: what each layer needs of the text's tokens, where that is known.

        Returns:
            (B, n, L + K * T, d) of each layer, and (B, K, 1, L + K * T) bool: all look at the
            image, and each order at its own text.
        """
        assert self.cross_decoder is not None
        batch, length = len(seen[0][0]), seen[0][0].shape[2]
        place_BK = text.place.view(batch, -1)
        both: list[KeyValue] = []
        words = words or self.cross_decoder.remember(text.tokens)
        for image, own in zip(seen, words, strict=True):
            key, value = (x[place_BK].transpose(1, 2).flatten(2, 3) for x in own)
            both.append((torch.cat([image[0], key], 2), torch.cat([image[1], value], 2)))
        # The official code shows the padding, whose states depend on the word.
        real_BKT = (~text.padding | self.official)[place_BK]
        own_KK = torch.eye(place_BK.shape[1], dtype=torch.bool, device=real_BKT.device)
        real = (own_KK[:, :, None] & real_BKT[:, None]).flatten(2)
        image = real.new_ones(batch, 1, length) if padding_BL is None else ~padding_BL[:, None]
        keep = torch.cat([image.expand(-1, len(own_KK), -1), real], 2)
        return both, keep.unsqueeze(2)

    def branches(self, features: Features) -> Reading:
        """Both branches read, then each reads its answer again, `refine` times."""
        run, cross, text = self.runner, self.cross_decoder, self.text
        seen = run("visual", self._read(features))
        visual = [seen.logits]
        if self.refine:
            visual = run("visual again", once(lambda: self._refine(seen)))
        if cross is None or text is None:
            return Reading(visual[-1], None, None)
        words_NS = torch.cat(visual).argmax(-1)  # first what was read, then each refinement of it
        if run.replays:  # spelled on the host, encoded within the piece
            ids_NT, cut_N = text.spell(words_NS)
            ids_NT, cut_N = run.hold("ids", ids_NT), run.hold("cut", cut_N)
            read = run("cross", self._correct(seen, lambda: text.tell(ids_NT, cut_N)))
        else:
            read = run("cross", self._correct(seen, lambda: text(words_NS)))
        return run("cross again", once(lambda: self._settle(seen, visual, read)))

    def _read(self, features: Features) -> Work[_Seen]:
        """The visual branch, left to right."""
        memory_BLD, padding_BL = self.memory(features)
        keys = self.visual_decoder.remember(memory_BLD)
        image = None if padding_BL is None else ~padding_BL
        for logits_BSV, over in self.visual_decoder.steps(keys, image):
            yield _Seen(memory_BLD, padding_BL, keys, logits_BSV), over

    def _refine(self, seen: _Seen) -> list[Tensor]:
        """(B, S, V) of what the visual branch read, and of each time that it reads it again."""
        logits, image = [seen.logits], None if seen.padding is None else ~seen.padding
        for _ in range(self.refine):
            logits.append(self.visual_decoder.refine(seen.keys, logits[-1].argmax(-1), image))
        return logits

    def _correct(self, seen: _Seen, encode: Callable[[], Text]) -> Work[_Told]:
        """The cross branch, left to right, beside what the visual branch read first."""
        assert self.cross_decoder is not None
        own, text = self.cross_decoder.remember(seen.memory), encode()
        words = self.cross_decoder.remember(text.tokens)
        first = _part(text, 0, len(seen.memory))
        both, keep = self.add_text(own, seen.padding, first, words)
        for logits_BSV, over in self.cross_decoder.steps(both, keep[:, 0, 0]):
            yield _Told(own, text, words, logits_BSV), over

    def _settle(self, seen: _Seen, visual: list[Tensor], told: _Told) -> Reading:
        """The cross branch reads again, each time beside another answer of the visual branch."""
        assert self.cross_decoder is not None
        cross, batch, cross_BSV = self.cross_decoder, len(seen.memory), told.logits
        ids_BS = cross_BSV.argmax(-1)
        if self.official:  # it reads on until the last word of the visual branch has ended
            over_S = ((visual[0].argmax(-1) == cross.eos_id).cumsum(1) > 0).all(0)
            ids_BS = ids_BS.masked_fill(over_S, cross.eos_id)
            cross_BSV = _hide(cross_BSV, F.pad(over_S, (1, 0))[:-1], cross.eos_id)
        for place in range(1, len(visual)):
            text = _part(told.text, place, batch)
            both, keep = self.add_text(told.image, seen.padding, text, told.words)
            cross_BSV = cross.refine(both, ids_BS, keep[:, 0, 0])
            ids_BS = cross_BSV.argmax(-1)
        cut_B = (told.text.cut.view(-1, batch) > 0).any(0)
        return Reading(visual[-1], cross_BSV, cut_B)

    def read(self, features: Features) -> list[str]:
        return self.predict(features, None).texts

    def predict(self, features: Features, batch: Any) -> Prediction:
        """What each image says; the score is the product of its characters' probabilities.

        `counts` has the images of whose texts the text encoder saw the beginning only.
        """
        reading = self.branches(features)
        rows = self.runner("answers", once(lambda: self._answers(reading))).tolist()
        answers = [
            (self.charset.decode([int(each) for each in ids]), score) for score, _, *ids in rows
        ]
        batch = len(reading.visual)
        found, counts = {"visual": answers[:batch]}, {}
        if reading.cross is not None:
            found["cross"] = answers[batch:]
            counts["cut_texts"] = int(sum(cut for _, cut, *_ in rows[batch:]))
        texts, scores = zip(*found[self.answer], strict=True)
        others = [[answer] for answer in found[self.answer]]
        return Prediction(list(texts), list(scores), others, found, counts)

    def attention(self, features: Features, batch: Any) -> Tensor:
        """(B, S, h, w): where the visual branch looks for each character."""
        memory_BLD, padding_BL = self.memory(features)
        seen = self.visual_decoder.remember(memory_BLD)
        image = None if padding_BL is None else ~padding_BL
        ids_BS = self.visual_decoder.read(seen, image).argmax(-1)
        map_BSL = self.visual_decoder.attention(seen, ids_BS, image)
        size = self.memory.size(features)
        return map_BSL[..., map_BSL.shape[2] - size[0] * size[1] :].unflatten(2, size)

    def _answers(self, reading: Reading) -> Tensor:
        """(B or 2B, 2 + S) of each branch's answers: score, whether the text was cut, ids."""
        logits_NSV, cut_N = reading.visual, torch.zeros_like(reading.visual[:, 0, 0])
        if reading.cross is not None and reading.cut is not None:
            logits_NSV = torch.cat([logits_NSV, reading.cross])
            cut_N = torch.cat([cut_N, reading.cut.to(cut_N.dtype)])
        probability_NS, ids_NS = logits_NSV.float().softmax(-1).max(-1)
        behind_NS = (ids_NS == 0).cumsum(1) - (ids_NS == 0).long() > 0
        score_N = probability_NS.masked_fill(behind_NS, 1.0).prod(1)
        ids_NS = ids_NS.masked_fill(behind_NS, 0)
        return torch.cat([score_N[:, None], cut_N[:, None].float(), ids_NS.float()], 1)


def _part(text: Text, place: int, batch: int) -> Text:
    """Of the texts of several answers, those of one."""
    rows = slice(place * batch, (place + 1) * batch)
    return text._replace(place=text.place[rows], cut=text.cut[rows])


def _hide(logits_BSV: Tensor, steps_S: Tensor, eos_id: int) -> Tensor:
    """At these steps nothing but EOS may be answered."""
    others_V = torch.arange(logits_BSV.shape[2], device=steps_S.device) != eos_id
    return logits_BSV.masked_fill(steps_S[:, None] & others_V, -torch.inf)
