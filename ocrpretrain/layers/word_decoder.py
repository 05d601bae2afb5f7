"""PARSeq's decoder: position queries read a word in any order (Bautista & Atienza, ECCV 2022).

All orders of a training step are one call: the projections of the memory, which are most of the
work, and at depth 1 those of the input are shared by the orders. Without dropout this equals one
call per order; with dropout the orders share the noise of the input, and of the memory's keys none.
Shapes: B words, K orders, S steps, L memory tokens, D width, V classes, n heads, d channels a head.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ocrpretrain.layers.attention import CachedAttention, KeyValue
from ocrpretrain.layers.permutations import cloze_mask
from ocrpretrain.layers.pieces import EAGER, Work


class Look(NamedTuple):
    """Who may look at which input position.

    Attributes:
        query: (K, S, S) bool, for the queries.
        content: (K, S, S) bool, for the input itself; used by decoders of several layers.
        padding: (B, S) bool, True = nobody looks at it; or None.
    """

    query: Tensor
    content: Tensor
    padding: Tensor | None = None


class Seen(NamedTuple):
    """What a layer's queries look at.

    Attributes:
        kv: keys and values, (B, n, L, d) each.
        keep: broadcastable to (B, 1, Q, L), True = may be looked at; None keeps all.
    """

    kv: KeyValue
    keep: Tensor | None = None


class DecoderLayer(nn.Module):
    """Queries look at the input, then at the memory, then pass an MLP; pre-norm.

    Args:
        width: channels (D).
        heads: attention heads.
        mlp_ratio: hidden channels of the MLP over D.
        dropout: everywhere, in training.
    """

    def __init__(self, width: int, heads: int, mlp_ratio: float, dropout: float) -> None:
        super().__init__()
        self.self_attn = CachedAttention(width, heads, dropout)
        self.cross_attn = CachedAttention(width, heads, dropout)
        self.linear1 = nn.Linear(width, int(width * mlp_ratio))
        self.linear2 = nn.Linear(int(width * mlp_ratio), width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.norm_q, self.norm_c = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def read_input(self, x_BSD: Tensor) -> KeyValue:
        """Keys and values of the input."""
        return self.self_attn.keys(self.norm_c(x_BSD))

    def forward(self, x_BQD: Tensor, q_BnQd: Tensor, own: Seen, memory: Seen) -> Tensor:
        """One stream through the layer.

        Args:
            x_BQD: the stream.
            q_BnQd: its projected queries.
            own: the input.
            memory: the memory.
        """
        x_BQD = x_BQD + self.dropout(self.self_attn(q_BnQd, *own))
        query = self.cross_attn.queries(self.norm1(x_BQD))
        x_BQD = x_BQD + self.dropout(self.cross_attn(query, *memory))
        hidden = self.dropout(F.gelu(self.linear1(self.norm2(x_BQD))))
        return x_BQD + self.dropout(self.linear2(hidden))


class WordDecoder(nn.Module):
    """Words from a memory of image (and text) tokens.

    Ids are PARSeq's: 0 is EOS, the characters follow, then BOS and PAD, which are never answers.

    Args:
        width: channels (D), also the memory's.
        heads: attention heads.
        layers: 1 as published.
        characters: size of the charset; V is one more.
        steps: characters of the longest word, and EOS (S).
        mlp_ratio: hidden channels of the MLP over D.
        dropout: in training.
    """

    eos_id = 0

    def __init__(
        self,
        width: int,
        heads: int,
        layers: int = 1,
        characters: int = 94,
        steps: int = 26,
        mlp_ratio: float = 4.0,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.bos_id, self.pad_id = characters + 1, characters + 2
        self.embedding = nn.Embedding(characters + 3, width)
        self.positions = nn.Parameter(torch.empty(steps, width))
        self.layers = nn.ModuleList(
            DecoderLayer(width, heads, mlp_ratio, dropout) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, characters + 1)
        self.dropout = nn.Dropout(dropout)
        for table in (self.embedding.weight, self.positions, self.head.weight):
            nn.init.trunc_normal_(table, std=0.02)
        nn.init.zeros_(self.head.bias)

    def remember(self, memory_BLD: Tensor) -> list[KeyValue]:
        """What every layer needs of the memory; computed once per image."""
        return [layer.cross_attn.keys(memory_BLD) for layer in self._layers()]

    def forward(
        self, ids_BS: Tensor, memory: list[KeyValue], look: Look, keep: Tensor | None = None
    ) -> Tensor:
        """Input ids (BOS first) -> (B, K, S, V) logits of the position after each.

        Args:
            ids_BS: BOS and the characters; what they may tell is `look`'s to say.
            memory: from `remember`.
            look: of K orders.
            keep: broadcastable to (B, K, S, L) bool, True where the memory may be looked at; None
                keeps all.
        """
        orders, steps = look.query.shape[:2]
        content, x = self.embed(ids_BS), self.positions[:steps].unsqueeze(0)
        keep = None if keep is None else keep.expand(-1, orders, steps, -1)
        if shared := len(self.layers) == 1:  # all orders beside one another, as one long word
            x = x.repeat(1, orders, 1)
            own = look.query.flatten(0, 1)[None, None]
            padding = look.padding
            keep = None if keep is None else keep.flatten(1, 2).unsqueeze(1)
        else:  # later layers see another input in every order: each order is a word of its own
            content, own = _each(content, orders), look.query.repeat(len(ids_BS), 1, 1).unsqueeze(1)
            memory = [(_each(key, orders), _each(value, orders)) for key, value in memory]
            padding = None if look.padding is None else _each(look.padding, orders)
            keep = (
                None
                if keep is None
                else keep.expand(len(ids_BS), -1, -1, -1).flatten(0, 1)[:, None]
            )
        if self.training and self.dropout.p:
            x = self.dropout(x.expand(len(content), -1, -1))
        real = True if padding is None else ~padding[:, None, None]
        for place, (layer, kv) in enumerate(zip(self._layers(), memory, strict=True)):
            written, seen = layer.read_input(content), Seen(kv, keep)
            x = layer(x, self._queries(place, x), Seen(written, own & real), seen)
            if place < len(self.layers) - 1:
                query = layer.self_attn.queries(layer.norm_c(content))
                among = look.content.repeat(len(ids_BS), 1, 1).unsqueeze(1) & real
                content = layer(content, query, Seen(written, among), seen)
        logits = self.head(self.norm(x))
        return logits.unflatten(*((1, (orders, steps)) if shared else (0, (-1, orders))))

    def read(
        self, memory: list[KeyValue], keep: Tensor | None = None, check_every: int = 4
    ) -> Tensor:
        """(B, S, V) logits, one character after the other, each the most likely one.

        It stops early when all words have ended; steps that were not taken answer EOS.

        Args:
            memory: from `remember`.
            keep: (B, L) bool, True where the memory may be looked at; None keeps all.
            check_every: steps between two looks at whether all have ended (each one waits for the
                device); 0 never looks.
        """
        return EAGER("read", self.steps(memory, keep, check_every))

    def steps(
        self, memory: list[KeyValue], keep: Tensor | None = None, check_every: int = 4
    ) -> Work[Tensor]:
        """`read` in pieces of `check_every` steps."""
        batch, steps = len(memory[0][0]), len(self.positions)
        last = torch.full((batch, 1), self.bos_id, device=self.positions.device)
        logits = self.positions.new_zeros(batch, steps, self.head.out_features)
        logits[..., self.eos_id] = 1
        seen = None if keep is None else keep[:, None, None]
        table = self.embedding.weight * self.embedding.embedding_dim**0.5
        query_1nSd = self._queries(0, self.positions.unsqueeze(0))
        past: list[list[KeyValue]] = [[] for _ in self.layers]
        for step in range(steps):
            content = F.embedding(last, table)
            content = content + self.positions[step - 1] if step else content
            x = self.positions[step].expand(1, 1, -1)
            for place, (layer, kv) in enumerate(zip(self._layers(), memory, strict=True)):
                past[place].append(layer.read_input(content))
                key, value = (torch.cat(parts, 2) for parts in zip(*past[place], strict=True))
                own, other = Seen((key, value)), Seen(kv, seen)
                now = self._queries(place, x) if place else query_1nSd[:, :, step : step + 1]
                x = layer(x, now, own, other)
                if place < len(self.layers) - 1:
                    query = layer.self_attn.queries(layer.norm_c(content))
                    content = layer(content, query, own, other)
            logits[:, step] = self.head(self.norm(x))[:, 0]
            last = logits[:, step : step + 1].argmax(-1)
            if check_every and step % check_every == check_every - 1 and step + 1 < steps:
                yield logits, (logits[:, : step + 1].argmax(-1) == self.eos_id).any(1).all()
        yield logits, None

    def refine(self, memory: list[KeyValue], ids_BS: Tensor, keep: Tensor | None = None) -> Tensor:
        """(B, S, V) logits of each character from all others that were read, up to the first EOS.

        Args:
            memory: from `remember`.
            ids_BS: what was read.
            keep: as for `read`.
        """
        bos = ids_BS.new_full((len(ids_BS), 1), self.bos_id)
        input_BS = torch.cat([bos, ids_BS[:, :-1]], 1)
        padding = (input_BS == self.eos_id).cumsum(1) > 0
        steps = ids_BS.shape[1]
        cloze = cloze_mask(steps, ids_BS.device).unsqueeze(0)
        seen = None if keep is None else keep[:, None, None]
        return self(input_BS, memory, Look(cloze, cloze, padding), seen)[:, 0]

    def attention(self, memory: list[KeyValue], ids_BS: Tensor, keep: Tensor | None) -> Tensor:
        """(B, S, L): where the last layer looks for each character when it refines a reading.

        Args:
            memory: from `remember`.
            ids_BS: what was read.
            keep: as for `read`.
        """
        found: list[Tensor] = []
        last = self._layers()[-1].cross_attn

        def look(_: nn.Module, inputs: tuple[Any, ...]) -> None:
            found.append(last.weights(*inputs))

        with last.register_forward_pre_hook(look):
            self.refine(memory, ids_BS, keep)
        return found[0]

    def embed(self, ids_BS: Tensor) -> Tensor:
        """(B, S, D): BOS without a position, then each character with its own."""
        x_BSD = self.embedding(ids_BS) * self.embedding.embedding_dim**0.5
        position_SD = F.pad(self.positions[: ids_BS.shape[1] - 1], (0, 0, 1, 0))
        return self.dropout(x_BSD + position_SD)

    def _queries(self, place: int, x_BQD: Tensor) -> Tensor:
        layer = self._layers()[place]
        return layer.self_attn.queries(layer.norm_q(x_BQD))

    def _layers(self) -> list[DecoderLayer]:
        return [cast(DecoderLayer, layer) for layer in self.layers]


def _each(x: Tensor, orders: int) -> Tensor:
    """(B, ...) -> (B * K, ...): every word once per order."""
    return x.repeat_interleave(orders, 0)
