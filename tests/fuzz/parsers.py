"""Every parser of ours that reads what somebody else wrote: a function of bytes, and seeds.

Of any bytes it may say, as a DarkroomError, what is wrong. Any other exception is a fault, and so
is a parser that takes seconds or gigabytes.
"""

from __future__ import annotations

import io
import json
import pickle
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.train.networks.tiny_vit import AUGREG, DINOV2, write_timm

ROOT = Path(__file__).parents[2]
Run = Callable[[bytes], object]


@dataclass(frozen=True)
class Parser:
    """One parser."""

    run: Run
    seeds: Callable[[], list[bytes]]  # whole inputs, from which others are made


def with_file(read: Callable[[Path], object], name: str) -> Run:
    """Return a function of bytes of one that wants a file of some name in an empty folder."""

    def run(data: bytes) -> object:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / name
            file.write_bytes(data)
            return read(file)

    return run


def read_params(data: bytes) -> None:
    from components.common.cli import create_schema
    from components.common.settings.params import read_params as read

    with_file(lambda file: read(file, create_schema()), "params.yaml")(data)


def seed_params() -> list[bytes]:
    return [(ROOT / "params.yaml").read_bytes(), b"train: &a {b: [*a, *a]}\n"]


def unpack(data: bytes) -> None:
    from components.ingest.archive import unpack as run

    with tempfile.TemporaryDirectory() as folder:
        archive, target = Path(folder) / "photos", Path(folder) / "images"
        archive.write_bytes(data)
        target.mkdir()
        run(archive, target, "photos")
        outside = sorted(path.name for path in Path(folder).iterdir())
        assert outside == ["images", "photos"], f"it wrote {outside}"
        assert not any(path.is_symlink() for path in target.rglob("*")), "it made a link"


def seed_archives() -> list[bytes]:
    picture = seed_images()[1]
    found = []
    for mode in ("w", "w:gz", "w:xz"):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode=mode, format=tarfile.PAX_FORMAT) as tar:
            for name in ("cat/ü.png", "cat/b.png", "dog/" + "n" * 120 + ".png"):
                info = tarfile.TarInfo(name)
                info.size = len(picture)
                tar.addfile(info, io.BytesIO(picture))
            link = tarfile.TarInfo("dog/c.png")
            link.type, link.linkname = tarfile.SYMTYPE, "../cat/b.png"
            tar.addfile(link)
        found.append(stream.getvalue())
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", method) as archive:
            for name in ("cat/ü.png", "dog/b.png"):
                archive.writestr(name, picture)
        found.append(stream.getvalue())
    return found


def read_table(suffix: str) -> Run:
    from components.validate.tables.reading import read_sheet

    return with_file(lambda file: read_sheet(file, {"a.jpg", "b.jpg"}), f"table{suffix}")


def seed_tables() -> list[bytes]:
    return [
        b"path,label\na.jpg,cat\nb.jpg,dog\n",
        "\ufeffpath;label;größe\r\na.jpg;Kätzchen;1,5\r\n".encode(),
        "path\tlabel\na.jpg\tü\n".encode("utf-16"),
        b'sep=;\n"path;label"\n"a.jpg;ca""t"\n',
    ]


def seed_json_tables() -> list[bytes]:
    return [
        b'[{"path": "a.jpg", "label": "cat"}, {"path": "b.jpg", "label": 3.0}]',
        b'{"a.jpg": "cat", "b.jpg": ["dog"]}',
        b'{"path": "a.jpg"}\n{"path": "b.jpg", "label": null}\n',
    ]


def write_parquet(**columns: list[Any]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


def seed_parquet() -> list[bytes]:
    return [write_parquet(path=["a.jpg"], sha256=["0"], label=["cat"], p_cat=[1.0], z_cat=[0.5])]


def read_predictions(data: bytes) -> None:
    from components.common.artifacts.predictions import read_predictions as read

    with_file(read, "predictions.parquet")(data)


def read_manifest(data: bytes) -> None:
    from components.common.artifacts.manifest import read_manifest as read

    with_file(read, "manifest.parquet")(data)


def read_corrections(data: bytes) -> None:
    from components.validate.layouts.corrections import parse_corrections

    parse_corrections(data.decode("utf-8", "replace"), "corrections.csv")


def seed_corrections() -> list[bytes]:
    head = "sha256,path,label,action,new_label\n"
    rows = f"{'0' * 64},a.jpg,cat,change,dog\n{'1' * 64},'=b.jpg,cat,drop,\n"
    return [(head + rows).encode(), (head + rows).replace(",", ";").encode()]


def read_list(data: bytes) -> None:
    from components.predict.listing import _split_list

    _split_list(data, "list")


def read_question(kind: str, length: str | None = None) -> Run:
    from components.predict.serve.bodies import read_question as read

    def run(data: bytes) -> None:
        read(bytearray(data), kind, length, 8)

    return run


def seed_questions() -> list[bytes]:
    tensor = {"name": "image", "shape": [1], "datatype": "BYTES"}
    return [
        b'{"instances": [{"b64": "aGFsbG8="}, "data:image/png;base64,aGFsbG8="]}',
        b'{"dataframe_split": {"columns": ["image"], "data": [["aGFsbG8="]]}}',
        b'{"dataframe_records": [{"image": "aGFsbG8="}]}',
        json.dumps({"id": "1", "inputs": [tensor | {"data": ["aGFsbG8="]}]}).encode(),
    ]


def seed_tensors() -> list[bytes]:
    tensor = {"name": "image", "shape": [1], "datatype": "BYTES"}
    tensor["parameters"] = {"binary_data_size": 9}
    head = json.dumps({"inputs": [tensor]}).encode()
    return [head.ljust(128) + b"\x05\0\0\0hallo"]


def read_torch(data: bytes) -> None:
    from components.train.networks.torch_weights import read_torch_weights

    with_file(read_torch_weights, "weights.pth")(data)


def seed_torch() -> list[bytes]:
    from components.train.networks.torch_weights import MAGIC

    # Of protocol 2, as PyTorch writes it: a tensor of two numbers in a storage of two.
    tensor = (
        b"\x80\x02}q\x00X\x01\x00\x00\x00wq\x01ctorch._utils\n_rebuild_tensor_v2\nq\x02"
        b"((X\x07\x00\x00\x00storageq\x03ctorch\nFloatStorage\nq\x04X\x01\x00\x00\x000q\x05"
        b"X\x03\x00\x00\x00cpuq\x06K\x02Ntq\x07QK\x00K\x02\x85q\x08K\x01\x85q\x09\x89ccollections\n"
        b"OrderedDict\nq\n)Rq\x0btq\x0cRq\rs."
    )
    parts = [MAGIC, 1001, {"little_endian": True}]
    head = b"".join(pickle.dumps(part, protocol=2) for part in parts)
    storage = (2).to_bytes(8, "little") + np.array([1, 2], "<f4").tobytes()
    return [head + tensor + pickle.dumps(["0"], protocol=2) + storage]


def read_checkpoint(data: bytes) -> None:
    """The bytes: config.json, a line break, a file of safetensors."""
    from components.train.networks.checkpoints import read_checkpoint as read

    config, _, weights = data.partition(b"\n")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_bytes(config)
        (Path(folder) / "model.safetensors").write_bytes(weights)
        read(Path(folder)).read_tensors()


def seed_checkpoints() -> list[bytes]:
    found = []
    for kind in (AUGREG, DINOV2):
        with tempfile.TemporaryDirectory() as folder:
            write_timm(Path(folder) / "net", kind)
            parts = [Path(folder, "net", name) for name in ("config.json", "model.safetensors")]
            found.append(b"\n".join(part.read_bytes() for part in parts))
    return found


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


def read_card(data: bytes) -> None:
    from components.common.artifacts.model import read_card as read

    with_file(read, "model.keras")(data)


def seed_cards() -> list[bytes]:
    form = {"size_px": 8, "resize": "crop", "background": "#ffffff"}
    card = {"class_names": ["cat"], "form": form, "backbone": "b", "weights": "", "phase": "probe"}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("darkroom.json", json.dumps(card | {"temperature": 1.0}))
    return [stream.getvalue()]


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


def read_log(data: bytes) -> None:
    from components.predict.serve.requestlog import read_logs

    with_file(lambda file: read_logs([file], "1"), "requests.jsonl")(data)


def seed_logs() -> list[bytes]:
    return [b'{"version": "1", "label": "cat", "probability": 0.5, "brightness": 0.1}\n{"vers']


def read_encoded(data: bytes) -> None:
    from components.common.serving.encoded import read_encoded as read

    read(data.decode("utf-8", "replace"))


def read_picture(data: bytes) -> None:
    from components.common.images.pixels import ImageForm, read_pixels
    from components.validate.scan.picture import inspect_file

    with_file(lambda file: inspect_file(str(file), 1, 1.0), "picture")(data)
    read_pixels(data, ImageForm(8, "crop", "#ffffff", srgb=True, max_pixels=1_000_000))


def seed_images() -> list[bytes]:
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (24, 20, 3), dtype=np.uint8))
    found = []
    for kind, options in {
        "JPEG": {"progressive": True},
        "PNG": {},
        "WEBP": {},
        "BMP": {},
        "GIF": {},
        "TIFF": {"compression": "tiff_lzw"},
        "PPM": {},
        "AVIF": {},
        "JPEG2000": {},
    }.items():
        stream = io.BytesIO()
        picture.save(stream, kind, **options)
        found.append(stream.getvalue())
    return found


def read_words(data: bytes) -> None:
    """Short texts that settings and addresses hold."""
    from components.common.settings.addresses import hide_secrets, refuse_secrets
    from components.common.settings.amounts import measure

    text = data.decode("utf-8", "replace")
    hide_secrets(text)
    try:
        measure(text)
    except ValueError as error:
        if "Kubernetes" not in str(error):  # that one is meant for pydantic
            raise
    refuse_secrets(text, "ingest.source")


JSON = "application/json"
PARSERS = {
    "params": Parser(read_params, seed_params),
    "archive": Parser(unpack, seed_archives),
    "table-csv": Parser(read_table(".csv"), seed_tables),
    "table-json": Parser(read_table(".json"), seed_json_tables),
    "table-jsonl": Parser(read_table(".jsonl"), seed_json_tables),
    "table-parquet": Parser(read_table(".parquet"), seed_parquet),
    "predictions": Parser(read_predictions, seed_parquet),
    "manifest": Parser(read_manifest, seed_parquet),
    "corrections": Parser(read_corrections, seed_corrections),
    "list": Parser(read_list, lambda: [b"a.jpg\nb.jpg\r\n", b"a\0b\0", b"\xef\xbb\xbf\xff\n"]),
    "question": Parser(read_question(JSON), seed_questions),
    "question-tensors": Parser(read_question(JSON, "128"), seed_tensors),
    "question-csv": Parser(read_question("text/csv"), lambda: [b'image\naGFs\n"bG8="\n']),
    "encoded": Parser(read_encoded, lambda: [b"data:image/png;base64,aGFsbG8=", b"aGFs-_=="]),
    "torch": Parser(read_torch, seed_torch),
    "checkpoint": Parser(read_checkpoint, seed_checkpoints),
    "shard": Parser(scan_shard, seed_shards),
    "dataset": Parser(read_dataset, seed_datasets),
    "card": Parser(read_card, seed_cards),
    "history": Parser(read_history, seed_history),
    "curve": Parser(read_curve, seed_curve),
    "issues": Parser(read_issues, seed_issues),
    "metrics": Parser(read_evidence, seed_metrics),
    "validation": Parser(read_validation, lambda: [b'{"status": "passed"}']),
    "run": Parser(read_run, lambda: [b'{"run_id": "0", "unsent": [{"metrics": {}}]}']),
    "ledger": Parser(read_ledger, seed_ledger),
    "stamp": Parser(read_stamp, seed_stamps),
    "request-log": Parser(read_log, seed_logs),
    "picture": Parser(read_picture, seed_images),
    "words": Parser(read_words, lambda: [b"500m", b"8Gi", b"s3://a:b@c/d?e=f", b"hf://a/b@c"]),
}
