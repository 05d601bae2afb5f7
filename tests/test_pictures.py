"""Pictures of runs: curves of training and validation, where words and the pool look."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from PIL import Image
from test_engine import CONFIG, NANO, TOY
from test_tools import run

from ocrpretrain.engine import pretrain
from ocrpretrain.errors import DataError
from ocrpretrain.looking import attention_picture
from ocrpretrain.results.curves import draw_run, smooth

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    options = NANO | {"logger.mode": "disabled", "trainer.log_every_n_steps": 1}
    return pretrain(TOY, options, work_dir=tmp_path_factory.mktemp("toy") / "run")


def test_the_tool_draws_curve_and_attention(toy, monkeypatch):
    assert run(monkeypatch, "visualize", str(toy)) == 0
    assert run(monkeypatch, "visualize", str(toy), "--attention", "--count", "3") == 0
    with Image.open(toy / "curve.png") as curve, Image.open(toy / "attention.png") as attention:
        assert curve.size[0] > 800 and np.asarray(curve.convert("L")).std() > 5
        # three rows of the sample, the pool, and one or two words, enlarged to 256 pixels
        assert attention.size[1] == 3 * (256 + 18) and attention.size[0] in (3 * 256, 4 * 256)
        shown = np.asarray(attention, float)
        assert np.abs(shown[:256, :256] - shown[:256, 256:512]).mean() > 5


def test_what_cannot_be_drawn_is_said(tmp_path, monkeypatch, capsys):
    folder = pretrain(CONFIG, work_dir=tmp_path / "run")
    assert run(monkeypatch, "visualize", str(folder), "--attention") == 2
    assert "ColourHead draws no attention" in capsys.readouterr().err
    with pytest.raises(DataError, match="no validation metric with a blind twin"):
        draw_run(folder, tmp_path / "x.png")


def test_training_values_are_means_of_blocks_and_validation_stays():
    points = [(float(step), float(step % 2)) for step in range(200)]
    blocks = smooth(points, "train/loss")
    assert len(blocks) == 50 and all(y == 0.5 for _, y in blocks)
    assert smooth(points, "val/recall") == points


def test_the_picture_is_the_same_every_time(toy):
    first, second = (attention_picture(toy, 2) for _ in range(2))
    assert np.array_equal(first, second)
    rows = list(csv.DictReader((toy / "metrics.csv").open()))
    assert any(row["train/loss"] for row in rows)
