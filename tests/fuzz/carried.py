"""What a version carries, a batch leaves, a command hands to another: any may be another file."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

from tests.fuzz.parser import Parser, seed_parquet, with_file, write_parquet


def read_splits(data: bytes) -> None:
    from components.common.artifacts.groups import read_groups
    from components.common.artifacts.splits import read_splits as read

    with_file(read, "splits.parquet")(data)
    with_file(lambda file: read_groups(file.parent, ["a.jpg"], ["0"]), "groups.parquet")(data)


def seed_splits() -> list[bytes]:
    words = {name: ["x"] for name in ("path", "sha256", "label", "split", "group_id", "why")}
    return [write_parquet(**words)]


def read_sample(data: bytes) -> None:
    from components.common.artifacts.sample import read_sample as read

    with_file(read, "sample.parquet")(data)


def seed_sample() -> list[bytes]:
    return [write_parquet(path=["a.jpg"], image=[b"png"], p_cat=[1.0]), *seed_parquet()]


def read_decisions(data: bytes) -> None:
    from components.common.serving.decisions import read_decisions as read

    with_file(read, "decisions.json")(data)


def seed_decisions() -> list[bytes]:
    found = {"unsure_below": 0.5, "set_from": [0.1, 0.2], "costs": [[0, 1], [2, 0]]}
    return [json.dumps(found).encode(), b"[]", b'{"costs": 3}', b'{"unsure_below": "half"}']


def read_reference(data: bytes) -> None:
    from components.predict.watch import read_reference as read

    with_file(read, "reference.parquet")(data)


def seed_reference() -> list[bytes]:
    from components.predict.drift import NUMBERS

    return [write_parquet(predicted=["cat"], **{name: [0.5] for name in NUMBERS})]


def read_images(data: bytes) -> None:
    from components.common.images import listing

    with_file(lambda file: listing.open_images(file, ["a.jpg"]), "listing.parquet")(data)
    with_file(listing.list_paths, "listing.parquet")(data)


def seed_images() -> list[bytes]:
    from components.common.images.listing import write_listing
    from components.common.images.stores.listing import Entry

    return [_write(lambda file: write_listing(file, "s3://b", [Entry("a.jpg", "k", 3, "md5:0")]))]


def read_batch(data: bytes) -> None:
    from components.predict.batch.listing import read_listing, read_rows
    from components.predict.batch.partitions import read_answers_note

    with_file(read_answers_note, "part-000000.parquet")(data)
    with_file(lambda file: (read_listing(file), read_rows(file, 0)), "listing.parquet")(data)


def seed_batch() -> list[bytes]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from components.predict.batch.listing import Asked, Listing
    from components.predict.batch.notes import ANSWERS, LISTING, write_note

    def write(file: Path) -> None:
        table = pa.Table.from_pylist([asdict(Asked(b"a.jpg", 3, "1"))])
        with pq.ParquetWriter(file, table.schema) as writer:
            writer.write_table(table)
            write_note(writer, LISTING, asdict(Listing("photos", "m.keras", 9, 1, 1, {".txt": 1})))

    def answer(file: Path) -> None:
        with pq.ParquetWriter(file, pa.schema([("path", pa.string())])) as writer:
            write_note(writer, ANSWERS, {"rows": "0", "images": 1, "class_names": ["cat"]})

    return [_write(write), _write(answer)]


def _write(write: Callable[[Path], object]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "made.parquet")
        return (Path(folder) / "made.parquet").read_bytes()


def read_choices(data: bytes) -> None:
    from components.common.artifacts.findings import FindingFiles, read_held_back

    with_file(lambda file: read_held_back(FindingFiles(file.parent)), "choices.json")(data)


def seed_choices() -> list[bytes]:
    return [
        b'[{"setting": "label_issues", "value": "none", "reason": "few images"}]',
        b"[1]",
        b'{"a": 1}',
    ]


def read_verdict(data: bytes) -> None:
    """The bytes: verdict.json, a line break, metrics.json, another, validation.json."""
    from components.promote.summary import main

    with tempfile.TemporaryDirectory() as folder:
        names = ("verdict.json", "metrics.json", "validation.json")
        for name, part in zip(names, data.split(b"\n", 2), strict=False):
            (Path(folder) / name).write_bytes(part)
        with redirect_stdout(io.StringIO()):
            main([str(Path(folder) / "verdict.json")])


def seed_verdicts() -> list[bytes]:
    verdict = {"verdict": "promoted", "words": "w", "model": "m", "version": "1", "aliases": []}
    verdict |= {"figures": {"accuracy": 0.9}, "rules": []}
    metrics = {"weakest_class": {"name": "a"}, "confusion": [[1, 2], [3, 4]], "next_steps": []}
    metrics["classes"] = [{"name": name, "recall": 0.5, "images": 4} for name in "ab"]
    counts = {"usable": 3, "quarantined": 1, "classes": {"a": 3}, "findings": []}
    return [b"\n".join(json.dumps(one).encode() for one in (verdict, metrics, counts)), b"{}"]


def read_facts(data: bytes) -> None:
    from components.common.files.writing import read_json
    from components.validate.commands import read_sampled

    with_file(lambda file: read_sampled(read_json(file), file), "facts.json")(data)


def read_stages(data: bytes) -> None:
    from components.common.settings.params import read_yaml
    from components.init.upgrade import list_named

    with_file(lambda file: list(list_named(read_yaml(file, "--stages"))), "dvc.yaml")(data)


def seed_stages() -> list[bytes]:
    return [(Path(__file__).parents[2] / "dvc.yaml").read_bytes(), b"stages: {a: {params: 1}}"]


def read_tags(data: bytes) -> None:
    """What MLflow answers of a version: its tags, as JSON."""
    from components.predict.source import read_limits

    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return
    if isinstance(found, dict):
        version = SimpleNamespace(tags=found, name="m", version="1")
        read_limits(None, "models:/m@champion", version, "")


PARSERS = {
    "splits": Parser(read_splits, seed_splits),
    "sample": Parser(read_sample, seed_sample),
    "decisions": Parser(read_decisions, seed_decisions),
    "reference": Parser(read_reference, seed_reference),
    "images": Parser(read_images, seed_images),
    "batch": Parser(read_batch, seed_batch),
    "choices": Parser(read_choices, seed_choices),
    "verdict": Parser(read_verdict, seed_verdicts),
    "facts": Parser(
        read_facts, lambda: [b'{"source": "a.zip", "sampled": ["a.jpg"]}', b"[]", b"{}"]
    ),
    "stages": Parser(read_stages, seed_stages),
    "tags": Parser(
        read_tags,
        lambda: [b'{"darkroom.unsure_below": "0.5"}', b'{"darkroom.unsure_below": "half"}'],
    ),
}
