"""An ablation file expands to cells that are shared, named by content, and judged by axis."""

from __future__ import annotations

import pytest
import torch
from conftest import EXTERNAL, ROOT

from ocrpretrain.ablation.matrix import load_matrix
from ocrpretrain.errors import ConfigError, DataError
from ocrpretrain.results.axes import as_csv, group_by_axes, markdown
from ocrpretrain.weights.format import WeightsInfo, write_weights

CONFIG = EXTERNAL / "my_config.py"
FINETUNE = ROOT / "configs/finetune/textdet/dbnet_clip-resnet-nano_demo_synthetic.py"


def write(path, **parts):
    values = {"pretrain": {"config": str(CONFIG)}, **parts}
    path.write_text("".join(f"{name} = {value!r}\n" for name, value in values.items()))
    return path


def test_axes_multiply_and_equal_cells_are_one(tmp_path):
    file = write(
        tmp_path / "a.py",
        pretrain={"config": str(CONFIG), "seeds": [0, 1], "overrides": {"trainer.max_epochs": 3}},
        axes={
            "rate": {"slow": {"optimizer.lr": 1e-4}, "fast": {"optimizer.lr": 1e-3}},
            "data.label_fraction": [1.0, 0.5],
            "same": {"one": {}, "two": {}},
        },
        baseline={"rate": "fast"},
    )
    matrix = load_matrix(file)
    assert len(matrix.cells) == 2 * 2 * 2  # 'same' changes nothing
    assert len(matrix.rows) == 2 * 2 * 2 * 2
    assert {cell.steps for cell in matrix.cells} == {3 * 16 // 4}
    labels = {"rate": "fast", "data.label_fraction": "1.0", "same": "one"}
    assert matrix.baseline == labels
    again = load_matrix(file)
    assert [cell.id for cell in again.cells] == [cell.id for cell in matrix.cells]


def test_a_whole_section_replaces_the_one_of_the_config(tmp_path):
    backbone = {"type": "ocrpretrain.backbones.CLIPResNet", "layers": [1, 1, 1, 1], "width": 16}
    matrix = load_matrix(write(tmp_path / "a.py", axes={"backbone": [backbone]}))
    assert matrix.cells[0].labels == {"backbone": "CLIPResNet"}
    assert matrix.cells[0].overrides["backbone"]["_delete_"] is True


@pytest.mark.mmocr
def test_finetunings_share_their_pretraining_and_random_ones_the_architecture(tmp_path):
    file = write(
        tmp_path / "a.py",
        axes={"optimizer.lr": [1e-3, 1e-4]},
        finetune=[{"config": str(FINETUNE), "seeds": [0, 1, 2], "random": True}],
    )
    matrix = load_matrix(file)
    stages = [cell.stage for cell in matrix.cells]
    assert stages.count("pretrain") == 2 and stages.count("finetune") == 2 * 3 + 3
    pretrained = [c for c in matrix.cells if c.stage == "finetune" and not c.random]
    assert len({c.parent for c in pretrained}) == 2
    assert len(matrix.rows) == 9 and matrix.metric == "hmean"


def test_other_data_is_another_cell(tmp_path):
    from PIL import Image

    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("a.png", "b.png", "c.png", "d.png"):
        Image.new("RGB", (64, 64)).save(folder / name)
    lines = [f'{{"file": "{n}.png", "words": []}}\n' for n in "abcd"]
    (folder / "labels.jsonl").write_text("".join(lines))
    source = {"type": "ocrpretrain.data.Folder", "path": str(folder)}
    file = write(tmp_path / "a.py", axes={"data.train": [source]})
    (before,) = load_matrix(file).cells
    (folder / "labels.jsonl").write_text("".join(reversed(lines)))
    (after,) = load_matrix(file).cells
    assert before.id != after.id and before.steps == 2
    (folder / "labels.jsonl").unlink()
    with pytest.raises(DataError, match="neither labels.jsonl"):
        load_matrix(file)


MISTAKES = [
    ({"axis": {}}, "axis: unknown key. Did you mean 'axes'?"),
    ({"pretrain": {"seeds": [0]}}, "pretrain.config: is missing"),
    ({"pretrain": {"config": str(CONFIG), "seeds": [1, 1]}}, "seeds: wants different numbers"),
    ({"axes": {"optimizer.lrr": [1.0]}}, "optimizer.lrr: .*Did you mean 'lr'"),
    ({"axes": {"optimizer.lr": 1.0}}, "axes.optimizer.lr: wants"),
    ({"finetune": [{"configs": "x"}]}, "finetune.0.configs: unknown key"),
    ({"baseline": {"x": "y"}}, "baseline: .* is no row"),
]


@pytest.mark.parametrize(("parts", "message"), MISTAKES, ids=[m for _, m in MISTAKES])
def test_mistakes_are_named(tmp_path, parts, message):
    with pytest.raises(ConfigError, match=message):
        load_matrix(write(tmp_path / "a.py", **parts))


@pytest.mark.mmocr
def test_shipped_files_load():
    files = sorted((ROOT / "configs/ablations").glob("*.py"))
    assert all(len(path.read_text().splitlines()) <= 40 for path in files)
    counts = {path.stem: len(load_matrix(path, with_data=False).cells) for path in files}
    # 5 parts x 3 seeds of pretraining, each finetuned 3 times, and 3 random ones
    expected = {"oclip-toy_components": 9, "oclip-toy_official": 6, "oclip_components": 15 * 4 + 3}
    expected |= {"clip4str-toy_components": 6 * 3, "clip4str_components": 9 * 3}
    expected |= {"compression-toy_components": 12}
    assert counts == expected


def test_other_weights_to_begin_with_are_another_cell(tmp_path):
    start = tmp_path / "start.safetensors"
    info = WeightsInfo({"type": "x.Y"}, (0.1,) * 3, (0.2,) * 3, (4,), (8,))
    overrides = {"init": [{"file": str(start)}]}
    file = write(tmp_path / "a.py", pretrain={"config": str(CONFIG), "overrides": overrides})
    found = {load_matrix(file).cells[0].id}
    for value in (0.0, 1.0, 1.0):
        write_weights(start, {"backbone.w": torch.full((2,), value)}, info)
        found.add(load_matrix(file).cells[0].id)
    assert len(found) == 3


def test_rows_are_grouped_by_axis_with_the_baseline_first():
    results = [
        ({"x": x, "f": f}, seed, {"m": base + seed / 100, "k": 0.5})
        for x, base in (("b", 0.6), ("a", 0.5))
        for f in ("one", "two")
        for seed in (0, 1, 2)
    ]
    groups = group_by_axes(results, ["m", "k"], {"x": "a"})
    assert [group.labels["x"] for group in groups] == ["a", "a", "b", "b"]
    assert [group.delta for group in groups] == pytest.approx([0, 0, 0.1, 0.1])
    text = markdown(groups, ["m", "k"])
    assert "| a | one | 3 | 0.5100 ± 0.0100 | 0.5000 ± 0.0000 |" in text and "+0.1000" in text
    assert as_csv(groups, ["m"]).splitlines()[0] == "x,f,n,m mean,m std"
    with pytest.raises(DataError, match=r"has no \['z'\]"):
        group_by_axes(results, ["z"], {})
