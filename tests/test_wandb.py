"""What the offline W&B run holds, read back from its file."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.message import DecodeError
from test_engine import NANO, TOY

from ocrpretrain.engine import pretrain
from ocrpretrain.environment import file_sha256

pytestmark = pytest.mark.slow
BLOCK = 32768


def records(folder: Path) -> list:
    """All records of a run; W&B writes the last ones after it says that it has finished."""
    for _ in range(150):
        try:
            found = list(written(folder))
        except DecodeError:  # of a record that is half written
            found = []
        if found and found[-1].WhichOneof("record_type") == "exit":
            return found
        time.sleep(0.2)
    raise AssertionError(f"{folder}: no W&B run with an end")


def written(folder: Path) -> Iterator:
    """The protocol buffers of a run's `.wandb` file: a log of blocks, as in LevelDB."""
    from wandb.proto import wandb_internal_pb2

    (file,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    data, position, parts = file.read_bytes(), 7, b""
    while position + 7 <= len(data):
        left = BLOCK - position % BLOCK
        if left < 7:
            position += left
            continue
        _, length, kind = struct.unpack("<IHB", data[position : position + 7])
        parts += data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # a whole record, or its last part
            record = wandb_internal_pb2.Record()
            record.ParseFromString(parts)
            yield record
            parts = b""


def content(folder: Path) -> dict:
    """Group, job type, axis of each metric, logged values, pictures and artifacts."""
    found = {"axes": {}, "history": [], "artifacts": {}}
    for record in records(folder):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            found |= {"group": record.run.run_group, "job": record.run.job_type}
        elif kind == "metric" and record.metric.step_metric:
            found["axes"][record.metric.glob_name or record.metric.name] = record.metric.step_metric
        elif kind == "history":
            row: dict = {}
            for item in record.history.item:
                value = json.loads(item.value_json)
                first, *rest = [item.key] if item.key else item.nested_key
                if rest:
                    row.setdefault(first, {})["/".join(rest)] = value
                else:
                    row[first] = value
            found["history"].append(row)
        elif kind == "artifact":
            metadata = json.loads(record.artifact.metadata or "{}")
            found["artifacts"][record.artifact.type] = metadata
    return found


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    options = NANO | {"trainer.log_every_n_steps": 1}
    return pretrain(TOY, options, work_dir=tmp_path_factory.mktemp("w") / "mine")


def test_a_pretraining_reads_back(pretrained):
    run = content(pretrained)
    assert (run["group"], run["job"]) == ("mine", "pretrain")
    assert run["axes"]["train/*"] == run["axes"]["val/*"] == "images_seen"
    losses = [row for row in run["history"] if "train/loss" in row]
    assert [row["images_seen"] for row in losses] == [4, 8, 12, 16]
    assert any("val/recall" in row and "val/blind_recall" in row for row in run["history"])
    assert any("samples" in row for row in run["history"])
    checkpoint = run["artifacts"]["checkpoint"]
    assert checkpoint["sha256"] == file_sha256(pretrained / "checkpoints" / "best.ckpt")
    assert checkpoint["images_seen"] == 16


def test_the_leaderboard_is_a_table(tmp_path):
    from ocrpretrain.results.detection_rows import COLUMNS
    from ocrpretrain.results.leaderboard import Board, log_to_wandb

    row = dict.fromkeys(COLUMNS, 0.5) | {"experiment": "e"}
    log_to_wandb([Board("leaderboard", COLUMNS, {}, [row])], tmp_path, "offline")
    rows = [r["leaderboard"] for r in content(tmp_path)["history"] if "leaderboard" in r]
    (table,) = rows
    assert table["_type"] == "table-file" and table["nrows"] == 1
    (file,) = tmp_path.glob(f"wandb/offline-run-*/files/{table['path']}")
    stored = json.loads(file.read_text())
    assert stored["columns"] == list(COLUMNS) and stored["data"][0][0] == "e"
