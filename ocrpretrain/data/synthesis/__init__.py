"""The embedded generator: scenes with words, polygons and text, nothing to download."""

from ocrpretrain.data.synthesis.scene import SyntheticScenes

__all__ = ["SyntheticScenes"]
