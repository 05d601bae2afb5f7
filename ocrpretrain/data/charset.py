"""Character sets as data: a named set or a file, and the ids that a text encoder sees."""

from __future__ import annotations

import string
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ocrpretrain.data.inline import Inline
from ocrpretrain.errors import ConfigError

DIGITS_LOWER = string.digits + string.ascii_lowercase
NAMED = {
    "36": DIGITS_LOWER,
    "62": string.digits + string.ascii_letters,
    "94": "".join(map(chr, range(33, 127))),  # in code order, as oCLIP numbers them
}


@dataclass(frozen=True)
class Charset:
    """An ordered set of characters.

    Ids are oCLIP's: 0 is padding, characters follow from 1, then MASK, then EOS (the largest).
    """

    characters: str

    @classmethod
    def load(cls, name: str | int) -> Charset:
        """A named set (36, 62, 94) or a UTF-8 file of characters (line ends are not characters).

        Raises:
            ConfigError: neither a known name nor a file, or a character listed twice.
        """
        key = str(name)
        if not isinstance(name, Inline):
            if key in NAMED:
                return cls(NAMED[key])
            if not Path(key).is_file():
                raise ConfigError(f"charset {key!r} is neither {', '.join(NAMED)} nor a file")
            name = Path(key).read_text("utf-8-sig")
        characters = name.replace("\n", "").replace("\r", "")
        twice = sorted({char for char in characters if characters.count(char) > 1})
        if twice or not characters:
            raise ConfigError(f"{key}: empty, or characters listed twice: {''.join(twice)!r}")
        return cls(characters)

    def files(self) -> dict[str, str]:
        """What a file says that names this set, for `Head.files`."""
        return {"charset": self.characters}

    def __len__(self) -> int:
        return len(self.characters)

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {char: index for index, char in enumerate(self.characters, 1)}

    @property
    def mask_id(self) -> int:
        return len(self.characters) + 1

    @property
    def eos_id(self) -> int:
        return len(self.characters) + 2

    @property
    def vocab_size(self) -> int:
        return len(self.characters) + 3

    def filter(self, text: str) -> str:
        """The characters of `text` that are in the set; a caseless set lower-cases first."""
        if not any(char.isupper() for char in self.characters):
            text = text.lower()
        return "".join(char for char in text if char in self._ids)

    def encode(self, text: str) -> list[int]:
        """Ids of a text whose characters are all in the set (see `filter`), without EOS."""
        return [self._ids[char] for char in text]

    def decode(self, ids: list[int]) -> str:
        """The text of character ids; padding, MASK and EOS are left out."""
        return "".join(self.characters[i - 1] for i in ids if 1 <= i <= len(self.characters))
