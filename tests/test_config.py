"""Every mistake is reported, all at once, with its dotted path; shipped configs are fine."""

from __future__ import annotations

import pytest
from conftest import ROOT

from ocrpretrain.check import check_file
from ocrpretrain.cli import parse_cfg_options
from ocrpretrain.config import build, digest, dump, load
from ocrpretrain.errors import ConfigError, OCRPretrainError

PRETRAIN = sorted((ROOT / "configs" / "pretrain").rglob("*.py"))
FINETUNE = sorted((ROOT / "configs" / "finetune").rglob("*.py"))
TOY = ROOT / "configs/pretrain/oclip_clip-resnet-toy_32e_synthetic.py"


def test_the_number_of_shipped_configs():
    """All files under configs/ are checked below: none lies outside the two stages."""
    bases = list((ROOT / "configs" / "_base_").rglob("*.py"))
    everything = [p for p in (ROOT / "configs").rglob("*.py") if "__pycache__" not in p.parts]
    ablations = list((ROOT / "configs" / "ablations").rglob("*.py"))
    assert len(everything) == len(bases) + len(PRETRAIN) + len(FINETUNE) + len(ablations)
    assert (len(bases), len(PRETRAIN), len(FINETUNE)) == (1, 16, 2)


@pytest.mark.parametrize("path", PRETRAIN, ids=lambda p: p.stem)
def test_shipped_pretrain_configs(path):
    check_file(path)
    assert len(path.read_text().splitlines()) <= 40


@pytest.mark.mmocr
@pytest.mark.parametrize("path", FINETUNE, ids=lambda p: p.stem)
def test_shipped_finetune_configs(path):
    check_file(path)
    assert len(path.read_text().splitlines()) <= 40


def write(tmp_path, text: str):
    file = tmp_path / "mine.py"
    file.write_text(f"_base_ = [{str(TOY)!r}]\n{text}")
    return file


def test_the_view_is_checked_as_that_of_the_head(tmp_path):
    """`augment` and `rectify` belong to the word view, `crop` to the scene view."""
    ctc = ROOT / "configs/pretrain/ctc_conv-nano_8e_synthetic-words.py"
    file = tmp_path / "mine.py"
    file.write_text(f"_base_ = [{str(ctc)!r}]\ndata = dict(view=dict(augment='parseq'))")
    cfg = load(file, {"data.view.rectify": False})
    assert cfg["data"]["view"]["augment"] == "parseq" and "type" not in cfg["data"]["view"]
    file.write_text(f"_base_ = [{str(ctc)!r}]\ndata = dict(view=dict(augment='mine', crop=(1, 1)))")
    with pytest.raises(ConfigError, match=r"view\.augment: .*'mine'") as error:
        load(file)
    assert "data.view.crop" in str(error.value)
    with pytest.raises(ConfigError, match=r"data\.view\.augment"):
        load(write(tmp_path, "data = dict(view=dict(augment='parseq'))"))


# One row per mistake: what is written, where it is reported, what the message contains.
MISTAKES = [
    ("optimzer = dict(lr=1)", "optimzer", "Did you mean 'optimizer'?"),
    ("_optimizers = dict(lr=1)", "_optimizers", "Did you mean 'optimizer'?"),
    ("head = dict(embed_dims=3)", "head.embed_dims", "Did you mean 'embed_dim'?"),
    ("head = dict(compat='offical')", "head.compat", "Literal['official']"),
    ("head = dict(embed_dim='x')", "head.embed_dim", "wants int, found 'x'"),
    ("head = dict(embed_dim=True)", "head.embed_dim", "wants int, found True"),
    ("head = dict(in_channels=(1,))", "head.in_channels", "set by the engine"),
    ("head = dict(compat='oficial')", "head.compat", "found 'oficial'"),
    ("backbone = dict(width=16.5)", "backbone.width", "wants int, found 16.5"),
    ("backbone = dict(layers=('a',))", "backbone.layers", "found ('a',)"),
    ("backbone = dict(type='ocrpretrain.backbones.CLIPResnet')", "backbone", "'CLIPResNet'"),
    ("backbone = dict(type='ocrpretrain.backbone.X')", "backbone", "no module"),
    ("backbone = dict(type='CLIPResNet')", "backbone", "must be a dotted name"),
    ("backbone = dict(_delete_=True, layers=(1,))", "backbone", "needs a 'type'"),
    ("optimizer = dict(learning_rate=1)", "optimizer.learning_rate", "no such argument"),
    ("optimizer = dict(lr='1e-3')", "optimizer.lr", "found '1e-3'"),
    ("scheduler = dict(warmup=1)", "scheduler.warmup", "Did you mean 'warmup_steps'?"),
    ("trainer = dict(max_epoch=1)", "trainer.max_epoch", "Did you mean 'max_epochs'?"),
    ("trainer = dict(callbacks=[])", "trainer.callbacks", "set by the engine"),
    ("logger = dict(mode='of')", "logger.mode", "found 'of'"),
    ("data = dict(batchsize=1)", "data.batchsize", "Did you mean 'batch_size'?"),
    ("data = dict(view=dict(sice=3))", "data.view.sice", "Did you mean 'size'?"),
    ("data = dict(view=dict(resize='stretch'))", "data.view.resize", "found 'stretch'"),
    ("data = dict(train=dict(word=(1, 2)))", "data.train.word", "Did you mean 'words'?"),
    (
        "data = dict(train=dict(_delete_=True, type='ocrpretrain.data.Folder'))",
        "data.train.path",
        "needs this argument",
    ),
    ("callbacks = [dict(type='ocrpretrain.callbacks.SamplePicture', n=1)]", "callbacks.0.n", "no"),
    ("init = [dict(files='x')]", "init.0", "takes dict(file=..., only=[...])"),
    ("seed = '0'", "seed", "wants int"),
    ("freeze = 'backbone'", "freeze", "wants list"),
    (
        "trainer = dict(max_epochs=1)",
        "trainer.check_val_every_n_epoch",
        "2 is more than max_epochs=1",
    ),
    ("trainer = 3", "trainer", "wants a dict, found 3"),
    ("data = dict(train='dict(a=1)')", "data.train", "wants a dict; as an option"),
]


@pytest.mark.parametrize(("text", "where", "message"), MISTAKES, ids=[m[0] for m in MISTAKES])
def test_mistake(tmp_path, text, where, message):
    file = write(tmp_path, text)
    with pytest.raises(ConfigError) as error:
        load(file)
    lines = [
        line for line in str(error.value).splitlines() if line.startswith(f"{file}: {where}: ")
    ]
    assert lines and message in lines[0]


def test_all_mistakes_at_once(tmp_path):
    merged = "optimizer = dict(learning_rate=1, lr='x')\nscheduler = dict(warmup=1)\nsede = 1\n"
    with pytest.raises(ConfigError) as error:
        load(write(tmp_path, merged))
    assert len(str(error.value).splitlines()) == 4


def test_overrides(tmp_path):
    options = parse_cfg_options(
        ["trainer.max_epochs=3", "data.view.size=[64,64]", "head.compat=official",
         "optimizer.lr=1e-4", "head.pad_in_mean=True", "logger.mode=disabled"]
    )  # fmt: skip
    cfg = load(TOY, options)
    assert cfg["trainer"]["max_epochs"] == 3 and cfg["data"]["view"]["size"] == [64, 64]
    assert cfg["optimizer"]["lr"] == 1e-4 and cfg["head"]["pad_in_mean"] is True
    assert "_scenes" not in cfg


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("trainer.max_epoch", "Did you mean 'max_epochs'?"),
        ("hed.embed_dim", "Did you mean 'head'?"),
        ("head.embed_dims", "Did you mean 'embed_dim'?"),
        ("callbacks.3.count", "no such key"),
        ("seed.x", "holds nothing"),
    ],
)
def test_override_that_does_not_exist(path, message):
    with pytest.raises(ConfigError) as error:
        load(TOY, {path: 1})
    assert f"{TOY}: {path}: " in str(error.value) and message in str(error.value)


def test_override_of_a_wrong_type_is_a_mistake_too():
    with pytest.raises(ConfigError, match=r"head\.embed_dim: .*found 'many'"):
        load(TOY, {"head.embed_dim": "many"})


def test_option_without_value():
    with pytest.raises(OCRPretrainError, match="KEY=VALUE"):
        parse_cfg_options(["trainer.max_epochs"])


def test_dump_reads_again_and_the_digest_ignores_the_folder(tmp_path):
    cfg = load(TOY)
    dump({**cfg, "work_dir": "x"}, tmp_path / "dumped.py")
    again = load(tmp_path / "dumped.py")
    assert digest(again) == digest(cfg) != digest({**cfg, "seed": 5})


def test_missing_and_broken_files(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        load(tmp_path / "none.py")
    broken = tmp_path / "broken.py"
    broken.write_text("head = dict(")
    with pytest.raises(ConfigError, match="does not load"):
        load(broken)


def test_build_nested():
    spec = {"type": "ocrpretrain.data.Part", "stop": 0.5,
            "source": {"type": "ocrpretrain.data.SyntheticScenes", "length": 4}}  # fmt: skip
    assert len(build(spec)) == 2
