"""Reading with trained heads: words, and images against a lexicon."""

from ocrpretrain.reading.lexicon import LexiconReader, read_lexicon
from ocrpretrain.reading.words import Answer, WordFileReader

__all__ = ["Answer", "LexiconReader", "WordFileReader", "read_lexicon"]
