"""A written folder reads back with the same words."""

from __future__ import annotations

import numpy as np
import pytest

from ocrpretrain.data import LabelsFolder, SyntheticScenes
from ocrpretrain.data.prepare.folder import write_folder
from ocrpretrain.errors import DataError


def test_a_written_folder_reads_back(tmp_path):
    source = SyntheticScenes(4, size=(64, 96), words=(1, 3), letter_height=(0.15, 0.3), fresh=False)
    again = LabelsFolder(write_folder(source, tmp_path / "set"))
    assert len(again) == 4
    for index in range(4):
        ours, theirs = again[index], source[index]
        assert np.abs(ours.image.astype(int) - theirs.image).mean() < 6  # JPEG
        assert [word.text for word in ours.words] == [word.text for word in theirs.words]
        for a, b in zip(ours.words, theirs.words, strict=True):
            assert np.allclose(a.polygon, b.polygon, atol=0.01)
    with pytest.raises(DataError, match="not empty"):
        write_folder(source, tmp_path / "set")
