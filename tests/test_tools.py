"""The tools: help without heavy imports, mistakes without a traceback and with exit code 2."""

from __future__ import annotations

import re
import runpy
import sys

import pytest
from conftest import ROOT

TOOLS = sorted((ROOT / "tools").glob("*.py"))
TOY = "configs/pretrain/oclip_clip-resnet-toy_32e_synthetic.py"
FINETUNE = "configs/finetune/textdet/dbnet_clip-resnet-nano_demo_synthetic.py"


def run(monkeypatch, tool: str, *arguments: str) -> int:
    """The exit code of a tool, run in this process from the project's folder."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", [f"tools/{tool}.py", *arguments])
    try:
        runpy.run_path(str(ROOT / "tools" / f"{tool}.py"), run_name="__main__")
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_tools_are_short():
    assert len(TOOLS) == 15
    assert all(len(path.read_text().splitlines()) <= 50 for path in TOOLS)


@pytest.mark.parametrize("path", TOOLS, ids=lambda p: p.stem)
def test_help(monkeypatch, capsys, path):
    assert run(monkeypatch, path.stem, "--help") == 0
    shown = capsys.readouterr().out
    assert "usage:" in shown and len(shown) > 200


MISTAKES = [
    (("pretrain", "none.py"), "none.py: no such file"),
    (("pretrain", TOY, "--cfg-options", "trainer.max_epoch=1"), "Did you mean 'max_epochs'?"),
    (("pretrain", TOY, "--cfg-options", "x"), "KEY=VALUE"),
    (("pretrain", TOY, "--dry-run", "--cfg-options", "freeze=['head.x']"), "no parameter starts"),
    (("export", "none"), "no such checkpoint"),
    (("convert", "none.pth", "out.safetensors"), "no such file"),
    (("read", "none.safetensors", "x.png", "--lexicon", "README.md"), "no such file"),
    (("read", "x.safetensors", "x.png", "--lexicon", "README.md", "--half"), "take no --half"),
    (("read", "x.safetensors", "x.png", "--text", "README.md"), "--text takes no images"),
    (("evaluate", "none", "--upright"), "--upright is for words"),
    (("convert", "x", "y", "--to", "mmocr", "--model", "RN50"), "weights of other projects"),
    (("convert", "x", "y", "--to", "mmocr", "--base", "RN50"), "--base is for"),
    (("leaderboard", "none.jsonl"), "no results yet"),
    (("check_config", "none.py"), "no such file"),
    (("ablate", "none.py"), "no such file"),
    (("leaderboard", "none.jsonl", "--verify"), "no results yet"),
]
MM_MISTAKES = [
    (("finetune", FINETUNE, "--weights", "none"), "--like"),
    (("finetune", FINETUNE, "--weights", "none.safetensors"), "no such file"),
    (("evaluate", "none"), "no finished run"),
    (("visualize", "none"), "not evaluated yet"),
    (("visualize", "none", "--losses"), "no losses.csv"),
]


@pytest.mark.parametrize(("call", "message"), MISTAKES, ids=[" ".join(c) for c, _ in MISTAKES])
def test_mistake(monkeypatch, capsys, call, message):
    assert run(monkeypatch, *call) == 2
    shown = capsys.readouterr()
    assert message in shown.err and "Traceback" not in shown.err


@pytest.mark.mmocr
@pytest.mark.parametrize(("call", "message"), MM_MISTAKES, ids=[c[0] for c, _ in MM_MISTAKES])
def test_mistake_in_the_transfer(monkeypatch, capsys, call, message):
    assert run(monkeypatch, *call) == 2
    shown = capsys.readouterr()
    assert message in shown.err and "Traceback" not in shown.err


def test_check_config_reports_all_files(monkeypatch, capsys, tmp_path):
    for name in ("one", "two"):
        (tmp_path / f"{name}.py").write_text(f"_base_ = [{str(ROOT / TOY)!r}]\nsede = 1\n")
    files = [str(tmp_path / "one.py"), str(ROOT / TOY), str(tmp_path / "two.py")]
    assert run(monkeypatch, "check_config", *files) == 2
    assert len(re.findall(r"sede: unknown section", capsys.readouterr().err)) == 2
    assert run(monkeypatch, "check_config", files[1]) == 0
    assert "1 configs are fine" in capsys.readouterr().out


def test_a_finetune_config_without_mmocr_says_what_to_install(monkeypatch, tmp_path, capsys):
    for name in ("mmocr", "mmdet"):
        monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.setitem(sys.modules, f"{name}.utils", None)
    file = tmp_path / "detector.py"
    file.write_text("model = dict(type='DBNet')\n")
    assert run(monkeypatch, "check_config", str(file)) == 2
    assert "ocrpretrain[transfer]" in capsys.readouterr().err
