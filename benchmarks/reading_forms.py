"""CLIP4STR's training step and reading in two forms, for `reading.py`: ours, and a plain one.

The plain one runs the same modules as the official code does: each order is decoded by itself, the
memory is projected anew for every call and step, every string goes through the text encoder, and
attention weights are kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from lightning.fabric.utilities import move_data_to_device
from throughput import DEVICE, plainly
from torch import Tensor

from ocrpretrain.backbones import ClipViT
from ocrpretrain.data.tokenizer import clip_ids
from ocrpretrain.data.views import Sample
from ocrpretrain.heads import CLIP4STRHead
from ocrpretrain.heads.orders_batch import OrdersBatch
from ocrpretrain.layers.clip_text import Text
from ocrpretrain.layers.word_decoder import Look, Seen, WordDecoder

SIZES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "b16": ({"name": "ViT-B-16-quickgelu"}, {"text": "ViT-B-16-quickgelu"}),
    "nano": (
        {"size": (32, 128), "patch": (8, 8), "width": 96, "layers": 2, "heads": 3},
        {"width": 192, "heads": 6, "text": {"width": 64, "heads": 2, "layers": 2}},
    ),
}
Form = Callable[[], Any]


class Model:
    """Backbone, head, a batch, and the strings that the text encoder is given."""

    def __init__(self, size: str, images: int, agree: float) -> None:
        backbone, head = SIZES[size]
        self.backbone = ClipViT(**backbone).to(DEVICE)
        made = CLIP4STRHead(self.backbone.out_channels, self.backbone.strides, dropout=0.0, **head)
        self.head = made.to(DEVICE)
        rng = np.random.default_rng(0)
        height, width = self.backbone.size
        letters = list("etaoinshrdlucmfw")
        words = ["".join(rng.choice(letters, rng.integers(3, 11))) for _ in range(images)]
        samples = [
            Sample(rng.integers(0, 255, (height, width, 3), np.uint8), None, [word], [None], "", i)
            for i, word in enumerate(words)
        ]
        self.batch: OrdersBatch = move_data_to_device(made.collator()(samples), DEVICE)
        orders, steps = made.orders, self.batch["input"].shape[1]
        label = self.batch["target"][:1].transpose(0, 1).cpu().expand(-1, orders, -1)
        second = torch.arange(steps) == 1  # the character that some orders misread
        misread = torch.where(second, torch.randint(65, 91, (images, orders, 1)), label)
        agreed = torch.rand(images, orders, 1) < agree
        self.strings_BKS = torch.where(agreed, label, misread).clamp(max=94).to(DEVICE)
        self.parameters = [*self.backbone.parameters(), *made.parameters()]
        with torch.no_grad():
            image = self.backbone.normalize(self.batch["image"])
            self.features = self.backbone(image)
        self.image = image

    def encode_each(self, ids_NS: Tensor) -> Text:
        """The text of N strings, none left out."""
        text = self.head.text
        assert text is not None
        rows = [[49406, *clip_ids(word)[: text.context - 2], 49407] for word in text.words(ids_NS)]
        padded = [row + [0] * (text.context - len(row)) for row in rows]
        ids_NT = torch.tensor(padded, device=ids_NS.device)
        ended_NT = ids_NT == 49407
        padding_NT = (ended_NT.cumsum(1) - ended_NT.long()) > 0
        place_N = torch.arange(len(rows), device=ids_NS.device)
        return Text(text.encode(ids_NT), padding_NT, place_N, torch.zeros_like(place_N))


def training(model: Model, whole: bool) -> dict[str, Form]:
    """The two forms of a training step's loss, with or without the image encoder."""
    head, batch = model.head, model.batch
    vars(head.text).pop("words", None)  # of `reading`
    visual, cross, text = head.visual_decoder, head.cross_decoder, head.text
    assert cross is not None and text is not None

    def memory() -> Tensor:
        features = model.backbone(model.image) if whole else model.features
        return head.memory(features)[0]

    def fast() -> Tensor:
        memory_BLD, ids_BS, look = memory(), batch["input"], batch["look"]
        logits = visual(ids_BS, visual.remember(memory_BLD), look)
        seen = cross.remember(memory_BLD.detach())
        words = text(model.strings_BKS.flatten(0, 1))
        both, keep = head.add_text(seen, None, words)
        target = batch["target"].transpose(0, 1)
        return head.loss(logits, target) + head.loss(cross(ids_BS, both, look, keep), target)

    def plain() -> Tensor:
        memory_BLD, ids_BS, look = memory(), batch["input"], batch["look"]
        seen_orders, read_orders = [], []
        with plainly():
            for k in range(head.orders):
                one = Look(look.query[k : k + 1], look.content[k : k + 1], look.padding)
                seen_orders.append(visual(ids_BS, visual.remember(memory_BLD), one))
                words = model.encode_each(model.strings_BKS[:, k])
                seen = cross.remember(memory_BLD.detach())
                both, keep = head.add_text(seen, None, words)
                read_orders.append(cross(ids_BS, both, one, keep))
        target = batch["target"].transpose(0, 1)
        losses = (head.loss(torch.cat(x, 1), target) for x in (seen_orders, read_orders))
        return torch.stack(list(losses)).sum()

    return {"fast": fast, "plain": plain}


def reading(model: Model, whole: bool) -> dict[str, Form]:
    """The two forms of reading a batch: all steps, both branches, one refinement."""
    head, text = model.head, model.head.text
    visual, cross = head.visual_decoder, head.cross_decoder
    assert cross is not None and text is not None
    labels = ["".join(words) for words in model.batch["text"]]
    text.words = lambda ids_NS: labels * (len(ids_NS) // len(labels))

    def fast() -> Tensor:
        text._memory.clear()  # what an earlier round remembers
        branches = head.branches(model.backbone(model.image) if whole else model.features)
        assert branches.cross is not None
        return branches.cross

    def plain() -> Tensor:
        features = model.backbone(model.image) if whole else model.features
        with plainly():
            memory_BLD = head.memory(features)[0]

            def both(ids_BS: Tensor) -> tuple[Tensor, Tensor]:
                words = model.encode_each(ids_BS)
                image = torch.ones(memory_BLD.shape[:2], dtype=torch.bool, device=DEVICE)
                tokens = torch.cat([memory_BLD, words.tokens], 1)
                return tokens, torch.cat([image, ~words.padding], 1)

            first = read_plainly(visual, memory_BLD)
            read = read_plainly(cross, *both(first.argmax(-1)))
            second = visual.refine(visual.remember(memory_BLD), first.argmax(-1))
            tokens, keep = both(second.argmax(-1))
            return cross.refine(cross.remember(tokens), read.argmax(-1), keep)

    return {"fast": fast, "plain": plain}


def read_plainly(decoder: WordDecoder, memory_BLD: Tensor, keep: Tensor | None = None) -> Tensor:
    """(B, S, V): at every step the whole memory and all that was read are projected again."""
    (layer,) = decoder._layers()
    logits: list[Tensor] = []
    ids = torch.full((len(memory_BLD), 1), decoder.bos_id, device=DEVICE)
    seen = None if keep is None else keep[:, None, None]
    for step in range(len(decoder.positions)):
        (kv,) = decoder.remember(memory_BLD)
        x = decoder.positions[step].expand(1, 1, -1)
        own = Seen(layer.read_input(decoder.embed(ids)))
        x = layer(x, layer.self_attn.queries(layer.norm_q(x)), own, Seen(kv, seen))
        logits.append(decoder.head(decoder.norm(x))[:, 0])
        ids = torch.cat([ids, logits[-1].argmax(-1, keepdim=True)], 1)
        if (ids == decoder.eos_id).any(1).all():
            break
    read = torch.stack(logits, 1)
    return F.pad(read, (0, 0, 0, len(decoder.positions) - read.shape[1]))  # 0 is EOS
