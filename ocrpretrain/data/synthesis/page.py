"""Document pages: titles, paragraphs in columns, tables, figures; scanned or photographed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np

from ocrpretrain.data.sources.base import AnnotatedImage, Word
from ocrpretrain.data.synthesis.base import Generator
from ocrpretrain.data.synthesis.fonts import Font
from ocrpretrain.data.synthesis.lettering import Face
from ocrpretrain.data.synthesis.photo import add_grain, compress
from ocrpretrain.data.synthesis.signs import draw_font, move
from ocrpretrain.data.synthesis.texts import Texts
from ocrpretrain.data.synthesis.typesetting import Align, Page
from ocrpretrain.errors import ConfigError

Effects = Literal["none", "scan", "photo", "mixed"]
BODY = (
    "EBGaramond", "LibreBaskerville", "PlayfairDisplay", "RobotoSlab", "Arvo", "Roboto", "OpenSans",
    "Montserrat", "WorkSans", "Karla", "Cabin", "ArchivoNarrow", "Exo2", "JosefinSans",
    "Inconsolata", "SpaceMono", "TitilliumWeb", "VarelaRound", "DejaVuSans", "DejaVuSerif",
    "STIXGeneral",
)  # fmt: skip


class SyntheticPages(Generator):
    """Generated pages, whose words carry their place in the reading order.

    Args:
        length: images per epoch; the generator draws new ones every epoch where `fresh`.
        size: height and width in pixels.
        body: least and most size of the body text, in pixels per em.
        columns: least and most columns.
        tables: tables among the blocks, as a share.
        figures: figures among the blocks, as a share.
        effects: 'none' (as rendered), 'scan', 'photo' or 'mixed'.
        families: fonts of all text, such as ['Roboto']; by default `BODY`, and any in titles.
        characters: whether words carry a quad per character.
        seed: see `Generator`.
        fresh: see `Generator`.
        text: see `Generator`; `Texts(page=...)` chooses prose, shuffled words or random letters.
        fonts: see `Generator`.
        backgrounds: see `Generator`; what photographed pages lie on.

    Raises:
        ConfigError: empty ranges, an unknown effect, or families of which there is no font.
    """

    kind = "pages"
    version = 3

    def __init__(
        self,
        length: int,
        size: Sequence[int] = (1024, 1024),
        body: Sequence[float] = (11, 22),
        columns: Sequence[int] = (1, 3),
        tables: float = 0.12,
        figures: float = 0.08,
        effects: Effects = "mixed",
        families: Sequence[str] | None = None,
        characters: bool = False,
        seed: int = 0,
        fresh: bool = True,
        text: Texts | None = None,
        fonts: str | None = None,
        backgrounds: str | None = None,
    ) -> None:
        super().__init__(length, seed, fresh, text, fonts, backgrounds)
        if not 0 < body[0] <= body[1] or not 1 <= columns[0] <= columns[1]:
            raise ConfigError(f"SyntheticPages: body {body}, columns {columns}")
        if "ar" in self.text.languages:
            raise ConfigError("SyntheticPages: lines of right-to-left words are not laid out yet")
        if effects not in ("none", "scan", "photo", "mixed"):
            raise ConfigError(f"SyntheticPages: effects {effects!r} is unknown")
        self.size = self.height, self.width = int(size[0]), int(size[1])
        self.body, self.columns = tuple(body), tuple(columns)
        self.tables, self.figures = tables, figures
        self.effects, self.characters = effects, characters
        self.families = None if families is None else tuple(families)
        for language, faces in self.fonts.items():
            known = {font.family for font in faces if not font.unicase}  # labels have small letters
            if unknown := set(self.families or ()) - known:
                raise ConfigError(
                    f"SyntheticPages: no font of {sorted(unknown)} with small letters for "
                    f"{language!r}; there is {', '.join(sorted(known))}"
                )

    def draw(self, rng: np.random.Generator) -> AnnotatedImage:
        language = self.text.draw_language(rng)
        page = Page(self.height, self.width)
        pictures = self._compose(page, language, rng)
        grey, matrix = self._photograph(page.ink, pictures, rng)
        words = []
        for order, mark in enumerate(page.marks):
            characters = move(mark.characters, matrix) if self.characters else None
            polygon = move(mark.polygon, matrix)
            words.append(
                Word(mark.text, polygon, language=language, order=order, characters=characters)
            )
        return AnnotatedImage(self._tint(grey, rng), words)

    def _compose(
        self, page: Page, language: str, rng: np.random.Generator
    ) -> list[tuple[int, int, int, int]]:
        """Fill a page; returns the boxes of its figures (x0, y0, x1, y1)."""
        pixels = float(np.exp(rng.uniform(*np.log(self.body))))
        body, head = self._faces(language, pixels, rng)
        side = rng.uniform(0.05, 0.12) * self.width
        y, bottom = rng.uniform(0.03, 0.08) * self.height, self.height * rng.uniform(0.9, 0.96)
        width = self.width - 2 * side
        if rng.random() < 0.4:
            y = self._running_head(page, body, side, y, width, language, rng)
        if rng.random() < 0.6:
            words = [w.capitalize() for w in self._some(language, int(rng.integers(2, 8)), rng)]
            align: Align = "centre" if rng.random() < 0.5 else "left"
            y = page.paragraph(words, head, side, y, width, bottom, 1.2 * head.pixels, align)
            y += pixels * rng.uniform(0.5, 1.5)
        count = int(rng.integers(self.columns[0], self.columns[1] + 1))
        count = max(1, min(count, int(width / (14 * pixels))))
        gutter = pixels * rng.uniform(1.0, 2.2)
        column = (width - gutter * (count - 1)) / count
        pictures = []
        style = _Style(rng)
        for place in range(count):
            x = side + place * (column + gutter)
            pictures += self._column(page, body, head, style, x, y, column, bottom, language, rng)
        return pictures

    def _faces(self, language: str, pixels: float, rng: np.random.Generator) -> tuple[Face, Face]:
        fonts = self.fonts[language]
        if self.families is not None:
            fonts = tuple(font for font in fonts if font.family in self.families)
        plain = [f for f in fonts if f.family in BODY and not f.unicase] or list(fonts)
        # Nearly all print is upright and of normal weight.
        upright = [f for f in plain if "Italic" not in f.path.stem] or plain
        body = draw_font(upright if rng.random() < 0.9 else plain, rng)
        title = body if rng.random() < 0.5 else draw_font(fonts, rng)
        title = body if title.unicase else title
        blank = float(rng.uniform(0.22, 0.32))
        size = max(8, round(pixels))
        large = round(pixels * rng.uniform(1.5, 2.6))
        return (
            Face(body.path, size, _weight(body, 400), 0.0, blank),
            Face(title.path, large, _weight(title, 700), 0.0, blank),
        )

    def _running_head(self, page: Page, face: Face, x: float, y: float, width: float,
                      language: str, rng: np.random.Generator) -> float:  # fmt: skip
        words = self._some(language, int(rng.integers(2, 6)), rng)
        y = page.paragraph(words, face, x, y, width * 0.7, y + 3 * face.pixels, face.pixels, "left")
        number, place = str(rng.integers(1, 999)), x + width - 3 * face.pixels
        ends = [float(mark.polygon[:, 0].max()) for mark in page.marks]
        if max(ends, default=0.0) + face.blank * face.pixels < place:  # room is left for it
            page.write(number, face, place, y)
        if rng.random() < 0.5:
            page.rule(x, y + 0.5 * face.pixels, x + width, y + 0.5 * face.pixels)
        return y + 1.5 * face.pixels

    def _column(self, page: Page, body: Face, head: Face, style: _Style, x: float, y: float,
                width: float, bottom: float, language: str,
                rng: np.random.Generator) -> list[tuple[int, int, int, int]]:  # fmt: skip
        leading, pictures = style.leading * body.pixels, []
        small = Face(head.path, round(1.15 * body.pixels), head.weight, 0.0, head.blank)
        while y + 2 * leading < bottom:
            kind = rng.random()
            if kind < self.tables:
                columns = int(rng.integers(2, max(3, min(6, int(width / (5 * body.pixels))))))
                rows = [
                    [self._cell(language, rng) for _ in range(columns)]
                    for _ in range(rng.integers(3, 9))
                ]
                y = page.table(rows, body, x, y, width, bottom, style.rules)
            elif kind < self.tables + self.figures:
                height = width * rng.uniform(0.3, 0.7)
                if y + height < bottom:
                    pictures.append((round(x), round(y), round(x + width), round(y + height)))
                    y += height + 0.5 * leading
            elif kind < self.tables + self.figures + 0.12:
                words = self._some(language, int(rng.integers(1, 6)), rng)
                y = page.paragraph(words, small, x, y, width, bottom, leading, "left")
            else:
                words = self.text.draw_paragraph(rng, language)
                y = page.paragraph(
                    words,
                    body,
                    x,
                    y,
                    width,
                    bottom,
                    leading,
                    style.align,
                    style.indent * body.pixels,
                )
            y += style.gap * leading
        return pictures

    def _some(self, language: str, count: int, rng: np.random.Generator) -> list[str]:
        return self.text.draw_paragraph(rng, language)[:count]

    def _cell(self, language: str, rng: np.random.Generator) -> str:
        return " ".join(self.text.draw_word(rng, language) for _ in range(rng.integers(1, 3)))

    def _photograph(
        self, ink: np.ndarray, pictures: list[tuple[int, int, int, int]], rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """(H, W) uint8 grey, and the homography that the words went through."""
        paper, black = rng.uniform(215, 255), rng.uniform(0, 70)
        grey = cv2.LUT(ink, np.linspace(paper, black, 256).astype(np.uint8))
        for x0, y0, x1, y1 in pictures:
            piece = self.surface(y1 - y0, x1 - x0, rng)
            grey[y0:y1, x0:x1] = cv2.cvtColor(piece, cv2.COLOR_RGB2GRAY)
        kinds = ("none", "scan", "scan", "photo")
        kind = kinds[rng.integers(4)] if self.effects == "mixed" else self.effects
        matrix = np.eye(3)
        if kind == "none":
            return grey, matrix
        matrix = self._pose(kind, rng)
        if kind == "scan":
            if rng.random() < 0.3:  # print on the other side shines through
                back = cv2.addWeighted(ink[:, ::-1], -rng.uniform(0.03, 0.12), ink, 0, paper)
                grey = cv2.min(grey, back)
            grey = cv2.warpPerspective(grey, matrix, (self.width, self.height), borderValue=paper)
        else:
            desk = cv2.cvtColor(self.surface(self.height, self.width, rng), cv2.COLOR_RGB2GRAY)
            cv2.warpPerspective(grey, matrix, (self.width, self.height), dst=desk,
                                borderMode=cv2.BORDER_TRANSPARENT)  # fmt: skip
            light = rng.uniform(0.6, 1.1, (3, 3)).astype(np.float32)
            light = cv2.resize(light, (self.width, self.height), interpolation=cv2.INTER_LINEAR)
            grey = cv2.multiply(desk, light, dtype=cv2.CV_8U)
        return _scan_noise(grey, rng), matrix

    def _pose(self, kind: str, rng: np.random.Generator) -> np.ndarray:
        height, width = self.height, self.width
        flat = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        turn = np.deg2rad(rng.normal(0, 0.5 if kind == "scan" else 2.0))
        rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        corners = (flat - flat.mean(0)) @ rotation.T
        if kind == "photo":
            corners = corners * rng.uniform(0.86, 0.95)
            corners += rng.uniform(-0.02, 0.02, (4, 2)) * (width, height)
        target = (corners + flat.mean(0)).astype(np.float32)
        return cv2.getPerspectiveTransform(flat, target)

    def _tint(self, grey: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(H, W, 3): paper is seldom quite white; ink and light have a hue, too."""
        if rng.random() < 0.35:
            return cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
        value = np.arange(256)[:, None]
        table = value * rng.uniform(0.88, 1.0, 3) + (255 - value) * rng.uniform(0, 0.15, 3)
        return cv2.LUT(cv2.merge([grey] * 3), np.clip(table, 0, 255).astype(np.uint8)[None])


class _Style:
    """How the columns of one page are set."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.leading = float(rng.uniform(1.15, 1.6))
        self.align: Align = "justified" if rng.random() < 0.65 else "left"
        self.indent = float(rng.choice([0.0, 1.5]))
        self.gap = float(rng.uniform(0.2, 0.9)) if not self.indent else 0.1
        self.rules: Literal["all", "rows", "none"] = ("all", "rows", "none")[rng.integers(3)]


def _weight(font: Font, wanted: int) -> int | None:
    return None if font.weights is None else int(np.clip(wanted, *font.weights))


def _scan_noise(grey: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if rng.random() < 0.5:
        grey = cv2.GaussianBlur(grey, (0, 0), rng.uniform(0.3, 0.8))
    grey = add_grain(grey, abs(rng.normal(0, 6)) + 0.5, rng)
    return compress(grey, int(rng.integers(40, 95)))
