"""Weights files: the interface between pretraining and everything after it."""

from ocrpretrain.weights.format import WeightsInfo, load_strict, read_info, read_weights

__all__ = ["WeightsInfo", "load_strict", "read_info", "read_weights"]
