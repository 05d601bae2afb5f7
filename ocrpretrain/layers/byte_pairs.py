"""CLIP's byte pairs of words that lie on the device as ids: tensors in, tensors out.

So a step that tokenizes what it has just read never waits for the host, and compiles as a whole.
Equal to `clip_ids` for every word. Shapes: N words, S characters, P pieces, T tokens.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ocrpretrain.data.tokenizer import byte_pair_ranks, lower

VOCABULARY = 49408
START, END, NONE = VOCABULARY - 2, VOCABULARY - 1, VOCABULARY  # NONE: no piece, merges with nothing
MERGED = 512  # the id of the first pair, behind the bytes and the bytes that end a piece
LETTER, DIGIT, BLANK, OTHER = range(4)


class BytePairs(nn.Module):
    """Ids of characters -> CLIP's ids: <start>, byte pairs, <end>, zeros.

    Args:
        characters: id i + 1 is the i-th of them; 0 ends a word, larger ids are no characters.
        context: tokens of a word (T); a long one loses its last pairs.
    """

    pieces: Tensor
    kind: Tensor
    contracts: Tensor
    keys: Tensor
    ranks: Tensor

    def __init__(self, characters: str, context: int) -> None:
        super().__init__()
        self.context = context
        chars = [lower(char) for char in characters]
        coded = [[byte_id(byte) for byte in char.encode()] for char in chars]
        longest = max(map(len, coded))
        rows = [[*row, *[NONE] * (longest - len(row))] for row in coded]
        keys, ranks = _merges()
        buffers = {
            "pieces": torch.tensor([[NONE] * longest, *rows]),
            "kind": torch.tensor([BLANK, *map(_kind, chars)]),
            "contracts": torch.tensor([0, *("'stmdrevl".find(char) + 1 for char in chars)]),
            "keys": keys,
            "ranks": ranks,
        }
        for name, tensor in buffers.items():
            self.register_buffer(name, tensor, persistent=False)

    @torch.no_grad()
    def forward(self, ids_NS: Tensor) -> tuple[Tensor, Tensor]:
        """(N, S) ids -> (N, T) CLIP's ids, and (N,) how many pairs of each were cut off."""
        ended_NS = ((ids_NS == 0) | (ids_NS >= len(self.kind))).cumsum(1) > 0
        ids_NS = ids_NS.masked_fill(ended_NS, 0)
        last_NS = F.pad(self._starts(ids_NS)[:, 1:], (0, 1), value=True)
        pieces_NSm = self.pieces[ids_NS]
        blank_NS = self.kind[ids_NS] == BLANK
        pieces_NSm = pieces_NSm.masked_fill(blank_NS[..., None], NONE)
        # The last byte of a character that ends a piece is another id than within one.
        ends_NSm = F.pad(pieces_NSm[..., 1:], (0, 1), value=NONE) == NONE
        pieces_NSm = pieces_NSm + 256 * (ends_NSm & (pieces_NSm != NONE) & last_NS[..., None])
        pieces_NP = _close_up(pieces_NSm.flatten(1), pieces_NSm.flatten(1) != NONE)
        for _ in range(pieces_NP.shape[1] - 1):
            pieces_NP, merged = self._merge(pieces_NP)
            if not torch.compiler.is_compiling() and merged.is_cpu and not merged.any():
                break
        return self._framed(pieces_NP)

    def _starts(self, ids_NS: Tensor) -> Tensor:
        """(N, S): where CLIP's pattern begins a piece.

        Pieces are 's 't 're 've 'm 'll 'd, runs of letters, single digits, runs of anything else.
        """
        kind_NS, code_NS = self.kind[ids_NS], self.contracts[ids_NS]
        before_NS = F.pad(kind_NS[:, :-1], (1, 0), value=BLANK)
        starts_NS = (kind_NS != before_NS) | (kind_NS == DIGIT)
        mark_NS = (code_NS == 1) & (before_NS != OTHER)
        next_NS, third_NS = (F.pad(code_NS[:, by:], (0, by)) for by in (1, 2))
        # "'stmdrevl": s t m d are 2 to 5, r 6, e 7, v 8, l 9
        two_NS = mark_NS & (next_NS >= 2) & (next_NS <= 5)
        three_NS = mark_NS & (((next_NS == 6) | (next_NS == 8)) & (third_NS == 7))
        three_NS |= mark_NS & (next_NS == 9) & (third_NS == 9)
        within = _shifted(two_NS | three_NS, 1) | _shifted(three_NS, 2)
        return (starts_NS & ~within) | _shifted(two_NS, 2) | _shifted(three_NS, 3)

    def _merge(self, pieces_NP: Tensor) -> tuple[Tensor, Tensor]:
        """Each word's best pair merged, wherever it stands, and (N, P) where that is."""
        left_NP, right_NP = pieces_NP[:, :-1], pieces_NP[:, 1:]
        key_NP = left_NP * (VOCABULARY + 1) + right_NP
        place_NP = torch.searchsorted(self.keys, key_NP).clamp(max=len(self.keys) - 1)
        found_NP = self.keys[place_NP] == key_NP
        rank_NP = self.ranks[place_NP].masked_fill(~found_NP, VOCABULARY)
        best_N1 = rank_NP.amin(1, keepdim=True)
        merged_NP = found_NP & (rank_NP == best_N1)
        # In a row of equal pieces, as in 'zzz', every second pair, from the left.
        index_P = torch.arange(merged_NP.shape[1], device=merged_NP.device)
        before_NP = torch.where(merged_NP, -1, index_P).cummax(1).values
        merged_NP = merged_NP & ((index_P - before_NP) % 2 == 1)
        changed_NP = F.pad(torch.where(merged_NP, MERGED + best_N1, left_NP), (0, 1), value=NONE)
        changed_NP[:, -1] = pieces_NP[:, -1]
        swallowed_NP = F.pad(merged_NP, (1, 0))
        return _close_up(changed_NP, ~swallowed_NP), merged_NP

    def _framed(self, pieces_NP: Tensor) -> tuple[Tensor, Tensor]:
        """<start> and <end> around the pieces that there is room for."""
        room = self.context - 2
        count_N1 = (pieces_NP != NONE).sum(1, keepdim=True)
        kept_N1 = count_N1.clamp(max=room)
        pieces_NP = F.pad(pieces_NP, (0, max(0, room + 1 - pieces_NP.shape[1])), value=NONE)
        index_P = torch.arange(room + 1, device=pieces_NP.device)
        tokens = pieces_NP[:, : room + 1].masked_fill(index_P > kept_N1, 0)
        tokens = torch.where(index_P == kept_N1, END, tokens)
        return F.pad(tokens, (1, 0), value=START), (count_N1 - kept_N1)[:, 0]


def byte_id(byte: int) -> int:
    """CLIP's id of a byte: printable ones come first, in their order."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [other for other in range(256) if other not in printable]
    return [*printable, *others].index(byte)


@lru_cache(maxsize=1)
def _merges() -> tuple[Tensor, Tensor]:
    """All pairs as left * (VOCABULARY + 1) + right, sorted, and the rank of each."""
    pairs = torch.tensor(byte_pair_ranks())
    keys, ranks = (pairs[:, 0] * (VOCABULARY + 1) + pairs[:, 1]).sort()
    return keys, ranks


def _kind(char: str) -> int:
    if char.isspace():
        return BLANK
    return {"L": LETTER, "N": DIGIT}.get(unicodedata.category(char)[0], OTHER)


def _shifted(x_NS: Tensor, by: int) -> Tensor:
    return F.pad(x_NS, (by, 0))[:, : x_NS.shape[1]]


def _close_up(pieces_NP: Tensor, keep_NP: Tensor) -> Tensor:
    """The kept pieces from the left on, NONE behind them."""
    width = pieces_NP.shape[1]
    place_NP = torch.where(keep_NP, keep_NP.cumsum(1) - 1, width)
    closed = pieces_NP.new_full((len(pieces_NP), width + 1), NONE)
    return closed.scatter(1, place_NP, pieces_NP)[:, :-1]
