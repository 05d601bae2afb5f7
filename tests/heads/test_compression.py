"""The compression head: what it sees, what it leaves out, and that it learns pages by heart."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ocrpretrain.backbones import Features
from ocrpretrain.data.views import Sample
from ocrpretrain.engine import pretrain
from ocrpretrain.errors import ConfigError
from ocrpretrain.heads import CompressionHead

DECODER = {"width": 32, "layers": 2, "heads": 4, "hidden": 64, "experts": 4, "expert_hidden": 16,
           "top": 2, "shared": 1}  # fmt: skip


def sample(text: str, seed: int = 0) -> Sample:
    image = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), np.uint8)
    return Sample(image, None, [text], [None], f"{seed}", seed)


def head(**options) -> CompressionHead:
    made = CompressionHead([8], [16], max_tokens=20, decoder=DECODER, **options)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return made


def features(batch: int = 3) -> Features:
    return Features((torch.randn(batch, 8, 4, 4),), None, None)


def test_ids_and_what_is_left_out():
    batch = head().collator()([sample("ab", 0), sample("", 1), sample("x" * 20, 2)])
    eos = head().tokenizer.eos_id
    assert batch["ids"].shape == (3, 3) and batch["ids"][0, 2] == eos
    assert batch["ids"][1].tolist() == [eos, -100, -100]
    assert batch["ids"][2].tolist() == [-100] * 3 and batch["left_out"]["long_pages"] == 1


def test_the_loss_is_the_plain_one():
    """Of the logits of the whole sequence, from the image's last position on."""
    made, seen = head(), features()
    batch = made.collator()([sample("ab", 0), sample("", 1), sample("Straße", 2)])
    losses, metrics = made(seen, batch)
    ids = batch["ids"]
    start = made.start(seen, ids)
    x = torch.cat([start, made.decoder.embedding(ids.clamp(min=0))], 1)
    logits = made.decoder.head(made.decoder(x)[0])[:, start.shape[1] - 1 : -1]
    plain = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids.flatten())
    assert torch.allclose(losses["text"], plain, rtol=1e-4) and losses["balance"] > 0
    assert metrics["long_pages"] == 0
    (losses["text"] + losses["balance"]).backward()
    assert made.page.image_newline.grad.abs().sum() > 0


def test_a_batch_of_long_pages_has_no_loss_and_no_nan():
    made = head()
    losses, _ = made(features(2), made.collator()([sample("x" * 30, i) for i in range(2)]))
    assert losses["text"] == 0
    losses["text"].backward()


@pytest.mark.parametrize(("sees", "positions"), [("page", 22), ("nothing", 1), ("text", 22)])
def test_what_it_sees(sees, positions):
    made = head(sees=sees)
    ids = made.collator()([sample("abcdef", 0), sample("", 1), sample("x" * 30, 2)])["ids"]
    first, second = made.start(features(), ids), made.start(features(), ids)
    assert first.shape == (3, positions, 32)
    assert torch.allclose(first, second) == (sees != "page")
    if sees == "text":
        own = made.decoder.embedding(ids[0])
        assert torch.allclose(first[0, 1:].mean(0), own.mean(0), atol=0.2)


def test_fewer_tokens():
    assert head(tokens=4).start(features(), torch.zeros(3, 1).long()).shape[1] == 1 + 2 * 3 + 1
    with pytest.raises(ConfigError, match="a square number"):
        head(tokens=5)


@torch.no_grad()
def test_reading_does_not_depend_on_the_batch():
    made, seen = head().eval(), features()
    batch = made.collator()([sample("a", i) for i in range(3)])
    together = made.predict(seen, batch)
    for i in range(3):
        one = Features((seen.maps[0][i : i + 1],), None, None)
        alone = made.predict(one, {**batch, "ids": batch["ids"][i : i + 1]})
        assert alone.texts[0] == together.texts[i]
    assert all(0 <= score <= 1 for score in together.scores)
    values = made.summarize(made.validate(seen, batch))
    assert {"one_minus_ned", "blind_one_minus_ned", "precision"} <= values.keys()


@pytest.mark.slow
def test_it_learns_pages_by_heart(tmp_path):
    config = tmp_path / "config.py"
    config.write_text(
        "backbone = dict(type='ocrpretrain.backbones.ConvBackbone', width=16, blocks=(1, 1, 1))\n"
        "head = dict(type='ocrpretrain.heads.CompressionHead', max_tokens=400, tokens=16,\n"
        "            decoder=dict(width=64, layers=2, heads=4, hidden=128))\n"
        "data = dict(batch_size=4, view=dict(size=(128, 128)), **{\n"
        "    part: dict(type='ocrpretrain.data.LabelsFolder', path='FOLDER')\n"
        "    for part in ('train', 'val')})\n"
        "optimizer = dict(type='torch.optim.AdamW', lr=3e-3)\n"
        "trainer = dict(max_epochs=150, accelerator='cpu', check_val_every_n_epoch=150,\n"
        "               enable_progress_bar=False, enable_model_summary=False)\n"
        "logger = dict(mode='disabled')\n".replace("FOLDER", str(pages(tmp_path / "pages")))
    )
    run = pretrain(config, work_dir=tmp_path / "run")
    names, *rows = (line.split(",") for line in (run / "metrics.csv").read_text().splitlines())
    last = dict(zip(names, rows[-1], strict=True))
    assert float(last["val/one_minus_ned"]) > 0.95 > 0.7 > float(last["val/blind_one_minus_ned"])


def pages(folder):
    """Four pictures of noise, each with a text of its own."""
    import json

    from PIL import Image

    folder.mkdir()
    texts = ["the quick brown fox", "jumps over the lazy dog", "", "Straße 日本, 4.99"]
    rows = []
    for place, text in enumerate(texts):
        noise = np.random.default_rng(place).integers(0, 255, (128, 128, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"{place}.png")
        rows.append(json.dumps({"file": f"{place}.png", "text": text}))
    (folder / "labels.jsonl").write_text("\n".join(rows), "utf-8")
    return folder
