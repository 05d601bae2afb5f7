"""Fonts: no box for a missing glyph, no small label on capitals."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import pytest
from fontTools.ttLib import TTFont

from ocrpretrain.data import Texts
from ocrpretrain.data.synthesis.fonts import is_unicase, load_fonts, missing, open_face
from ocrpretrain.errors import DataError

ASCII = "".join(map(chr, range(33, 127)))
FOLDER = Path(matplotlib.get_data_path()) / "fonts" / "ttf"


@pytest.mark.parametrize("language", ["en", "de", "fr", "es", "ru", "el", "ar"])
def test_every_font_maps_every_character_that_is_written(language):
    alphabet = Texts(language).alphabet(language)
    fonts = load_fonts(alphabet)
    assert fonts
    for font in fonts:
        with TTFont(font.path) as file:
            assert not set(alphabet) - {chr(code) for code in file.getBestCmap()}


def test_unicase_fonts_are_known():
    fonts = {font.family: font.unicase for font in load_fonts(ASCII)}
    if "BebasNeue" not in fonts:
        pytest.skip("the fonts extra is not installed")
    unicase = {family for family, flag in fonts.items() if flag}
    assert unicase == {"BebasNeue", "Bungee", "Cinzel", "LuckiestGuy", "PermanentMarker"}


def test_fallback_font_passes_and_a_font_without_glyphs_does_not(tmp_path):
    assert not missing(FOLDER / "DejaVuSans.ttf", ASCII)
    assert not is_unicase(open_face(FOLDER / "DejaVuSans.ttf")[0])
    assert len(missing(FOLDER / "STIXSizFourSymReg.ttf", ASCII)) > 50
    assert missing(FOLDER / "DejaVuSans.ttf", ASCII + "日\u200b")[0] == "日"
    with pytest.raises(DataError, match=r"none of 0 fonts in .* draws all characters"):
        load_fonts(ASCII, str(tmp_path))
    (tmp_path / "a.ttf").write_bytes((FOLDER / "DejaVuSans.ttf").read_bytes())
    with pytest.raises(DataError, match=r"a\.ttf lacks '日'\. .*--fonts.*characters out"):
        load_fonts(ASCII + "日", str(tmp_path))


def test_a_folder_of_fonts_and_a_file_that_is_none(tmp_path):
    (tmp_path / "a.ttf").write_bytes((FOLDER / "DejaVuSerif.ttf").read_bytes())
    assert [font.path.name for font in load_fonts(ASCII, str(tmp_path))] == ["a.ttf"]
    (tmp_path / "b.otf").write_bytes(b"no font")
    with pytest.raises(DataError, match=r"b\.otf is not a readable font"):
        load_fonts(ASCII + "ß", str(tmp_path))
