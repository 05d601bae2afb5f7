"""All that there is to see of one source, or of two side by side."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from ocrpretrain.config import build, load
from ocrpretrain.data.browse.page import write_page
from ocrpretrain.data.browse.sheet import contact_sheet
from ocrpretrain.data.browse.survey import SAMPLE, survey
from ocrpretrain.data.browse.tables import console_table
from ocrpretrain.data.charset import Charset
from ocrpretrain.data.sources import Folder, Source
from ocrpretrain.data.synthesis import SyntheticPages, SyntheticScenes, SyntheticWords
from ocrpretrain.drawing import save_picture
from ocrpretrain.errors import DataError

SHEETS = ("sheet.png", "sheet2.png")
GENERATORS = {
    "synthetic": SyntheticScenes,
    "synthetic-words": SyntheticWords,
    "synthetic-pages": SyntheticPages,
}


def browse(
    names: Sequence[str],
    out: str | os.PathLike[str],
    pictures: int = 64,
    sample: int | None = None,
    charset: str = "94",
    seed: int = 0,
    max_bad: float = 0.0,
    marks: bool = True,
) -> Path:
    """Print the main statistics and write a contact sheet of each source and one page.

    Args:
        names: one source or two, see `open_source`.
        out: folder for `sheet.png`, `sheet2.png` and `index.html`.
        pictures: images of each source to show.
        sample: images of each source to measure, see `survey.choose`.
        charset: see `Charset.load`.
        seed: of the sample.
        max_bad: see `open_source`.
        marks: whether the sheets show the words, too.

    Returns:
        The page.

    Raises:
        ConfigError: an unknown charset, or a config with mistakes.
        DataError: a source that cannot be opened or read, more than two, or nothing to show.
    """
    if not 1 <= len(names) <= len(SHEETS) or pictures < 1:
        raise DataError(f"needs one source or two and some pictures: {len(names)}, {pictures}")
    characters = Charset.load(charset)
    sources = [open_source(name, seed, max_bad) for name in names]
    found = [survey(source, characters, sample, seed, pictures) for source in sources]
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    for name, (_, items) in zip(SHEETS, found, strict=False):
        save_picture(contact_sheet(items, marks=marks), folder / name)
    columns = [statistics for statistics, _ in found]
    write_page(folder / "index.html", columns, [items for _, items in found])
    Console().print(console_table(columns))
    return folder / "index.html"


def open_source(name: str, seed: int = 0, max_bad: float = 0.0) -> Source:
    """The source that a name stands for.

    Args:
        name: 'synthetic' or another of `GENERATORS`, a pretrain config (`*.py`, of which
            `data.train` is taken), or what `ocrpretrain.data.Folder` opens.
        seed: of the generated images.
        max_bad: share of a folder's entries that may be unusable; they are left out and named.

    Raises:
        ConfigError: a config with mistakes.
        DataError: see `Folder`.
    """
    if name in GENERATORS:
        return GENERATORS[name](SAMPLE, seed=seed)
    if name.endswith(".py"):
        return build(load(name)["data"]["train"])
    return Folder(name, max_bad=max_bad)
