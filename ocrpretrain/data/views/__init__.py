"""Views: what a head is shown of an annotated image, by the name that the head gives."""

from ocrpretrain.data.views.base import Sample, View, stack_images
from ocrpretrain.data.views.page import PageView
from ocrpretrain.data.views.scene import SceneView
from ocrpretrain.data.views.word import WordView

__all__ = ["VIEWS", "PageView", "Sample", "SceneView", "View", "WordView", "stack_images"]

VIEWS: dict[str, type[View]] = {"scene": SceneView, "word": WordView, "page": PageView}
