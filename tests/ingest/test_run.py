"""The stage: local and downloaded archives, digests, and what is left behind when it fails."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from components.common.errors import DarkroomError
from components.common.images.stores import transfer
from components.ingest import download
from components.ingest.run import run
from components.ingest.spec import Inputs, Outputs, Params
from tests.ingest.archives import encode_png, list_files, make_tar


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "PAUSES", (0.01, 0.02))


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return make_tar(
        tmp_path / "photos.tar", {"p/cat/1.png": encode_png(), "p/dog/1.png": encode_png(9)}
    )


@pytest.fixture
def digest(archive: Path) -> str:
    return hashlib.sha256(archive.read_bytes()).hexdigest()


def ingest(place: Path, source: str, sha256: str = "", reads: str = "images") -> Path:
    images = place / "data" / "images"
    run(Inputs(place / "data" / reads), Outputs(images), Params(source, sha256))
    return images


def test_local_archive(
    tmp_path: Path, archive: Path, digest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    images = ingest(tmp_path, str(archive), digest.upper())
    assert list_files(tmp_path / "data") == [
        "images/cat/1.png",
        "images/dog/1.png",
    ]
    assert list_files(images) == ["cat/1.png", "dog/1.png"]
    assert f"2 images from {archive}" in capsys.readouterr().out
    assert archive.exists()


def test_digits_are_the_default(tmp_path: Path) -> None:
    assert len(list_files(ingest(tmp_path, Params().source))) == 1797


def test_another_source_leaves_the_folder_without_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = ingest(tmp_path, "digits", reads="mine")
    assert images.is_dir()
    assert list_files(images) == ["README.txt"]
    assert "data.source" in (images / "README.txt").read_text()
    assert "nothing to bring in: the pipeline reads" in capsys.readouterr().out


def test_missing_and_wrong_digest_tell_what_to_set(
    tmp_path: Path, archive: Path, digest: str
) -> None:
    with pytest.raises(DarkroomError, match=f"ingest.sha256 is empty: .* set it to {digest}"):
        ingest(tmp_path, str(archive))
    with pytest.raises(DarkroomError, match=rf"its sha256 is {digest}, but ingest.sha256 is abc"):
        ingest(tmp_path, str(archive), "abc")
    assert list_files(tmp_path / "data") == []


def test_no_such_file_says_what_is_legal(tmp_path: Path) -> None:
    for source in (str(tmp_path), "nowhere.tar", "ftp://host/photos.tar"):
        with pytest.raises(DarkroomError, match=r"no file .*digits, the path of a tar or zip"):
            ingest(tmp_path, source, "abc")


def test_failure_keeps_the_images_that_were_there(tmp_path: Path, archive: Path) -> None:
    before = list_files(ingest(tmp_path, "digits"))
    with pytest.raises(DarkroomError):
        ingest(tmp_path, str(archive), "0" * 64)
    assert list_files(tmp_path / "data/images") == before


class Answer(BaseHTTPRequestHandler):
    """Serve a file whole, cut short, without its length, or after a redirect."""

    content = b""

    def do_GET(self) -> None:
        if self.path.startswith("/missing"):
            self.send_error(404)
            return
        if self.path.startswith("/moved"):
            self.send_response(302)
            self.send_header("Location", "/whole")
            self.end_headers()
            return
        if self.path.startswith("/local"):
            self.send_response(302)
            self.send_header("Location", "file:///etc/passwd")
            self.end_headers()
            return
        if self.path.startswith("/silent"):
            self.server.released.wait(10)  # type: ignore[attr-defined]
            return
        self.send_response(200)
        if not self.path.startswith("/unsized"):
            self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        cut = self.path.startswith("/cut")
        self.wfile.write(self.content[: len(self.content) // 2 if cut else None])

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server(archive: Path) -> Iterator[str]:
    Answer.content = archive.read_bytes()
    found = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    found.released = threading.Event()  # type: ignore[attr-defined]
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{found.server_port}"
    found.released.set()  # type: ignore[attr-defined]
    found.shutdown()
    found.server_close()


@pytest.mark.parametrize("path", ["/whole/photos.tar?download=1", "/unsized", "/moved"])
def test_download(
    path: str, server: str, tmp_path: Path, digest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ingest(tmp_path, server + path, digest)
    assert list_files(tmp_path / "data") == [
        "images/cat/1.png",
        "images/dog/1.png",
    ]
    assert "2 images from http" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/missing", "the server answered 404 Not Found"),
        (
            "/cut",
            r"download failed \(the connection broke after [\d,]+ of [\d,]+ bytes\)",
        ),
        ("/silent", r"download failed \(.*timed out\)"),
        ("/local", "is not allowed"),
        ("/whole", "its sha256 is"),
    ],
)
def test_failed_download_leaves_nothing(
    path: str, words: str, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "TIMEOUT_SECONDS", 0.5)
    with pytest.raises(DarkroomError, match=words):
        ingest(tmp_path, server + path, "0" * 64)
    assert list((tmp_path / "data").iterdir()) == []


def test_server_that_is_not_there(tmp_path: Path) -> None:
    with socket.socket() as taken:  # bound but not listening: refused at once
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/photos.tar"
        with pytest.raises(DarkroomError, match=r"download failed \(.*refused"):
            ingest(tmp_path, address, "0" * 64)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://", "download failed"),
        ("http://host:port/x", "is no address .*Port.*; look for a slip in it"),
        ("http://[bad/x", "is no address .*; look for a slip in it"),
        ("http://a b/", "download failed"),
    ],
)
def test_address_that_is_none(address: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(DarkroomError, match=words):
        ingest(tmp_path, address, "0" * 64)


def test_address_needs_a_digest(tmp_path: Path) -> None:
    with pytest.raises(
        DarkroomError, match=r"ingest.sha256 is empty.*https://host/photos.tar gives"
    ):
        ingest(tmp_path, "https://host/photos.tar?download=1")


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("https://me:geheim@host/photos.tar", "https://host/photos.tar holds a user or password"),
        ("https://geheim@host/photos.tar", "holds a user or password"),
        ("https://host/photos.tar?token=geheim", "holds a secret in its parameter `token`"),
        ("https://host/a.zip?a=1&X-Amz-Signature=geheim", "parameter `X-Amz-Signature`"),
        ("https://host/a.zip?sv=1&sig=geheim", "parameter `sig`"),
        ("https://host/a.zip?key=geheimgeheim", "parameter `key`"),
        ("HTTPS://me:geheim@[host/photos.tar", "holds a user or password"),
        ("s3://KEY:geheim@bucket/photos", "s3://bucket/photos holds a user or password"),
        ("gs://geheim@bucket/photos", "holds a user or password"),
        ("hf://me:geheim@datasets/a/b", "hf://datasets/a/b holds a user or password"),
    ],
)
def test_secret_in_an_address_is_refused_before_anything_is_written(
    address: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(DarkroomError, match=words) as caught:
        ingest(tmp_path, address, "0" * 64)
    assert "geheim" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "address", ["https://host/get?key=photos.zip", "hf://datasets/a/b@main/x.zip", "s3://b/k?x=@"]
)
def test_address_without_a_secret_is_taken(address: str) -> None:
    assert Params(address).source == address
