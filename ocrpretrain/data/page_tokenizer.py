"""Texts of pages as ids: any file of the `tokenizers` library, or a byte-level BPE of one's own."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from ocrpretrain.data.inline import Inline
from ocrpretrain.errors import ConfigError, DataError

BOS, EOS = "<bos>", "<eos>"
# What they are called in files of others.
ENDS = (EOS, "</s>", "<|endoftext|>", "<｜end▁of▁sentence｜>")
STARTS = (BOS, "<s>", "<｜begin▁of▁sentence｜>")
PathLike = str | os.PathLike[str]


class PageTokenizer:
    """Texts <-> ids; EOS ends a text.

    Args:
        path: a `tokenizer.json`, or its content (`Inline`); None is bytes: 256 ids, BOS and EOS.

    Raises:
        ConfigError: no such file, or one that is no tokenizer or has no end of text.
    """

    def __init__(self, path: PathLike | None = None) -> None:
        self.path = path
        self.tokenizer = _bytes() if path is None else _read(path)
        self.tokenizer.encode_special_tokens = True  # a page may say <eos>
        self.eos_id = _special(self.tokenizer, ENDS)
        self.bos_id = _special(self.tokenizer, (*STARTS, *ENDS))

    def __len__(self) -> int:
        """One more than the highest id: some files leave ids out."""
        return max(self.tokenizer.get_vocab(with_added_tokens=True).values()) + 1

    def encode(self, text: str) -> list[int]:
        """Ids of a text and EOS.

        Raises:
            DataError: a text whose ids do not spell it, so that no answer could be right.
        """
        ids = self.tokenizer.encode(text, add_special_tokens=False).ids
        if (spelled := self.decode(ids)) != text:
            lost = sorted(set(text) - set(spelled))
            name = "of the reader file" if isinstance(self.path, Inline) else self.path
            raise DataError(f"the tokenizer {name} does not spell {''.join(lost)[:20]!r}")
        return [*ids, self.eos_id]

    def count(self, text: str) -> int:
        """Ids of a text, without EOS; those of what it can spell of it."""
        return len(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids up to EOS."""
        kept: list[int] = []
        for index in ids:
            if index == self.eos_id:
                break
            kept.append(index)
        return self.tokenizer.decode(kept, skip_special_tokens=True)

    def files(self) -> dict[str, str]:
        """What a file says that named this tokenizer, for `Head.files`."""
        return {} if self.path is None else {"tokenizer": self.tokenizer.to_str()}

    # In a worker the library's own object would be copied through its JSON.
    def __reduce__(self) -> tuple[type[PageTokenizer], tuple[PathLike | None]]:
        return PageTokenizer, (self.path,)


def train(texts: Iterable[str], size: int, out: PathLike) -> Tokenizer:
    """Learn byte pairs from texts and write them; every text can be spelled with them.

    Args:
        texts: what to learn from.
        size: ids, with 256 bytes, BOS and EOS.
        out: the `tokenizer.json` to write.

    Raises:
        ConfigError: fewer ids than bytes.
    """
    if size < 258:
        raise ConfigError(f"a tokenizer needs 258 ids for bytes, BOS and EOS, found {size}")
    tokenizer = _bytes()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[BOS, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(out))
    return tokenizer


def _bytes() -> Tokenizer:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: place for place, token in enumerate([BOS, EOS, *letters])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.add_special_tokens([BOS, EOS])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _read(path: PathLike) -> Tokenizer:
    if isinstance(path, Inline):
        return Tokenizer.from_str(path)
    if not Path(path).is_file():
        raise ConfigError(f"{path}: no such tokenizer; tools/prepare_data.py tokenizer writes one")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise ConfigError(f"{path}: no file of the tokenizers library ({error})") from None


def _special(tokenizer: Tokenizer, names: tuple[str, ...]) -> int:
    for name in names:
        if (found := tokenizer.token_to_id(name)) is not None:
            return found
    raise ConfigError(f"the tokenizer has none of {', '.join(names)}")
