"""Readers of pages: test sets, rows, restart, a text's way through pages, tokens of an encoder."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
from PIL import Image
from reader_files import PAGE_TEXT, PAGES, write_page_reader, write_reader
from safetensors import safe_open
from test_tools import run

from ocrpretrain.data import Folder
from ocrpretrain.data.synthesis.typesetting import Page
from ocrpretrain.data.views import PageView
from ocrpretrain.errors import CheckpointMismatchError, ConfigError, DataError
from ocrpretrain.evaluation.pages import PageAnswer, summarize_answers
from ocrpretrain.reading.embed import embed
from ocrpretrain.reading.evaluate_pages import evaluate_pages
from ocrpretrain.reading.files import read
from ocrpretrain.reading.page_sets import open_set
from ocrpretrain.reading.round_trip import _shown_body, render, round_trip
from ocrpretrain.results.leaderboard import boards, markdown
from ocrpretrain.results.verify import verify

SETS = ["natural", "shuffled", "letters"]


@pytest.fixture
def reader(tmp_path):
    return write_page_reader(tmp_path / "pages.safetensors")


@pytest.fixture
def scans(tmp_path):
    """Pages as users have them: blank, a strip, one of a long text, one with a foreign letter."""
    folder = tmp_path / "scans"
    folder.mkdir()
    texts = {"blank": "", "strip": "a strip", "long": "long " * 30, "foreign": "日本"}
    sizes = {"strip": (20000, 100)}
    rows = []
    for name, text in texts.items():
        page = np.full((*sizes.get(name, (90, 70)), 3), 255, np.uint8)
        Image.fromarray(page).save(folder / f"{name}.png")
        rows.append(json.dumps({"file": f"{name}.png", "text": text}))
    (folder / "labels.jsonl").write_text("\n".join(rows), "utf-8")
    return folder


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """Results of two seeds that see pages, and of the controls."""
    folder = tmp_path_factory.mktemp("pages")
    results = folder / "results.jsonl"
    for name, options in {
        "one": {"tokens": 16}, "two": {"tokens": 16, "seed": 4}, "blind": {"sees": "nothing"},
        "pooled": {"sees": "text", "tokens": 16},
    }.items():  # fmt: skip
        weights = write_page_reader(folder / f"{name}.safetensors", **options)
        evaluate_pages(weights, SETS, results, "small")
    return results


def test_rows_of_pages(evaluated):
    board, _ = boards(evaluated)
    assert board.name == "leaderboard_pages" and len(board.rows) == 3 * 3
    rows = {(row["sees"], row["set"]): row for row in board.rows}
    page, blind, text = (rows[sees, "natural"] for sees in ("page", "nothing", "text"))
    assert page["n"] == 2 and page["interval"] == "seeds" and blind["interval"] == "pages"
    assert page["cells"] == text["cells"] == 16 and page["positions"] == 16 + 4 + 1
    assert page["valid"] == 16  # square pages
    assert blind["cells"] == blind["valid"] == blind["positions"] == 0 and blind["ratio"] is None
    assert page["ratio"] == pytest.approx(page["tokens"] / 16) and page["minutes"] == 1.5
    assert page["pages"] == 100 and page["overlap"] < 0.01
    assert page["overlap_runs"] > 5 and 0 <= page["known_texts"] < 0.1
    assert "| small | natural | page |" in markdown(board)


def test_ratios_of_pages(evaluated):
    _, board = boards(evaluated)
    assert board.name == "leaderboard_ratios"
    rows = [row for row in board.rows if row["set"] == "natural"]
    pages = {
        sees: sum(r["pages"] for r in rows if r["sees"] == sees) for sees in ("page", "nothing")
    }
    stored = json.loads(gzip.open(next((evaluated.parent / "per_image").iterdir())).read())
    texts = sum(bool(PageAnswer(*row).truth) for row in stored["answers"]["natural"])
    assert 0 < texts < 100 and pages == {"page": 2 * texts, "nothing": texts}
    ratios = {sees: [r["ratio"] for r in rows if r["sees"] == sees] for sees in ("page", "nothing")}
    assert ratios["page"] == ratios["nothing"] == sorted(ratios["page"])
    assert all(row["ratio"] == pytest.approx(row["tokens"] / 16) for row in rows)


def test_sets_differ_in_their_text_alone(evaluated):
    with gzip.open(next((evaluated.parent / "per_image").iterdir()), "rt") as stream:
        answers = json.load(stream)["answers"]
    natural, shuffled, letters = ([row[3] for row in answers[name]] for name in SETS)
    assert len(natural) == len(shuffled) == len(letters) == 100
    assert len(set(natural)) > 80 and len({*natural} & {*shuffled}) < 20
    known = {word for text in shuffled for word in text.split()}
    assert len({word for text in letters for word in text.split() if len(word) > 3} & known) < 20


def test_rows_are_verified(evaluated):
    assert verify(evaluated) == []
    rows = [json.loads(line) for line in evaluated.read_text().splitlines()]
    rows[0]["sets"]["letters"]["one_minus_ned"] += 0.01
    rows[1]["metrics"]["precision"] = 1.0
    rows[2]["pretraining"]["images_seen"] = 1
    changed = evaluated.with_name("changed.jsonl")
    changed.write_text("\n".join(map(json.dumps, rows)))
    found = verify(changed)
    assert len(found) == 3 and "sets.letters.one_minus_ned" in found[0]


def test_the_leaderboard_draws_ratios(evaluated, monkeypatch, tmp_path, capsys):
    out = tmp_path / "board"
    arguments = [str(evaluated), "--out", str(out), "--wandb", "disabled"]
    assert run(monkeypatch, "leaderboard", *arguments) == 0
    assert "leaderboard_pages" in capsys.readouterr().out
    width, height = Image.open(out / "leaderboard_ratios.png").size
    assert width > 1000 and height > 1000  # six panels


def test_a_folder_of_ones_own(reader, scans, monkeypatch, tmp_path, capsys):
    results = tmp_path / "results.jsonl"
    arguments = [str(reader), "--pages", f"mine={scans}", "--results", str(results)]
    assert run(monkeypatch, "evaluate", *arguments) == 0
    shown = capsys.readouterr().out
    assert "| mine | 4 |" in shown and "1 long_pages" in shown
    record = json.loads(results.read_text())
    assert record["sets"]["mine"]["cells"] == 64
    assert record["sets"]["mine"]["valid"] == (3 * 50 + 1) / 4  # 90 x 70, a strip
    assert (
        record["counts"] == {"long_pages": 1, "cut_pages": 4}
        and record["sets"]["mine"]["tokens"] > 30
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--pages", "natural", "--words", "random"], "--words SET"),
        (["--pages", "natural", "--upright"], "--pages SET"),
        (["--pages", "natural", "--test", "x"], "--test is for detectors"),
        (["--pages", "natural", "natural"], "given twice"),
        (["--pages", "none.zip"], "no such folder"),
    ],
)
def test_wrong_arguments(reader, monkeypatch, capsys, arguments, message):
    assert run(monkeypatch, "evaluate", str(reader), *arguments) == 2
    assert message in capsys.readouterr().err


def test_readers_of_something_else(reader, tmp_path):
    words = write_reader(tmp_path / "words.safetensors", "ctc")
    words.with_suffix(".record.json").write_text(json.dumps({"config": {"data": {}}}))
    with pytest.raises(CheckpointMismatchError, match="reads no pages"):
        evaluate_pages(words, ["natural"], tmp_path / "results.jsonl")
    reader.with_suffix(".record.json").write_text(json.dumps({"config": {"data": {}}}))
    with pytest.raises(ConfigError, match="no generated validation pages"):
        evaluate_pages(reader, ["natural"], tmp_path / "results.jsonl")
    reader.with_suffix(".record.json").unlink()
    with pytest.raises(ConfigError, match="is not beside it"):
        evaluate_pages(reader, ["natural"], tmp_path / "results.jsonl")


def test_what_is_read_is_a_source(reader, scans, tmp_path):
    out = tmp_path / "pages.jsonl"
    lines = list(read(reader, [scans], out))
    assert lines[-1].startswith("4 pages, ") and "0 unreadable" in lines[-1]
    again = list(read(reader, [scans], out))
    assert again[-1].startswith("0 pages, ") and "4 were there already" in again[-1]
    source, view = Folder(out), PageView(64)
    read_texts = [view(source.read(place), 0).text[0] for place in range(len(source))]
    assert read_texts == [json.loads(line)["text"] for line in out.read_text().splitlines()]
    assert source.fingerprint() != Folder(scans).fingerprint()
    with pytest.raises(ConfigError, match="for words"):
        list(read(reader, [scans], save=tmp_path / "drawn"))


def test_silence_is_no_skill():
    silent, right = (
        PageAnswer("a", "", 1.0, "two words", 9, 4, 4, 5),
        PageAnswer("b", "two words", 1.0, "two words", 9, 4, 4, 5),
    )
    found = summarize_answers([silent, right, PageAnswer("c", "", 1.0, "", 0, 4, 4, 5)])
    assert found["precision"] == found["recall"] == found["f"] == 0.5


def test_training_texts_that_are_not_here(tmp_path, capsys):
    reader = write_page_reader(tmp_path / "pages.safetensors")
    file = reader.with_suffix(".record.json")
    record = json.loads(file.read_text())
    record["config"]["data"]["train"] = {"type": "ocrpretrain.data.Folder", "path": "/none"}
    file.write_text(json.dumps(record))
    found = evaluate_pages(reader, ["letters"], tmp_path / "results.jsonl")
    assert not {"overlap", "known_texts"} & found["sets"]["letters"].keys()
    assert "not known" in capsys.readouterr().out
    assert boards(tmp_path / "results.jsonl")[0].rows[0]["overlap"] is None


def test_readers_that_are_given_text_do_not_read_scans(scans, tmp_path):
    reader = write_page_reader(tmp_path / "half.safetensors", view={"optical_share": 0.5})
    with pytest.raises(CheckpointMismatchError, match="a part of the text"):
        list(read(reader, [scans]))
    control = write_page_reader(tmp_path / "control.safetensors", sees="text")
    (tmp_path / "text.txt").write_text("a text")
    for lines in (read(control, [scans]), round_trip(control, tmp_path / "text.txt", 12)):
        with pytest.raises(CheckpointMismatchError, match="is a control"):
            list(lines)


def test_a_text_goes_through_pages(reader, tmp_path, monkeypatch, capsys):
    text = tmp_path / "text.txt"
    text.write_text("some words on\n\ntwo pages, no more", "utf-8")
    arguments = [str(reader), "--text", str(text), "--body", "12"]
    assert run(monkeypatch, "read", *arguments) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    pages = list(render(text.read_text(), (64, 64), 12))
    texts = [PageView(64)(page, 0).text[0] for page in pages]
    assert " ".join(" ".join(texts).split()) == "some words on two pages, no more"
    tokens = sum(map(len, texts))
    assert last.startswith(f"{len(pages)} pages: {tokens} text tokens -> {64 * len(pages)} vision")
    assert "1-NED 0." in last
    with pytest.raises(DataError, match="wider than 64 pixels"):
        list(render("incomprehensibilities", (64, 64), 12))
    with pytest.raises(ConfigError, match="--body: 1 or more, found 0"):
        list(round_trip(reader, text, 0))
    own = list(render(text.read_text(), (64, 64), 9))  # validation pages of 96 pixels, type of 13
    assert len(list(round_trip(reader, text))) == len(own) + 1
    large = {**PAGES, "size": (128, 128), "body": (16, 36)}  # shown at half its size
    assert _shown_body({**large, "fonts": "elsewhere"}, PageView(64)) == 12
    (blank,) = render("", (64, 64), 12)
    assert not blank.words and blank.image.min() == 255


def test_the_type_of_a_text_is_upright_and_of_the_family_that_is_asked_for(monkeypatch):
    faces, paragraph = [], Page.paragraph

    def note(self, words, face, *where):
        faces.append(face.path.stem)
        return paragraph(self, words, face, *where)

    monkeypatch.setattr(Page, "paragraph", note)
    for families in (None, ["Roboto"]):
        list(render("text", (64, 64), 12, families))
    assert len(faces) == 2 and "Italic" not in "".join(faces) and faces[1].startswith("Roboto")


def test_prose_is_english():
    config = {"data": {"val": {**PAGES, "text": {**PAGE_TEXT, "language": "de"}}}}
    with pytest.raises(ConfigError, match="packaged prose in English alone, not in de"):
        open_set("natural", config)
    assert open_set("words", config)[0] == "words"


def test_tokens_of_an_encoder(reader, scans, tmp_path, monkeypatch, capsys):
    out = tmp_path / "tokens"
    assert run(monkeypatch, "embed", str(reader), str(scans), "--out", str(out), "--half") == 0
    assert "4 pictures, 0 were there already, 0 unreadable" in capsys.readouterr().out
    with safe_open(out / "strip.png.safetensors", "pt") as file:
        assert file.get_slice("tokens").get_shape() == [64, 32]
        assert file.get_slice("tokens").get_dtype() == "F16"
        info = {key: json.loads(value) for key, value in file.metadata().items()}
    assert info["map"] == [8, 8] and info["grid"] == [0, 0] and info["image"].endswith("strip.png")
    assert list(embed(reader, [scans], out, half=True))[-1].startswith("0 pictures, 4 were there")
    for options, what in (({}, "half"), ({"half": True, "mode": "tiny"}, "view")):
        with pytest.raises(DataError, match=f"written with other {what}"):
            list(embed(reader, [scans], out, **options))
    with pytest.raises(ConfigError, match="not a multiple of"):
        list(embed(reader, [scans], tmp_path / "other", size=(60, 64)))
    for size in ((0, 64), (-64, 64)):
        with pytest.raises(ConfigError, match="not a multiple of"):
            list(embed(reader, [scans], tmp_path / "other", size=size))
    with pytest.raises(ConfigError, match="--out: .* is a file"):
        list(embed(reader, [scans], reader))
    (scans / "broken.png").write_bytes(b"no picture")
    last = list(embed(reader, [scans], out, half=True))[-1]
    assert "0 pictures, 4 were there already, 1 unreadable" in last
    large = tmp_path / "large.png"
    Image.fromarray(np.zeros((700, 1400, 3), np.uint8)).save(large)
    list(embed(reader, [large], out, mode="gundam"))
    with safe_open(out / "large.png.safetensors", "pt") as file:
        assert file.get_slice("tiles").get_shape() == [2, 80 * 80, 32]
    with pytest.raises(DataError, match="written with other view"):  # the same size, no tiles
        list(embed(reader, [large], out, size=(1024, 1024)))


def test_embedded_pictures_keep_their_place_in_the_folder(reader, scans, tmp_path):
    """Whatever else is put beside them later."""
    folder, out = tmp_path / "folder", tmp_path / "tokens"
    (folder / "a").mkdir(parents=True)
    Image.fromarray(np.zeros((30, 30, 3), np.uint8)).save(folder / "a" / "x.png")
    list(embed(reader, [folder], out))
    assert (out / "a" / "x.png.safetensors").is_file()
