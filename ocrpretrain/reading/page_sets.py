"""Test sets of pages as users name them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from ocrpretrain.config import build
from ocrpretrain.data import Folder
from ocrpretrain.data.sources.base import Source
from ocrpretrain.data.synthesis.texts import PageText
from ocrpretrain.data.views.page import PageView
from ocrpretrain.errors import ConfigError

PathLike = str | os.PathLike[str]
PAGES = "ocrpretrain.data.SyntheticPages"
COUNT = 100  # generated pages of a set
SEED = 1_000_003
TRAINING = 500  # training texts that test texts are compared with


def open_set(spec: str, config: Mapping[str, Any]) -> tuple[str, Source]:
    """Name and source of a set.

    Args:
        spec: `[NAME=]PATH` of what `Folder` opens; or 'natural', 'shuffled', 'letters', 'words':
            generated pages like the reader's validation pages, with such texts (see `Texts`) of
            paragraphs that `Texts(part='train')` leaves out.
        config: of the reader's training.

    Raises:
        ConfigError: generated pages of a reader that was not validated on any.
        DataError: nothing there.
    """
    name, _, path = spec.rpartition("=")
    if spec not in get_args(PageText):
        return name or Path(path).stem, Folder(path)
    pages = next(page_generators(config.get("data", {}).get("val")), None)
    if pages is None:
        raise ConfigError(
            f"--pages {spec}: the reader's training has no generated validation pages, so their "
            "size and fonts are unknown; give a folder of pages instead"
        )
    text = {"type": "ocrpretrain.data.Texts", **(pages.get("text") or {}), "page": spec}
    if spec != "words" and not text.get("corpus") and text.get("language", "en") != "en":
        raise ConfigError(
            f"--pages {spec}: there is packaged prose in English alone, not in "
            f"{text['language']}; give a folder of pages, or train with a corpus"
        )
    own = {**pages, "length": COUNT, "seed": SEED, "fresh": False, "text": {**text, "part": "test"}}
    return spec, build(own)


def training_texts(config: Mapping[str, Any]) -> Iterator[str]:
    """Texts of the first pages of a training source."""
    source: Source = build(config["data"]["train"])
    view = PageView(64)
    for place in range(min(TRAINING, len(source))):
        item = source.read(place, view.needs)
        yield "\n".join(view(item, 0).text)


def page_generators(spec: Any) -> Iterator[dict[str, Any]]:
    """The generators of pages in a source's spec, from the outside in."""
    if isinstance(spec, Mapping):
        if spec.get("type") == PAGES:
            yield dict(spec)
        for value in spec.values():
            yield from page_generators(value)
    elif isinstance(spec, list | tuple):
        for value in spec:
            yield from page_generators(value)
