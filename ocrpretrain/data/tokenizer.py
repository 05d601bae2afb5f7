"""Words as ids: one id per character, or CLIP's byte pairs around the masked characters."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import regex
from open_clip.tokenizer import SimpleTokenizer

from ocrpretrain.data.charset import Charset

# CLIP's, without its two special tokens, which would be read where a word spells them.
PIECES = r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"


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
def clip_ids(word: str) -> tuple[int, ...]:
    """CLIP's byte pairs of a word, without <start> and <end>.

    Remembered, since the same words come again and again: 0.1 microseconds in place of 50. CLIP's
    repairs of web text (entities such as `&amp;`, broken encodings) are left out: signs say what
    they say.
    """
    clip = _word_tokenizer()
    return tuple(clip.encode(lower(word)))


def lower(text: str) -> str:
    """Lower case, without the letters whose lower case is several characters."""
    return "".join(low if len(low := char.lower()) == 1 else char for char in text)


def byte_pair_ranks() -> list[tuple[int, int]]:
    """The ids of both sides of each of CLIP's byte pairs, the first to be merged first."""
    clip = _word_tokenizer()
    return [(clip.encoder[left], clip.encoder[right]) for left, right in clip.bpe_ranks]


@lru_cache(maxsize=1)
def _clip_tokenizer() -> SimpleTokenizer:
    # Built on first use in each process: it unpacks 48,894 merges.
    return SimpleTokenizer()


@lru_cache(maxsize=1)
def _word_tokenizer() -> SimpleTokenizer:
    """One that takes texts as they are, also where they read like one of its special tokens."""
    tokenizer = SimpleTokenizer()
    tokenizer.clean_fn = lambda x: x
    tokenizer.pat = regex.compile(PIECES)
    return tokenizer
