"""Our backbone inside MMOCR's DBNet: strict weights, equal maps, statistics, and a whole run."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT

from ocrpretrain import load_backbone
from ocrpretrain.errors import CheckpointMismatchError, ConfigError
from ocrpretrain.transfer import compat
from ocrpretrain.weights.format import read_info, read_weights, write_weights

pytestmark = pytest.mark.mmocr
CONFIG = ROOT / "configs/finetune/textdet/dbnet_clip-resnet-nano_demo_synthetic.py"
TINY = {
    "train_cfg.max_epochs": 1,
    "param_scheduler.0.end": 1,
    "param_scheduler.1.begin": 1,
    "param_scheduler.1.end": 4,
    "train_dataloader.num_workers": 0,
    "train_dataloader.persistent_workers": False,
    "train_dataloader.batch_size": 2,
    **{
        f"{split}_dataloader.dataset.source.{key}": value
        for split, length in (("train", 8), ("val", 3), ("test", 4))
        for key, value in {"length": length, "size": (96, 96)}.items()
    },
}


@pytest.fixture(scope="module", autouse=True)
def _mm():
    compat.install()


@pytest.fixture(scope="module")
def load():
    from ocrpretrain.transfer.mmocr import load

    return load


@pytest.fixture(scope="module")
def runs(tmp_path_factory, transfer_file):
    """One random and one pretrained finetuning, evaluated into one results file."""
    from ocrpretrain.transfer.evaluate import evaluate
    from ocrpretrain.transfer.finetune import finetune

    folder = tmp_path_factory.mktemp("finetuned")
    found = {}
    for name, weights, like in (
        ("random", None, transfer_file),
        ("pretrained", transfer_file, None),
    ):
        run = finetune(CONFIG, weights, like, overrides=TINY, work_dir=folder / name)
        found[name] = (run, evaluate(run, folder / "results.jsonl", "test"))
    return folder, found


def test_a_whole_run_leaves_what_a_leaderboard_needs(runs, transfer_file, capsys):
    folder, found = runs
    records = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    assert [record["head"] for record in records] == ["none", "ColourHead"]
    random, pretrained = records
    assert pretrained["pretraining"]["images_seen"] == 32
    assert (
        len(pretrained["pretraining"]["sha256"]) == 64 and random["pretraining"]["sha256"] is None
    )
    assert random["config_hash"] == pretrained["config_hash"]  # everything else is equal
    assert pretrained["test"]["images"] == 4 and pretrained["held_out_images"] == 3
    assert {"matched", "truths", "found", "hmean"} <= pretrained["metrics"].keys()
    assert 0.3 <= pretrained["threshold"] <= 0.9
    assert (folder / pretrained["per_image"]).is_file()
    run, _ = found["pretrained"]
    assert (run / "losses.csv").read_text().startswith("step,")
    assert list((run / "wandb").glob("offline-run-*"))


def test_the_losses_of_both_runs_are_drawn(runs, tmp_path):
    from ocrpretrain.results.curves import draw_losses

    draw_losses([run for run, _ in runs[1].values()], tmp_path / "losses.png")
    assert (tmp_path / "losses.png").stat().st_size > 5000


def test_a_finished_run_is_not_overwritten_unless_asked(runs, transfer_file):
    from ocrpretrain.transfer.finetune import finetune

    with pytest.raises(ConfigError, match="--overwrite"):
        finetune(CONFIG, transfer_file, overrides=TINY, work_dir=runs[1]["pretrained"][0])


def test_the_leaderboard_compares_with_random(runs):
    from ocrpretrain.results.leaderboard import boards

    (board,) = boards(runs[0] / "results.jsonl")
    table = board.rows
    assert {row["head"] for row in table} == {"none", "ColourHead"}
    assert all(row["delta"] is not None and not row["note"] for row in table)


def test_a_detector_is_read_from_its_own_checkpoint_only(runs, tmp_path):
    from ocrpretrain.config import read
    from ocrpretrain.transfer.finetune import build_detector

    run, _ = runs[1]["pretrained"]
    cfg = read(run / "config.py")
    state = torch.load(run / "detector.pth", weights_only=True)
    detector = build_detector(run, cfg)
    assert torch.equal(
        detector.state_dict()["neck.lateral_convs.0.conv.weight"].cpu(),
        state["state_dict"]["neck.lateral_convs.0.conv.weight"],
    )
    with pytest.raises(ConfigError, match=r"detector\.pth"):
        build_detector(tmp_path, cfg)
    state["state_dict"].pop("neck.lateral_convs.0.conv.weight")
    torch.save(state, tmp_path / "detector.pth")
    with pytest.raises(CheckpointMismatchError, match="neck.lateral_convs.0"):
        build_detector(tmp_path, cfg)


def test_the_same_image_gives_the_same_maps_on_both_sides(load, transfer_file):
    """uint8 image -> pretraining side, and -> MMOCR's data preprocessor and built backbone."""
    detector = built(load, transfer_file)
    image = torch.randint(0, 256, (3, 96, 64), dtype=torch.uint8)
    backbone = load_backbone(transfer_file)
    ours = backbone(backbone.normalize(image[None])).maps
    data = {"inputs": [image.flip(0)], "data_samples": [_data_sample()]}  # BGR, as MMOCR reads
    inputs = detector.data_preprocessor(data, False)["inputs"]
    theirs = detector.backbone(inputs)
    for a, b in zip(ours, theirs, strict=True):
        assert (a - b).abs().max() <= 1e-5


def _data_sample():
    from mmocr.structures import TextDetDataSample

    return TextDetDataSample(metainfo={"img_shape": (96, 64)})


def built(load, file, **changed):
    """The detector, built and initialised as MMEngine's Runner does."""
    from mmengine.config import Config
    from mmengine.registry import init_default_scope
    from mmocr.registry import MODELS

    from ocrpretrain.transfer.mmocr import insert_backbone

    cfg = insert_backbone(load(CONFIG), read_info(file), file)
    cfg["model"]["backbone"] |= changed
    init_default_scope("mmocr")
    detector = MODELS.build(Config(copy.deepcopy(cfg["model"]))._cfg_dict)
    detector.init_weights()
    return detector.eval()


def test_config_carries_channels_and_statistics(load, transfer_file):
    from ocrpretrain.transfer.mmocr import backbone_info, insert_backbone

    cfg = load(CONFIG)
    before = copy.deepcopy(cfg)
    filled = insert_backbone(cfg, read_info(transfer_file), None)
    assert cfg == before  # the caller's config is not changed
    assert filled["model"]["neck"]["in_channels"] == [32, 64, 128, 256]
    info = read_info(transfer_file)
    assert filled["model"]["data_preprocessor"]["mean"] == [255 * m for m in info.mean]
    assert filled["model"]["backbone"]["weights"] is None
    with pytest.raises(ConfigError, match="--like"):
        backbone_info(None, None)


def test_wrong_weights_stop_the_build(load, transfer_file, tmp_path):
    tensors = {f"backbone.{k}": v for k, v in read_weights(transfer_file, "backbone.").items()}
    info = read_info(transfer_file)
    renamed = dict(tensors)
    renamed["backbone.trunk.conv9.weight"] = renamed.pop("backbone.trunk.conv1.weight")
    write_weights(tmp_path / "renamed.safetensors", renamed, info)
    with pytest.raises(CheckpointMismatchError, match="conv9"):
        built(load, tmp_path / "renamed.safetensors")
    with pytest.raises(CheckpointMismatchError, match="the config wants"):
        built(load, transfer_file, backbone={"type": info.backbone["type"], "width": 16})
    with pytest.raises(ConfigError, match="norm_eval"):
        built(load, transfer_file, weights=None, norm_eval=True)


def test_a_tensor_changed_after_initialisation_stops_the_run(load, transfer_file):
    from types import SimpleNamespace

    from ocrpretrain.transfer.hooks import VerifyBackbone

    detector = built(load, transfer_file)
    VerifyBackbone().before_train(SimpleNamespace(model=detector, iter=0))
    with torch.no_grad():
        detector.backbone.backbone.trunk.conv2.weight[0, 0, 0, 0] += 1e-3
    with pytest.raises(CheckpointMismatchError, match=r"1 tensors.*trunk\.conv2\.weight"):
        VerifyBackbone().before_train(SimpleNamespace(model=detector, iter=0))


def test_norm_eval_keeps_statistics(load, transfer_file):
    detector = built(load, transfer_file, norm_eval=True).train()
    assert not detector.backbone.backbone.trunk.bn1.training
    assert built(load, transfer_file).train().backbone.backbone.trunk.bn1.training


# Configs of MMOCR that the check rightly or unavoidably refuses, each with its reason.
SAR = "the argument is swallowed by **kwargs and has no effect: a true alarm"
ALBU = "names transforms of albumentations, which is not installed"
EXCEPTIONS = {
    "dbnet_resnet50-dcnv2_fpnc_100k_synthtext.py": "does not load: names a missing variable",
    "abinet-vision_20e_st-an_mj.py": ALBU,
    "abinet_20e_st-an_mj.py": ALBU,
    "sar_resnet31_parallel-decoder_5e_st-sub_mj-sub_sa_real.py": SAR,
    "sar_resnet31_parallel-decoder_5e_toy.py": SAR,
    "sar_resnet31_sequential-decoder_5e_st-sub_mj-sub_sa_real.py": SAR,
}


@pytest.mark.slow
def test_mmocrs_own_configs_pass_without_a_false_alarm(load):
    import mmocr

    root = Path(mmocr.__file__).parent / ".mim" / "configs"
    files = [
        path for path in sorted(root.rglob("*.py")) if "_base_" not in str(path.relative_to(root))
    ]
    refused = set()
    for path in files:
        try:
            load(path)
        except ConfigError:
            refused.add(path.name)
    assert len(files) == 58
    assert refused == EXCEPTIONS.keys()


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("optim_wraper = dict()", "optim_wraper", "Did you mean 'optim_wrapper'?"),
        ("train_cfg = dict(max_epoch=1)", "train_cfg.max_epoch", "Did you mean 'max_epochs'?"),
        (
            "model = dict(neck=dict(lateral_chanels=1))",
            "model.neck.lateral_chanels",
            "lateral_channels",
        ),
        ("model = dict(type='DBNett')", "model", "Did you mean 'DBNet'?"),
        ("model = dict(det_head=dict(in_channels='6'))", "model.det_head.in_channels", "wants int"),
    ],
)
def test_mistakes_in_a_finetune_config(load, tmp_path, text, where, message):
    file = tmp_path / "mine.py"
    file.write_text(f"_base_ = [{str(CONFIG)!r}]\n{text}")
    with pytest.raises(ConfigError) as error:
        load(file)
    lines = [line for line in str(error.value).splitlines() if f"{file}: {where}: " in line]
    assert lines and message in lines[0]


def test_held_out_and_test_images_are_never_trained_on(load, tmp_path):
    """Even where a config uses one dict for two loaders; the caller's config is not changed."""
    from ocrpretrain.config import build
    from ocrpretrain.data import SyntheticScenes
    from ocrpretrain.data.prepare.folder import write_folder
    from ocrpretrain.transfer.finetune import use_sources

    source = SyntheticScenes(30, size=(32, 32), words=(0, 0), fresh=False)
    folder = write_folder(source, tmp_path / "set")
    cfg = load(CONFIG)
    cfg["test_dataloader"] = cfg["val_dataloader"]
    before = copy.deepcopy(cfg)
    for test, sizes in ((None, [21, 3, 6]), (folder, [27, 3, 30])):
        used = use_sources(cfg, folder, test)
        parts = [
            build(used[f"{s}_dataloader"]["dataset"]["source"]) for s in ("train", "val", "test")
        ]
        assert [len(part) for part in parts] == sizes
        taken = [{part[i].id for i in range(len(part))} for part in parts]
        assert not taken[0] & taken[1] and (test or not (taken[0] | taken[1]) & taken[2])
    assert cfg == before


def test_override_that_does_not_exist(load):
    with pytest.raises(ConfigError, match="train_cfg.max_epoch: no such key"):
        load(CONFIG, {"train_cfg.max_epoch": 1})


def test_sources_as_an_mmocr_dataset():
    from mmengine.registry import init_default_scope

    from ocrpretrain.data import SyntheticScenes
    from ocrpretrain.transfer.dataset import SourceDataset

    init_default_scope("mmocr")
    spec = {"type": "ocrpretrain.data.SyntheticScenes", "length": 3, "size": (64, 64),
            "words": (1, 1), "letter_height": (0.2, 0.3)}  # fmt: skip
    pipeline = [
        {"type": "LoadImageFromFile"},
        {"type": "LoadOCRAnnotations", "with_polygon": True, "with_bbox": True, "with_label": True},
    ]
    item = SourceDataset(spec, pipeline)[1]
    expected = SyntheticScenes(3, (64, 64), (1, 1), (0.2, 0.3))[1]
    assert (item["img"][..., ::-1] == expected.image).all()
    assert np.allclose(item["gt_polygons"][0], expected.words[0].polygon.flatten())
