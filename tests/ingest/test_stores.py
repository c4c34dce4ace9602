"""Folders and archives in stores: s3:// by moto's server, hf:// and gs:// by stand-ins."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from components.common.errors import DarkroomError
from components.common.images.stores import hf, transfer
from components.ingest.run import run
from components.ingest.spec import Inputs, Outputs, Params
from tests.ingest.archives import encode_png, list_files, make_zip
from tests.ingest.servers import serving

FILES = {
    "README.md": b"# Photos",
    ".gitattributes": b"*.zip filter=lfs",
    "data/cat/1.png": encode_png(1),
    "data/Äpfel/größe 1.png": encode_png(2),
    "data/LICENSE": b"free",
}
# The folder is brought without what wraps it, and without hidden files.
BROUGHT = {name.removeprefix("data/"): content for name, content in FILES.items() if name[0] != "."}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "PAUSES", (0.01, 0.02))


def ingest(place: Path, source: str, sha256: str = "") -> dict[str, bytes]:
    images = place / "data" / "images"
    run(Inputs(images), Outputs(images), Params(source, sha256))
    assert [child.name for child in (place / "data").iterdir()] == ["images"]
    return {name: (images / name).read_bytes() for name in list_files(images)}


@pytest.fixture
def archive(tmp_path: Path) -> bytes:
    return make_zip(tmp_path / "a", {"p/cat/1.png": encode_png(1)}).read_bytes()


def test_s3_folder_and_archive(s3: Any, tmp_path: Path, archive: bytes) -> None:
    for name, content in FILES.items():
        s3.put_object(Bucket="photos", Key=f"mine/{name}", Body=content)
    s3.put_object(Bucket="photos", Key="minerals/1.png", Body=b"another folder")
    s3.put_object(Bucket="photos", Key="mine.zip", Body=archive)
    s3.put_object(Bucket="photos", Key="packed/all.zip", Body=archive)
    for source in ("s3://photos/mine", "s3://photos/mine/"):
        assert ingest(tmp_path, source) == BROUGHT
    digest = hashlib.sha256(archive).hexdigest()
    assert list(ingest(tmp_path, "s3://photos/mine.zip", digest)) == ["cat/1.png"]
    for source, sha256, words in (
        ("s3://photos/mine.zip", "", "ingest.sha256 is empty: set it to the sha256 that the publ"),
        ("s3://photos/mine.zip", "0" * 64, "another archive than was meant"),
        ("s3://photos/mine", digest, "s3://photos/mine is a folder of 5 files; leave it empty"),
        ("s3://photos/packed", "", "1 archives: all.zip; name one .*: s3://photos/packed/all.zip"),
        ("s3://photos/nothing", "", "ingest.source: no image in s3://photos/nothing"),
        ("s3://nobody/mine", "", "ingest.source: s3://nobody/mine cannot be read .*AWS_ACCESS"),
    ):
        with pytest.raises(DarkroomError, match=words):
            ingest(tmp_path, source, sha256)
    assert list_files(tmp_path / "data/images") == ["cat/1.png"]  # of the last that succeeded


def test_s3_object_is_resumed_unless_it_changed(s3: Any, tmp_path: Path) -> None:
    from components.common.images.stores.s3 import list_files as list_s3

    s3.put_object(Bucket="photos", Key="a.bin", Body=b"0123456789")
    remote = list_s3("s3://photos/a.bin", "x").files[0]
    target = tmp_path / "a"
    mark = remote.open(0, "").mark
    for here in (b"", b"0123", b"0123456789"):
        target.write_bytes(here)
        transfer.fetch_file(remote, target, mark=mark)
        assert target.read_bytes() == b"0123456789"
    s3.put_object(Bucket="photos", Key="a.bin", Body=b"abcdefghij")
    target.write_bytes(b"0123")
    transfer.fetch_file(remote, target, mark=mark)
    assert target.read_bytes() == b"abcdefghij"


def test_s3_key_that_would_leave_the_folder(s3: Any, tmp_path: Path) -> None:
    s3.put_object(Bucket="photos", Key="trap/../../out.png", Body=b"x")
    with pytest.raises(DarkroomError, match="leads out of the folder"):
        ingest(tmp_path, "s3://photos/trap")
    assert not list(tmp_path.rglob("*.png"))


def test_without_boto3_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(DarkroomError, match=r"is read by boto3, .* pip install 'boto3>="):
        ingest(tmp_path, "s3://photos/mine")


class Stand(BaseHTTPRequestHandler):
    """A server of JSON and files; `find` answers a path with (status, headers, body)."""

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        self.server.seen.append((path, self.headers.get("Authorization")))  # type: ignore[attr-defined]
        status, headers, body = self.server.find(  # type: ignore[attr-defined]
            urllib.parse.unquote(path), dict(urllib.parse.parse_qsl(query)), self.headers
        )
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """Answers as huggingface.co does: revision, tree in pages of two, resolve with a redirect."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files, self.base = files, ""

    def __call__(self, path: str, query: dict[str, str], headers: Any) -> tuple[int, Any, bytes]:
        if path == "/api/datasets/me/photos/revision/main":
            return 200, {}, json.dumps({"id": "me/photos", "sha": COMMIT}).encode()
        tree, resolve = f"/api/datasets/me/photos/tree/{COMMIT}", f"/resolve/{COMMIT}/"
        if path.startswith(tree):
            return self._tree(path.removeprefix(tree).strip("/"), query)
        if resolve in path:
            name = path.partition(resolve)[2]
            return 302, {"Location": f"{self.base}/cdn/{urllib.parse.quote(name)}?sig=x"}, b""
        if path.startswith("/cdn/"):
            return 200, {}, self.files[path.removeprefix("/cdn/")]
        return 401, {"X-Error-Code": "RepoNotFound"}, b'{"error":"Invalid username or password."}'

    def _tree(self, folder: str, query: dict[str, str]) -> tuple[int, Any, bytes]:
        prefix = f"{folder}/" if folder else ""
        entries: dict[str, dict[str, Any]] = {}
        for name, content in self.files.items():
            if not name.startswith(prefix):
                continue
            parts = name.removeprefix(prefix).split("/")
            for depth in range(1, len(parts)):
                inner = prefix + "/".join(parts[:depth])
                entries[inner] = {"type": "directory", "path": inner, "oid": "0", "size": 0}
            lfs = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content)}
            entries[name] = {"type": "file", "path": name, "oid": "0", "size": len(content)}
            entries[name] |= {"lfs": lfs | {"pointerSize": 130}} if "." in name[1:] else {}
        wanted = list(entries.values())
        if query["recursive"] == "false":
            wanted = [e for e in wanted if "/" not in e["path"].removeprefix(prefix)]
        first = int(query.get("cursor", 0))
        following = {**query, "cursor": str(first + 2)}
        link = f"<{self.base}/api/datasets/me/photos/tree/{COMMIT}/{urllib.parse.quote(folder)}"
        link += f'?{urllib.parse.urlencode(following)}>; rel="next"'
        more = {"Link": link} if first + 2 < len(wanted) else {}
        return 200, more, json.dumps(wanted[first : first + 2]).encode()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, archive: bytes) -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Stand)
    server.seen, server.find = [], Hub(FILES | {"packed/all.zip": archive})
    server.find.base = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("HF_ENDPOINT", server.find.base)
    monkeypatch.setenv("HF_TOKEN", "geheim")
    with serving(server):
        yield server


@pytest.mark.parametrize(
    "source", ["hf://datasets/me/photos", "hf://me/photos", "hf://datasets/me/photos@main/data"]
)
def test_hf_repository_as_of_one_commit(
    source: str, hub: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del hub.find.files["packed/all.zip"]
    found = ingest(tmp_path, source)
    missing = {"README.md"} if source.endswith("data") else set()  # it lies outside that folder
    assert found.keys() == BROUGHT.keys() - missing
    assert all(BROUGHT[name] == content for name, content in found.items())
    assert f"main is commit {COMMIT}" in capsys.readouterr().out
    logins = {login for path, login in hub.seen if path.startswith(("/api", "/datasets"))}
    assert logins == {"Bearer geheim"}


def test_hf_archive_and_what_is_not_there(hub: Any, tmp_path: Path, archive: bytes) -> None:
    digest = hashlib.sha256(archive).hexdigest()
    file = "hf://datasets/me/photos/packed/all.zip"
    with pytest.raises(DarkroomError, match=f"if you trust {file}, set it to {digest}"):
        ingest(tmp_path, file)
    assert list(ingest(tmp_path, file, digest)) == ["cat/1.png"]
    hub.find.files["tables/train.parquet"] = b"PAR1"
    for source, words in (
        ("hf://datasets/me/nothing", "401 Unauthorized.* wants HF_TOKEN, and its conditions"),
        ("hf://datasets/me/photos/none.zip", "me/photos has no none.zip"),
        ("hf://datasets/me/photos@v9", "revision v9"),
        ("hf://photos", "is no dataset; legal is hf://datasets/OWNER/NAME"),
        ("hf://spaces/me/photos", "is no dataset"),
        ("hf://datasets/me/photos/packed", f"1 archives: all.zip; name one .* {file}"),
        ("hf://datasets/me/photos/tables", "1 .parquet.*the images that its Parquet files hold"),
    ):
        with pytest.raises(DarkroomError, match=words):
            ingest(tmp_path, source)


def test_hf_damage_on_the_way_is_found(hub: Any, tmp_path: Path) -> None:
    real = hub.find

    def spoilt(path: str, query: dict[str, str], headers: Any) -> tuple[int, Any, bytes]:
        status, more, body = real(path, query, headers)
        return status, more, bytes(reversed(body)) if path.startswith("/cdn/data/cat") else body

    hub.find = spoilt
    with pytest.raises(DarkroomError, match=r"data/cat/1.png: its sha256 is .* but the store says"):
        ingest(tmp_path, "hf://datasets/me/photos")
    assert not (tmp_path / "data/images").exists()


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("hf://datasets/a/b", ("a/b", None, None)),
        ("hf://datasets/a/b.c@v1/x/y.zip", ("a/b.c", "v1", "x/y.zip")),
        ("hf://a/b@refs/convert/parquet/d", ("a/b", "refs/convert/parquet", "d")),
        ("hf://a/b@refs/pr/7", ("a/b", "refs/pr/7", None)),
    ],
)
def test_hf_addresses(address: str, expected: tuple[str | None, ...]) -> None:
    found = hf.ADDRESS.fullmatch(address)
    assert found
    assert found.group("repo", "revision", "path") == expected


class Cloud:
    """Answers as the JSON API of Google Cloud Storage does: list, look up, download a range."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def __call__(self, path: str, query: dict[str, str], headers: Any) -> tuple[int, Any, bytes]:
        kind = {"Content-Type": "application/json"}
        if path == "/storage/v1/b/photos/o":
            items = [
                self._describe(name)
                for name in sorted(self.files)
                if name.startswith(query.get("prefix", ""))
            ]
            return 200, kind, json.dumps({"kind": "storage#objects", "items": items}).encode()
        name = path.partition("/b/photos/o/")[2]
        if name not in self.files:
            return 404, kind, b'{"error": {"code": 404, "message": "Not Found"}}'
        if query.get("alt") != "media":
            return 200, kind, json.dumps(self._describe(name)).encode()
        content = self.files[name]
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", headers.get("Range") or "bytes=0-")
        assert asked
        first, last = int(asked[1]), min(int(asked[2] or len(content)), len(content) - 1)
        told = {"Content-Range": f"bytes {first}-{last}/{len(content)}"}
        return 206, told, content[first : last + 1]

    def _describe(self, name: str) -> dict[str, str]:
        content = self.files[name]
        return {
            "kind": "storage#object",
            "name": name,
            "bucket": "photos",
            "generation": "1700000000000001",
            "size": str(len(content)),
            "md5Hash": base64.b64encode(hashlib.md5(content).digest()).decode(),
        }


@pytest.fixture
def gs(monkeypatch: pytest.MonkeyPatch, archive: bytes) -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Stand)
    files = {f"mine/{name}": content for name, content in FILES.items()}
    server.seen, server.find = [], Cloud(files | {"mine.zip": archive})
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    with serving(server):
        yield server


def test_gs_folder_and_archive(gs: Any, tmp_path: Path, archive: bytes) -> None:
    assert ingest(tmp_path, "gs://photos/mine") == BROUGHT
    digest = hashlib.sha256(archive).hexdigest()
    assert list(ingest(tmp_path, "gs://photos/mine.zip", digest)) == ["cat/1.png"]
    for source, words in (
        ("gs://photos/nothing", "no image in gs://photos/nothing"),
        ("gs://nobody/mine", "gs://nobody/mine cannot be read .*GOOGLE_APPLICATION_CREDENTIALS"),
    ):
        with pytest.raises(DarkroomError, match=words):
            ingest(tmp_path, source)


def test_gs_object_is_resumed(gs: Any, tmp_path: Path, archive: bytes) -> None:
    from components.common.images.stores.gs import list_files as list_gs

    remote = list_gs("gs://photos/mine.zip", "x").files[0]
    target = tmp_path / "part"
    for here in (0, 10, len(archive)):
        target.write_bytes(archive[:here])
        transfer.fetch_file(remote, target, mark="1700000000000001")
        assert target.read_bytes() == archive
    target.write_bytes(b"of an older generation")
    transfer.fetch_file(remote, target, mark="1")
    assert target.read_bytes() == archive
