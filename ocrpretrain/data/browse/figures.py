"""Pictures of the page: an image and its words as shapes that can be pointed at and hidden."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import cv2
import numpy as np

from ocrpretrain.data.browse.captions import as_html, below
from ocrpretrain.data.sources.base import AnnotatedImage, Word

LOSSLESS = 50_000  # pixels up to which a picture is embedded as PNG
QUALITY = 85  # of the JPEGs that larger ones become
TOGGLES = "".join(
    f'<input type="checkbox" id="{key}"{state}><label class="toggle" for="{key}">{text}</label>'
    for key, state, text in [
        ("polygons", " checked", "polygons (orange: first edge)"),
        ("ignored", " checked", "ignored words (grey)"),
        ("large", "", "large pictures"),
    ]
)


def gallery(items: Sequence[AnnotatedImage]) -> str:
    """All images in a grid."""
    return f'<div class="pictures">{"".join(map(_figure, items))}</div>'


def _figure(item: AnnotatedImage) -> str:
    height, width = item.image.shape[:2]
    shapes = "".join(_shape(word) for word in item.words if word.polygon is not None)
    captions = "".join(
        f" <b{' class=weak' if word.polygon is None else ''}>{as_html(word.text)}</b>"
        for word in below(item)
    )
    return (
        f'<figure><svg viewBox="0 0 {width} {height}">'
        f'<image href="{_data_uri(item.image)}" width="{width}" height="{height}"/>'
        f'<g class="words">{shapes}</g></svg>'
        f"<figcaption>{as_html(item.id)}{captions}</figcaption></figure>"
    )


def _shape(word: Word) -> str:
    points = [f"{x:.1f},{y:.1f}" for x, y in word.outline]
    group = '<g class="ignored">' if word.ignore else "<g>"
    start, end = points[:2]
    first = f'<path class="first" d="M{start}L{end}"/><path class="start" d="M{start}h0"/>'
    outline = f'<polygon class="word" points="{" ".join(points)}"/>'
    return f"{group}<title>{as_html(word.text)}</title>{outline}{'' if word.ignore else first}</g>"


def _data_uri(image: np.ndarray) -> str:
    kind, options = "jpeg", [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    if image.shape[0] * image.shape[1] <= LOSSLESS:
        kind, options = "png", []
    data = cv2.imencode(f".{kind}", image[..., ::-1], options)[1].tobytes()
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
