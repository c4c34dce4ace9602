"""What rooms hand each other, and what MLflow answers of the ledger."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path

from tests.fuzz.parser import Parser, seed_parquet, with_file


def read_predictions(data: bytes) -> None:
    from components.common.artifacts.predictions import read_predictions as read

    with_file(read, "predictions.parquet")(data)


def read_manifest(data: bytes) -> None:
    from components.common.artifacts.manifest import read_manifest as read

    with_file(read, "manifest.parquet")(data)


def scan_shard(data: bytes) -> None:
    from components.common.shards.tfscan import scan_shard as scan

    with_file(lambda file: list(scan(file)), "train-00000-of-00001.tfrecord")(data)


def seed_shards() -> list[bytes]:
    from components.common.shards.tfrecord import create_record

    features = {"pixels": bytes(12), "label": 1, "path": b"a.jpg", "sha256": b"0" * 64}
    return [create_record(features) * 2]


def read_dataset(data: bytes) -> None:
    from components.common.artifacts.dataset import read_dataset as read

    with_file(lambda file: read(file.parent), "dataset.json")(data)


def seed_datasets() -> list[bytes]:
    from components.common.artifacts.dataset import SCHEMA, Dataset, Shard, Split
    from components.common.images.pixels import ImageForm

    shard = Shard("test-00000-of-00001.tfrecord", 1, "0" * 64)
    split = Split(1, {"cat": 1}, "0" * 64, [shard])
    dataset = Dataset(["cat"], ImageForm(8, "crop", "#ffffff"), {"test": split}, "0", "1")
    return [json.dumps(SCHEMA.put_on(asdict(dataset))).encode()]


def read_history(data: bytes) -> None:
    from components.common.artifacts.history import read_history as read

    with_file(read, "history.csv")(data)


def seed_history() -> list[bytes]:
    from components.common.artifacts.history import COLUMNS

    return [f"{','.join(COLUMNS)}\nprobe,0,0.5,0.9,0.4,0.8,1\n".encode()]


def read_curve(data: bytes) -> None:
    from components.common.artifacts.curve import read_curve as read

    with_file(read, "curve.csv")(data)


def seed_curve() -> list[bytes]:
    head = "of,name,kind,images,more,accuracy,low,high,gain,gain_low,gain_high"
    return [f"{head}\nall,,measured,10,0,0.5,0.4,0.6,0,0,0\n".encode()]


def read_issues(data: bytes) -> None:
    from components.common.artifacts.label_issues import read_label_issues

    with_file(read_label_issues, "label_issues.csv")(data)


def seed_issues() -> list[bytes]:
    head = "path,split,label,suggested,score,suggested_score,sha256"
    return [f"{head}\n./=a.jpg,train,cat,dog,0.1,0.9,00\n".encode()]


def read_evidence(data: bytes) -> None:
    from components.common.artifacts.metrics import read_metrics
    from components.promote.gate.evidence import parse_evidence

    with_file(lambda file: parse_evidence(read_metrics(file), "metrics.json"), "metrics.json")(data)


def seed_metrics() -> list[bytes]:
    found = {"test_digest": "0", "accuracy": 0.9, "class_names": ["cat"], "undefined": {"a": "b"}}
    found |= {"intervals": {"accuracy": [0.8, 0.95]}, "classes": [{"name": "cat", "recall": 1.0}]}
    return [json.dumps(found | {"decisions": {"costs": [[0, 1]]}}).encode()]


def read_validation(data: bytes) -> None:
    from components.common.artifacts.validation import read_validation as read

    with_file(read, "validation.json")(data)


def read_run(data: bytes) -> None:
    from components.common.tracking.journal import read_journal
    from components.common.tracking.runs import read_run_id

    with_file(read_journal, "run.unsent.jsonl")(data)
    with_file(read_run_id, "run.json")(data)


def read_ledger(data: bytes) -> None:
    """What MLflow answers as params of the ledger's run: an object, name → text."""
    from components.promote.registry.book import parse_book

    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return
    if isinstance(found, dict):
        texts = {str(key): value for key, value in found.items() if isinstance(value, str)}
        book = parse_book(texts, texts.get("head", ""))
        book.list_reigns("champion")
        book.list_sealed()
        book.find_rollback("champion", "1")
        book.list_agreed("1")


def seed_ledger() -> list[bytes]:
    from components.promote.registry.book import Entry, compute_hash

    first = Entry(1, "2026-01-01T00:00:00+00:00", "promote", "champion", None, "1", "Ann", "why")
    told = {"entry-1": first.to_text(), "done-1": "x"}
    return [json.dumps(told | {"head": f"run:1:{compute_hash(first.to_text())}"}).encode()]


def read_stamp(data: bytes) -> None:
    from components.common.files.ownership import check_folder

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "own").mkdir()
        (Path(folder) / "own/.darkroom").write_bytes(data)
        (Path(folder) / "own/a.txt").write_text("mine")
        check_folder(Path(folder) / "own", "validate")


def seed_stamps() -> list[bytes]:
    return [b'{"room": "validate"}\n4 00000000 "a.txt"\n', b'{"room": 3}\nx y z\n']


PARSERS = {
    "predictions": Parser(read_predictions, seed_parquet),
    "manifest": Parser(read_manifest, seed_parquet),
    "shard": Parser(scan_shard, seed_shards),
    "dataset": Parser(read_dataset, seed_datasets),
    "history": Parser(read_history, seed_history),
    "curve": Parser(read_curve, seed_curve),
    "issues": Parser(read_issues, seed_issues),
    "metrics": Parser(read_evidence, seed_metrics),
    "validation": Parser(read_validation, lambda: [b'{"status": "passed"}']),
    "run": Parser(read_run, lambda: [b'{"run_id": "0", "unsent": [{"metrics": {}}]}']),
    "ledger": Parser(read_ledger, seed_ledger),
    "stamp": Parser(read_stamp, seed_stamps),
}
