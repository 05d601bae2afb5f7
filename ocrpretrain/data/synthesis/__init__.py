"""The embedded generator: scenes, words and pages with their labels, nothing to download."""

from ocrpretrain.data.synthesis.page import SyntheticPages
from ocrpretrain.data.synthesis.plain import PlainTexts
from ocrpretrain.data.synthesis.scene import SyntheticScenes
from ocrpretrain.data.synthesis.texts import Texts
from ocrpretrain.data.synthesis.word import SyntheticWords

__all__ = ["PlainTexts", "SyntheticPages", "SyntheticScenes", "SyntheticWords", "Texts"]
