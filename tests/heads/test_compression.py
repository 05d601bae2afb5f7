"""The compression head: what it sees, what it leaves out, and that it learns pages by heart."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from ocrpretrain.backbones.base import Backbone, Features
from ocrpretrain.data.views import Sample
from ocrpretrain.engine import pretrain
from ocrpretrain.errors import ConfigError
from ocrpretrain.heads import CompressionHead
from ocrpretrain.heads.page_batch import NO_TARGET

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


def test_the_text_control_sees_means_of_equal_parts():
    made = head(sees="text")
    lengths = [1, 5, 16, 20]
    ids_BS = torch.full((5, 20), NO_TARGET)  # the last text is empty
    for row, length in zip(ids_BS, lengths, strict=False):
        row[:length] = torch.arange(length)
    found = made._pooled(ids_BS, 16)
    for row, length in zip(found, lengths, strict=False):
        own_SW = made.decoder.embedding.weight[:length]
        wanted = torch.nn.functional.adaptive_avg_pool1d(own_SW.T, 16).T
        assert torch.allclose(row, wanted, atol=1e-6)
    assert not found[4].any()


def test_ids_and_what_is_left_out():
    batch = head().collator()([sample("ab", 0), sample("", 1), sample("x" * 20, 2)])
    eos = head().tokenizer.eos_id
    assert batch["ids"].shape == (3, 3) and batch["ids"][0, 2] == eos
    assert batch["ids"][1].tolist() == [eos, -100, -100]
    assert batch["ids"][2].tolist() == [-100] * 3 and batch["left_out"]["long_pages"] == 1


def test_a_page_that_the_tokenizer_cannot_spell_is_left_out(tmp_path):
    words = Tokenizer(WordLevel({"<s>": 0, "</s>": 1, "a": 2, "b": 3, "[UNK]": 4}, "[UNK]"))
    words.pre_tokenizer = Whitespace()
    words.save(str(tmp_path / "words.json"))
    made = head(tokenizer=str(tmp_path / "words.json"))
    batch = made.collator()([sample("a", 0), sample("a c", 1)])
    assert batch["ids"].tolist() == [[2, 1], [-100, -100]]
    assert batch["left_out"]["unspelled_pages"] == 1
    assert made(features(2), batch).metrics["unspelled_pages"] == 1


def test_the_loss_is_the_plain_one():
    """Of the logits of the whole sequence, from the image's last position on."""
    made, seen = head(), features()
    batch = made.collator()([sample("ab", 0), sample("", 1), sample("Straße", 2)])
    losses, metrics = made(seen, batch)
    ids = batch["ids"]
    start, padding = made.start(seen, batch)
    assert padding is None
    x = torch.cat([start, made.decoder.embedding(ids.clamp(min=0))], 1)
    logits = made.decoder.head(made.decoder(x)[0])[:, start.shape[1] - 1 : -1]
    plain = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids.flatten())
    assert torch.allclose(losses["text"], plain, rtol=1e-4) and losses["balance"] > 0
    assert metrics["long_pages"] == 0
    (losses["text"] + losses["balance"]).backward()
    assert made.page.image_newline.grad.abs().sum() > 0


def test_the_loss_of_pages_with_and_without_given_text():
    """Starts of several lengths: each page's loss is what it is alone."""
    made = CompressionHead([8], [16], max_tokens=20, decoder={**DECODER, "experts": 0})
    samples = [sample("ab c d", 0), sample("hello", 1), sample("x y", 2)]
    samples[0].given, samples[2].given = "ab c", "x"
    seen, total, count = features(), 0.0, 0
    for place in range(3):
        alone = made.collator()(samples[place : place + 1])
        one = Features((seen.maps[0][place : place + 1],), None, None)
        tokens = int((alone["ids"] != NO_TARGET).sum())
        total, count = total + tokens * made(one, alone).losses["text"].item(), count + tokens
    together = made(seen, made.collator()(samples)).losses["text"].item()
    assert together == pytest.approx(total / count, rel=1e-5)


def test_a_batch_of_long_pages_has_no_loss_and_no_nan():
    made = head()
    with pytest.warns(UserWarning, match="2 have more than head.max_tokens=20 tokens"):
        batch = made.collator()([sample("x" * 30, i) for i in range(2)])
    losses, _ = made(features(2), batch)
    assert losses["text"] == 0
    losses["text"].backward()


@pytest.mark.parametrize(("sees", "positions"), [("page", 22), ("nothing", 1), ("text", 22)])
def test_what_it_sees(sees, positions):
    made = head(sees=sees)
    batch = made.collator()([sample("abcdef", 0), sample("", 1), sample("x" * 30, 2)])
    first, second = made.start(features(), batch)[0], made.start(features(), batch)[0]
    assert first.shape == (3, positions, 32)
    assert torch.allclose(first, second) == (sees != "page")
    if sees == "text":  # also of a page that is too long to be written
        for row, length in ((0, 7), (2, 31)):
            own_SW = made.decoder.embedding(batch["whole"][row, :length])
            wanted = torch.nn.functional.adaptive_avg_pool1d(own_SW.T, 16).T.unflatten(0, (4, 4))
            assert torch.allclose(first[row, 1:21].unflatten(0, (4, 5))[:, :4], wanted, atol=1e-6)
        assert (batch["ids"][2] == NO_TARGET).all()


def test_answers_without_an_end_are_counted():
    made, seen = head().eval(), features()
    batch = made.collator()([sample("a", i) for i in range(3)])
    with torch.no_grad():
        made.decoder.head.weight[made.tokenizer.eos_id] = 0
        made.decoder.head.weight[made.tokenizer.eos_id + 1] = 5 * torch.randn(32)
    found = made.predict(seen, batch)
    ids = made.decoder.generate(made.start(seen, batch)[0], made.tokenizer.eos_id, 20)[0]
    assert found.counts == {"cut_pages": int((ids != made.tokenizer.eos_id).all(1).sum())}


def test_wrong_arguments():
    for options in ({"sees": "image"}, {"tokens": 0}, {"tokens": 8}, {"tokens": -4}):
        with pytest.raises(ConfigError):
            CompressionHead([8], [16], **options)
    with pytest.raises(ConfigError, match="max_tokens 1 or more, found 0"):
        CompressionHead([8], [16], max_tokens=0)
    batch = head().collator()([sample("", i) for i in range(3)])
    with pytest.raises(ConfigError, match="25 of a map that has 4 x 4 cells"):
        head(tokens=25).start(features(), batch)


def test_fewer_tokens():
    batch = head().collator()([sample("", i) for i in range(3)])
    assert head(tokens=4).start(features(), batch)[0].shape[1] == 1 + 2 * 3 + 1
    with pytest.raises(ConfigError, match="a square number"):
        head(tokens=5)


@torch.no_grad()
def test_reading_does_not_depend_on_the_batch():
    made, seen = head().eval(), features()
    batch = made.collator()([sample("a", i) for i in range(3)])
    together = made.predict(seen, batch)
    for i in range(3):
        one = Features((seen.maps[0][i : i + 1],), None, None)
        alone = made.predict(one, made.collator()([sample("a", i)]))
        assert alone.texts[0] == together.texts[i]
    assert all(0 <= score <= 1 for score in together.scores)
    values = made.summarize(made.validate(seen, batch))
    loss = made(seen, batch).losses["text"]
    assert values["log_likelihood"] == pytest.approx(-loss.item(), rel=1e-4)
    assert {"one_minus_ned", "blind_one_minus_ned", "precision"} <= values.keys()


class Brightness(Backbone):
    """Means of 16 x 16 pixels, told apart by 8 fixed factors."""

    out_channels, strides, size_divisor = (8,), (16,), 16

    def __init__(self):
        super().__init__((0.0,) * 3, (1.0,) * 3)

    def forward(self, image, mask=None):
        map_BChw = torch.nn.functional.avg_pool2d(image.mean(1, keepdim=True), 16)
        return Features((map_BChw * torch.linspace(-2, 2, 8)[:, None, None],), None, mask)


def tiled(text: str, seed: int, grid: tuple[int, int], given: str = "") -> Sample:
    made = sample(text, seed)
    made.grid, made.given = grid, given
    if count := grid[0] * grid[1]:
        rng = np.random.default_rng(seed)
        made.tiles = rng.integers(0, 256, (count, 32, 32, 3), np.uint8)
    return made


def test_tiles_and_given_text_of_many_pages():
    """Pages of any number of tiles, in one batch or alone."""
    made, backbone = head().eval(), Brightness()
    samples = [tiled("ab", 0, (2, 1)), tiled("abc", 1, (0, 0)), tiled("x", 2, (1, 3), "given")]
    batch = made.collator()(samples)
    assert batch["tiles"].shape == (5, 3, 32, 32) and batch["given"].shape == (3, 5)
    features = made.encode(backbone, batch)
    start, padding = made.start(features, batch)
    # BOS, 4 x 4 cells and newlines, separator; tiles have 2 x 2 cells
    lengths = [1 + 21 + 2 * 5, 1 + 21, 1 + 5 + 21 + 6 * 3]
    assert (~padding).sum(1).tolist() == lengths and start.shape[1] == max(lengths)
    total, texts = 0.0, made.predict(features, batch).texts
    for one, text in zip(samples, texts, strict=True):
        alone = made.collator()([one])
        own = made.encode(backbone, alone)
        total += made(own, alone).losses["text"].item() * (len(one.text[0]) + 1)
        assert made.predict(own, alone).texts == [text]
    together = made(features, batch).losses["text"].item()
    assert together == pytest.approx(total / (3 + 4 + 2), rel=1e-4)


def test_controls_leave_the_backbone_alone():
    backbone = Brightness()
    backbone.forward = None
    for sees in ("nothing", "text"):
        made = head(sees=sees)
        batch = made.collator()([sample("ab", 0)])
        assert made(made.encode(backbone, batch), batch).losses["text"] > 0
        tiles = made.collator()([tiled("ab", 0, (2, 1)), tiled("abc", 1, (0, 0))])
        seen = made.encode(backbone, tiles)
        losses = made(seen, tiles).losses
        (losses["text"] + losses["balance"]).backward()
        assert all(p.grad is not None for p in made.parameters())
        cells, positions = (0, 0) if sees == "nothing" else (16, 21)
        assert made.seen(seen, tiles) == [(cells, 0, positions)] * 2


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
