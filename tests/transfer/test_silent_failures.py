"""What MMEngine, MMDetection and MMOCR would let pass without a word."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
import torch
from conftest import ROOT
from test_mmocr import CONFIG, TINY, built

from ocrpretrain.errors import CheckpointMismatchError, ConfigError
from ocrpretrain.transfer import compat
from ocrpretrain.weights.format import read_info, read_weights, write_weights

pytestmark = pytest.mark.mmocr
ICDAR = ROOT / "configs/finetune/textdet/dbnet_clip-resnet-toy_240e_icdar2015.py"


@pytest.fixture(scope="module")
def load():
    compat.install()
    from ocrpretrain.transfer.mmocr import load, register

    register()
    return load


@pytest.mark.parametrize(
    "statistics",
    [
        ((0.4815, 0.4578, 0.4082), (0.2686, 0.2613, 0.2758)),
        ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ((0.5,) * 3, (0.5,) * 3),
    ],
    ids=["clip", "imagenet", "half"],
)
def test_statistics_and_channel_order_come_from_the_weights(
    load, transfer_file, tmp_path, statistics
):
    """The preprocessor's output is the backbone's own, in RGB, whatever the config had."""
    mean, std = statistics
    info = read_info(transfer_file)
    spec = {**info.backbone, "mean": list(mean), "std": list(std)}
    info = dataclasses.replace(info, backbone=spec, mean=mean, std=std)
    tensors = {f"backbone.{k}": v for k, v in read_weights(transfer_file, "backbone.").items()}
    write_weights(tmp_path / "w.safetensors", tensors, info)
    detector = built(load, tmp_path / "w.safetensors")
    assert np.allclose(detector.data_preprocessor.mean.flatten(), [255 * m for m in mean])
    image = torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8)
    ours = detector.backbone.backbone
    wanted = ours(ours.normalize(image[None])).maps[-1]

    def through(bgr: torch.Tensor) -> torch.Tensor:
        from mmocr.structures import TextDetDataSample

        sample = TextDetDataSample(metainfo={"img_shape": (64, 64)})
        batch = {"inputs": [bgr], "data_samples": [sample]}
        return detector.backbone(detector.data_preprocessor(batch, False)["inputs"])[-1]

    assert (through(image.flip(0)) - wanted).abs().max() <= 1e-5
    assert (through(image) - wanted).abs().max() > 1e-3  # R and B exchanged


def test_the_backbone_is_replaced_and_not_merged(load, transfer_file):
    from ocrpretrain.transfer.mmocr import insert_backbone

    cfg = insert_backbone(load(ICDAR), read_info(transfer_file), transfer_file)
    keys = {"type", "backbone", "weights", "out_indices", "norm_eval"}
    assert set(cfg["model"]["backbone"]) == keys  # no depth, init_cfg, style of the base


def test_building_twice_gives_the_same_and_leaves_the_config_alone(load, transfer_file):
    from mmocr.registry import MODELS

    from ocrpretrain.transfer.mmocr import insert_backbone

    cfg = insert_backbone(load(CONFIG), read_info(transfer_file), transfer_file)
    before = copy.deepcopy(cfg)
    from mmengine.config import Config
    from mmengine.registry import init_default_scope

    init_default_scope("mmocr")
    trees = [str(MODELS.build(Config(copy.deepcopy(cfg["model"]))._cfg_dict)) for _ in range(2)]
    assert trees[0] == trees[1] and cfg == before


def test_files_of_other_projects_are_refused_untouched(load, transfer_file, tmp_path):
    from safetensors.torch import save_file

    state = {f"module.visual.{k}": v for k, v in read_weights(transfer_file, "backbone.").items()}
    save_file(state, tmp_path / "oclip.safetensors")
    with pytest.raises(CheckpointMismatchError, match="convert it first"):
        built(load, tmp_path / "oclip.safetensors")
    one = {"backbone.trunk.conv1.weight": torch.zeros(1)}  # a prefix that matches one key
    write_weights(tmp_path / "one.safetensors", one, read_info(transfer_file))
    with pytest.raises(CheckpointMismatchError, match="missing in the file"):
        built(load, tmp_path / "one.safetensors")


def test_settings_that_would_not_do_what_they_say(load, transfer_file, tmp_path):
    from ocrpretrain.transfer.finetune import finetune

    with pytest.raises(ConfigError, match=r"_train\.0\.type: is a variable of the file"):
        load(ICDAR, {"_train.0.type": "Resize"})
    for changes, message in (
        ({"load_from": "detector.pth"}, "load_from: .*use --weights"),
        ({"resume": True}, "resume: .*use --resume"),
    ):
        with pytest.raises(ConfigError, match=message):
            finetune(CONFIG, transfer_file, overrides=TINY | changes, work_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_override_reaches_the_built_dataset(load):
    from mmengine.registry import init_default_scope
    from mmocr.registry import DATASETS

    path = "val_dataloader.dataset.pipeline.1.scale"
    cfg = load(CONFIG, {**TINY, path: (128, 128)})
    init_default_scope("mmocr")
    dataset = DATASETS.build(copy.deepcopy(cfg["val_dataloader"]["dataset"]))
    assert dataset[0]["inputs"].shape[1:] == (128, 128)


@pytest.mark.slow
def test_two_runs_in_one_process_do_not_share_anything(load, transfer_file, tmp_path):
    from mmengine.logging import MessageHub

    from ocrpretrain.config import read
    from ocrpretrain.transfer.finetune import finetune

    for seed in (0, 1):
        finetune(
            CONFIG, transfer_file, None, overrides=TINY, work_dir=tmp_path / f"{seed}", seed=seed
        )
    first, second = (read(tmp_path / name / "config.py") for name in ("0", "1"))
    assert first["experiment_name"] != second["experiment_name"]
    assert first["randomness"] == {"seed": 0} and second["randomness"] == {"seed": 1}
    hubs = [MessageHub.get_instance(cfg["experiment_name"]) for cfg in (first, second)]
    assert hubs[0] is not hubs[1]
    # Nothing is validated while training: MMOCR's configs would do so on the test images.
    assert not [key for hub in hubs for key in hub.log_scalars if key.startswith("val/")]


@pytest.mark.slow
def test_mmocrs_own_inferencer_reads_a_finetuned_checkpoint(load, transfer_file, tmp_path):
    from mmocr.apis import TextDetInferencer

    from ocrpretrain.transfer.finetune import build_detector, finetune

    run = finetune(CONFIG, transfer_file, None, overrides=TINY, work_dir=tmp_path / "run")
    inferencer = TextDetInferencer(str(run / "config.py"), str(run / "detector.pth"), device="cpu")
    from ocrpretrain.config import read

    ours = build_detector(run, read(run / "config.py")).state_dict()
    theirs = inferencer.model.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name].cpu(), theirs[name]) for name in ours)
    image = np.random.default_rng(0).integers(0, 255, (80, 120, 3), dtype=np.uint8)
    (prediction,) = inferencer(image)["predictions"]
    assert set(prediction) >= {"polygons", "scores"}
