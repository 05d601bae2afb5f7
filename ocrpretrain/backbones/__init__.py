"""Backbones: what is carried on from pretraining into detectors and recognizers."""

from ocrpretrain.backbones.base import Backbone, Features
from ocrpretrain.backbones.clip_resnet import CLIPResNet
from ocrpretrain.backbones.clip_vit import ClipViT
from ocrpretrain.backbones.conv import ConvBackbone
from ocrpretrain.backbones.deep_encoder import DeepEncoder
from ocrpretrain.backbones.vlm_baselines import Adaptive, DualTower, Tiled

__all__ = [
    "Adaptive",
    "Backbone",
    "CLIPResNet",
    "ClipViT",
    "ConvBackbone",
    "DeepEncoder",
    "DualTower",
    "Features",
    "Tiled",
]
