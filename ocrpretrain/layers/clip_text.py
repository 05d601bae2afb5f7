"""CLIP's text encoder on words that were just read: all tokens of each.

Shapes: N words, S characters, U words that are encoded, T tokens, W width of the tower, D embedding
channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from ocrpretrain.data.charset import DIGITS_LOWER, Charset
from ocrpretrain.data.tokenizer import clip_ids
from ocrpretrain.errors import ConfigError
from ocrpretrain.layers.byte_pairs import END, START, VOCABULARY, BytePairs
from ocrpretrain.layers.text_tower import TextTower

CLIP_CONTEXT = 77
MEMORY = 4096  # words: 134 MB at 16 tokens of 512 channels


class Text(NamedTuple):
    """What a text encoder says of N words.

    Attributes:
        tokens: (U, T, D) of the words that were encoded.
        padding: (U, T) bool, True behind <end>.
        place: (N,) which of the U each word is.
        cut: (N,) byte pairs of each word that did not fit into the context.
    """

    tokens: Tensor
    padding: Tensor
    place: Tensor
    cut: Tensor


class CLIPText(nn.Module):
    """CLIP's text tower and projection (its names) with a short context.

    On a CPU equal words are encoded once, without what lies behind the longest one, and without
    gradients again only when the weights have changed. On other devices, and where compiled, every
    word is encoded, with tensors of constant sizes: the host neither waits nor compiles again.

    Args:
        charset: of the words.
        width: channels of the tower (W).
        heads: attention heads.
        layers: blocks.
        embed_dim: channels of the output (D).
        context: tokens of a word (T), <start> and <end> included; longer words are cut.
        quick_gelu: CLIP's first activation in place of the exact GELU.
        official: words are lower-cased and lose all but the 36 letters and digits; always on the
            host, for which other devices wait.
    """

    def __init__(
        self,
        charset: Charset,
        width: int,
        heads: int,
        layers: int,
        embed_dim: int,
        context: int = 16,
        quick_gelu: bool = False,
        official: bool = False,
    ) -> None:
        super().__init__()
        self.charset, self.context, self.official = charset, context, official
        # Of the ids of EOS, the characters, BOS and PAD; 0 ends a string.
        self.codes = np.array([0, *map(ord, charset.characters), 0, 0], np.uint32)
        self.pairs = BytePairs(charset.characters, context)
        self.tower = TextTower(VOCABULARY, width, heads, layers, CLIP_CONTEXT, quick_gelu)
        self.text_projection = nn.Parameter(torch.randn(width, embed_dim) * width**-0.5)
        self._state: tuple[object, ...] = ()
        self._memory: dict[str, Tensor] = {}

    def forward(self, ids_NS: Tensor) -> Text:
        """Ids of characters, each word up to its first 0, -> its tokens."""
        if self.official or (ids_NS.is_cpu and not torch.compiler.is_compiling()):
            return self._distinct(ids_NS)
        return self.tell(*self.pairs(ids_NS))

    def spell(self, ids_NS: Tensor) -> tuple[Tensor, Tensor]:
        """(N, T) CLIP's ids of all words and (N,) byte pairs that were cut, by the host."""
        ids_NT, cut_N = self._framed([clip_ids(word) for word in self.words(ids_NS)])
        ids_NT = F.pad(ids_NT, (0, self.context - ids_NT.shape[1]))
        return ids_NT.to(ids_NS.device), cut_N.to(ids_NS.device)

    def tell(self, ids_NT: Tensor, cut_N: Tensor) -> Text:
        """The tokens of words that were spelled."""
        place_N = torch.arange(len(ids_NT), device=ids_NT.device)
        return Text(self.encode(ids_NT), _behind_end(ids_NT), place_N, cut_N)

    def encode(self, ids_UT: Tensor) -> Tensor:
        """(U, T) CLIP's ids -> (U, T, D) tokens."""
        return self.tower(ids_UT) @ self.text_projection

    def words(self, ids_NS: Tensor) -> list[str]:
        """What ids say up to their first 0, as the text encoder is given it."""
        codes_NS = self.codes[ids_NS.cpu().numpy()]
        codes_NS = codes_NS * np.logical_and.accumulate(codes_NS != 0, axis=1)
        texts = codes_NS.view(f"<U{codes_NS.shape[1]}")[:, 0].tolist()
        return [Charset(DIGITS_LOWER).filter(text) for text in texts] if self.official else texts

    def _distinct(self, ids_NS: Tensor) -> Text:
        """Each word once, and no more tokens than the longest one has."""
        words, device = self.words(ids_NS), ids_NS.device
        distinct = list(dict.fromkeys(words))
        ids_UT, cut_U = (x.to(device) for x in self._framed([clip_ids(word) for word in distinct]))
        if self.official:  # its cross branch sees the padding
            ids_UT = F.pad(ids_UT, (0, self.context - ids_UT.shape[1]))
        tokens = self.encode(ids_UT) if torch.is_grad_enabled() else self._known(distinct, ids_UT)
        places = {word: place for place, word in enumerate(distinct)}
        place_N = torch.tensor([places[word] for word in words], device=device)
        return Text(tokens, _behind_end(ids_UT), place_N, cut_U[place_N])

    def _framed(self, pairs: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """<start> and <end> around the byte pairs that there is room for, and how many more."""
        room = self.context - 2
        rows = [torch.tensor([START, *row[:room], END]) for row in pairs]
        cut_U = torch.tensor([max(0, len(row) - room) for row in pairs])
        return pad_sequence(rows, batch_first=True), cut_U

    def _known(self, words: list[str], ids_UT: Tensor) -> Tensor:
        """The tokens of words, those that were encoded before from memory."""
        kind = self.text_projection.dtype
        if torch.is_autocast_enabled(ids_UT.device.type):
            kind = torch.get_autocast_dtype(ids_UT.device.type)
        state = (ids_UT.device, kind, *(parameter._version for parameter in self.parameters()))
        if state != self._state or len(self._memory) > MEMORY:
            self._state, self._memory = state, {}
        new = [place for place, word in enumerate(words) if word not in self._memory]
        if new:
            for place, tokens, behind in zip(
                new, self.encode(ids_UT[new]), _behind_end(ids_UT[new]), strict=True
            ):
                self._memory[words[place]] = tokens if self.official else tokens[~behind]
        return pad_sequence([self._memory[word] for word in words], batch_first=True)


def tower_sizes(text: str | Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `CLIPText`: width, heads, layers and activation of a text tower.

    Args:
        text: an open_clip model's name, or the numbers.

    Raises:
        ConfigError: a name that open_clip does not know, or of another kind of text tower.
    """
    if not isinstance(text, str):
        return {"quick_gelu": False, **text}
    config = open_clip.get_model_config(text)
    if config is None or "hf_model_name" in config["text_cfg"]:
        raise ConfigError(f"head.text: open_clip has no model {text!r} with CLIP's text tower")
    sizes = {name: config["text_cfg"][name] for name in ("width", "heads", "layers")}
    return {**sizes, "quick_gelu": config.get("quick_gelu", False)}


def _behind_end(ids_UT: Tensor) -> Tensor:
    ended_UT = ids_UT == END
    return (ended_UT.cumsum(1) - ended_UT.long()) > 0
