"""What a person gives: settings, photos as they have them, tables and corrections."""

from __future__ import annotations

import io
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from tests.fuzz.parser import Parser, Run, seed_parquet, with_file

ROOT = Path(__file__).parents[2]


def read_params(data: bytes) -> None:
    from components.common.cli import create_schema
    from components.common.settings.params import read_params as read

    with_file(lambda file: read(file, create_schema()), "params.yaml")(data)


def seed_params() -> list[bytes]:
    return [(ROOT / "params.yaml").read_bytes(), b"train: &a {b: [*a, *a]}\n"]


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


def unpack(data: bytes) -> None:
    from components.ingest.archives.unpacking import unpack as run

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
        b'{"path": {"0": "a.jpg", "1": "b.jpg"}, "label": {"0": "cat", "1": "dog"}}',
        b'{"columns": ["path", "label"], "index": [0], "data": [["a.jpg", "cat"]]}',
        b'{"cat": ["a.jpg"], "dog": ["b.jpg"]}',
        b'{"images": [{"id": 1, "file_name": "a.jpg"}], "categories": [{"id": 2, "name": "cat"}], '
        b'"annotations": [{"image_id": 1, "category_id": 2}]}',
    ]


def read_corrections(data: bytes) -> None:
    from components.validate.layouts.corrections import parse_corrections

    parse_corrections(data.decode("utf-8", "replace"), "corrections.csv")


def seed_corrections() -> list[bytes]:
    head = "sha256,path,label,action,new_label\n"
    rows = f"{'0' * 64},a.jpg,cat,change,dog\n{'1' * 64},'=b.jpg,cat,drop,\n"
    return [(head + rows).encode(), (head + rows).replace(",", ";").encode()]


PARSERS = {
    "params": Parser(read_params, seed_params),
    "words": Parser(read_words, lambda: [b"500m", b"8Gi", b"s3://a:b@c/d?e=f", b"hf://a/b@c"]),
    "archive": Parser(unpack, seed_archives),
    "picture": Parser(read_picture, seed_images),
    "table-csv": Parser(read_table(".csv"), seed_tables),
    "table-json": Parser(read_table(".json"), seed_json_tables),
    "table-jsonl": Parser(read_table(".jsonl"), seed_json_tables),
    "table-parquet": Parser(read_table(".parquet"), seed_parquet),
    "corrections": Parser(read_corrections, seed_corrections),
}
