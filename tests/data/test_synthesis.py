"""The generator: the same image for the same seed and index, legible, inside the image."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from PIL import ImageFont

from ocrpretrain.data import SyntheticScenes
from ocrpretrain.data.synthesis.fonts import draws_all, is_unicase, load_fonts
from ocrpretrain.data.synthesis.words import draw_word
from ocrpretrain.errors import ConfigError, DataError

OPTIONS = {"size": (128, 160), "words": (1, 4), "letter_height": (0.1, 0.3)}


def same(a, b) -> bool:
    return (a.image == b.image).all() and all(
        x.text == y.text and (x.polygon == y.polygon).all()
        for x, y in zip(a.words, b.words, strict=True)
    )


def test_an_image_depends_on_seed_and_index_only():
    forward = SyntheticScenes(8, seed=3, **OPTIONS)
    first = [forward[index] for index in range(8)]
    backward = SyntheticScenes(99, seed=3, **OPTIONS)
    for index in reversed(range(8)):
        assert same(backward[index], first[index])
    other = SyntheticScenes(8, seed=4, **OPTIONS)
    assert not any((other[i].image == first[i].image).all() for i in range(8))


@pytest.mark.slow
def test_another_process_draws_the_same():
    code = (
        "from ocrpretrain.data import SyntheticScenes as S;"
        f"print(S(8, seed=3, **{OPTIONS!r})[5].image.astype(int).sum())"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    ours = SyntheticScenes(8, seed=3, **OPTIONS)[5].image.astype(int).sum()
    assert int(printed.stdout) == ours


def test_words_lie_inside_do_not_overlap_and_have_contrast():
    source = SyntheticScenes(60, seed=1, **OPTIONS)
    import shapely

    contrasts, count = [], 0
    for index in range(60):
        item = source[index]
        shapes = [shapely.Polygon(word.polygon) for word in item.words]
        for i, word in enumerate(item.words):
            count += 1
            assert word.text and (word.polygon >= 0).all()
            assert (word.polygon <= (160, 128)).all()
            assert all(shapes[i].intersection(other).area < 1 for other in shapes[:i])
            x0, y0 = word.polygon.min(0).astype(int)
            x1, y1 = word.polygon.max(0).astype(int)
            grey = item.image[y0:y1, x0:x1].mean(2)
            contrasts.append(np.quantile(grey, 0.95) - np.quantile(grey, 0.05))
    assert count > 60
    assert np.quantile(contrasts, 0.05) > 25


def test_unicase_fonts_are_known_and_label_capitals():
    fonts = {path.name: unicase for path, unicase in load_fonts()}
    if "BebasNeue-Regular.ttf" not in fonts:
        pytest.skip("the fonts extra is not installed")
    unicase = {name.split("[")[0].split("-")[0] for name, flag in fonts.items() if flag}
    assert unicase == {"BebasNeue", "Bungee", "Cinzel", "PermanentMarker"}


def test_fallback_font_passes_and_a_font_without_glyphs_does_not(tmp_path):
    import matplotlib

    folder = f"{matplotlib.get_data_path()}/fonts/ttf"
    good = ImageFont.truetype(f"{folder}/DejaVuSans.ttf", 64)
    symbols = ImageFont.truetype(f"{folder}/STIXSizFourSymReg.ttf", 64)
    assert draws_all(good) and not is_unicase(good)
    assert not draws_all(symbols)
    with pytest.raises(DataError, match="no usable font"):
        load_fonts(str(tmp_path))


def test_words_follow_the_shares_of_real_sets():
    rng = np.random.default_rng(0)
    words = [draw_word(rng) for _ in range(3000)]
    assert all(33 <= ord(char) <= 126 for word in words for char in word)
    assert 0.35 < np.mean([word.isupper() for word in words]) < 0.6
    assert 0.04 < np.mean([any(c.isdigit() for c in word) for word in words]) < 0.2
    assert len(set(words)) > 2000


@pytest.mark.parametrize("options", [{"words": (3, 1)}, {"letter_height": (0, 0.1)}])
def test_bad_options(options):
    with pytest.raises(ConfigError):
        SyntheticScenes(8, **options)
