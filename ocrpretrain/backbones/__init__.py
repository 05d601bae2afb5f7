"""Backbones: what is carried on from pretraining into detectors and recognizers."""

from ocrpretrain.backbones.base import Backbone, Features
from ocrpretrain.backbones.clip_resnet import CLIPResNet

__all__ = ["Backbone", "CLIPResNet", "Features"]
