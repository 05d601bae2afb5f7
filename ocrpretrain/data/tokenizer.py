"""Words as ids: one id per character, or CLIP's byte pairs around the masked characters."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from open_clip.tokenizer import SimpleTokenizer

from ocrpretrain.data.charset import Charset


class WordTokenizer(Protocol):
    """What turns a word into the ids of a text encoder; picklable, for the loader's workers.

    Id 0 is padding, and EOS has the largest id, so an encoder finds it by `argmax`.
    """

    @property
    def vocab_size(self) -> int:
        """Number of ids."""
        ...

    def context_length(self, max_label_length: int) -> int:
        """The most ids of a word of `max_label_length - 1` characters."""
        ...

    def encode(self, word: str, masked: Collection[int] = ()) -> list[int]:
        """Ids with EOS at the end; the characters at `masked` positions are replaced by MASK."""
        ...


@dataclass(frozen=True)
class CharacterTokenizer:
    """oCLIP's ids: one per character (see `Charset`), so ids and characters share positions."""

    charset: Charset

    @property
    def vocab_size(self) -> int:
        return self.charset.vocab_size

    def context_length(self, max_label_length: int) -> int:
        return max_label_length

    def encode(self, word: str, masked: Collection[int] = ()) -> list[int]:
        ids = [*self.charset.encode(word), self.charset.eos_id]
        for position in masked:
            ids[position] = self.charset.mask_id
        return ids


class BpeTokenizer:
    """CLIP's lower-cased byte pairs: <start>, the pieces between masked characters, <end>.

    Ids are CLIP's moved up by one (0 is CLIP's exclamation mark), with MASK before <end>. A masked
    character splits the word, so that no byte pair can give it away.
    """

    @property
    def vocab_size(self) -> int:
        return _clip_tokenizer().vocab_size + 2

    def context_length(self, max_label_length: int) -> int:
        return 4 * (max_label_length - 1) + 2  # UTF-8: at most 4 bytes a character

    def encode(self, word: str, masked: Collection[int] = ()) -> list[int]:
        clip = _clip_tokenizer()
        mask, eos = clip.vocab_size, clip.vocab_size + 1
        ids, start = [clip.sot_token_id + 1], 0
        for position in [*sorted(masked), len(word)]:
            ids += [index + 1 for index in clip.encode(word[start:position])]
            ids += [mask] if position < len(word) else []
            start = position + 1
        return [*ids, eos]


@lru_cache(maxsize=1_000_000)
def clip_ids(text: str, context: int) -> tuple[int, ...]:
    """CLIP's ids of a text: <start>, byte pairs, <end>, zeros; a long one loses its last pairs.

    Remembered, since the same words come again and again: 1 microsecond in place of 50.
    """
    clip = _clip_tokenizer()
    ids = [clip.sot_token_id, *clip.encode(text)[: context - 2], clip.eot_token_id]
    return tuple(ids + [0] * (context - len(ids)))


@lru_cache(maxsize=1)
def _clip_tokenizer() -> SimpleTokenizer:
    # Built on first use in each process: it unpacks 48,894 merges.
    return SimpleTokenizer()
