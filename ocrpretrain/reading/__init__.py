"""Reading with trained heads: words, and images against a lexicon."""

from ocrpretrain.reading.lexicon import LexiconReader, read_lexicon
from ocrpretrain.reading.words import WordFileReader

__all__ = ["LexiconReader", "WordFileReader", "read_lexicon"]
