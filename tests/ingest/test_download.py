"""Downloads over http: cut, stalled, refused, changed under way; resumed in a run and later."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.common.errors import DarkroomError
from components.common.images.stores import transfer
from components.ingest import download
from components.ingest.run import run
from components.ingest.spec import Inputs, Outputs, Params
from tests.ingest.archives import encode_png, list_files, make_tar
from tests.ingest.servers import Unsteady, serving


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "PAUSES", (0.01, 0.02))
    monkeypatch.setattr(download, "TIMEOUT_SECONDS", 0.5)


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    noise = os.urandom(100_000)
    file = make_tar(tmp_path / "a", {"cat/1.png": encode_png(), "cat/2.png": noise})
    data = file.read_bytes()
    file.unlink()
    return data


@pytest.fixture
def start() -> Iterator[object]:
    stack = []

    def start_one(content: bytes, *script: str, tag: str = "strong") -> Unsteady:
        server = Unsteady(content, list(script), tag)
        context = serving(server)
        context.__enter__()
        stack.append(context)
        return server

    yield start_one
    for context in stack:
        context.__exit__(None, None, None)


def ingest(place: Path, address: str, content: bytes) -> list[str]:
    images = place / "data" / "images"
    sha256 = hashlib.sha256(content).hexdigest()
    run(Inputs(images), Outputs(images), Params(address, sha256))
    return list_files(place / "data")


@pytest.mark.parametrize(
    "script",
    [
        ["cut", "whole"],
        ["cut", "cut", "cut", "cut", "cut", "cut", "whole"],  # each brings something
        ["stall", "whole"],
        ["500", "503", "whole"],
        ["cut", "500", "429", "whole"],
        ["moved", "cut", "moved", "whole"],
        ["cut", "unranged"],
        ["cut", "wrong", "whole"],
    ],
)
def test_it_arrives_in_the_end(
    script: list[str],
    content: bytes,
    start: object,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server = start(content, *script)  # type: ignore[operator]
    found = ingest(tmp_path, f"{server.address}/photos.tar", content)
    assert [name.rpartition("/")[2] for name in found] == ["1.png", "2.png"]
    out = capsys.readouterr().out
    assert "again in" in out or "moved" in script
    assert "geheim" not in out


def test_only_what_is_missing_is_asked_for(content: bytes, start: object, tmp_path: Path) -> None:
    server = start(content, "cut", "whole")  # type: ignore[operator]
    ingest(tmp_path, server.address, content)
    assert server.asked == ["", f"bytes={len(content) // 3}-"]


@pytest.mark.parametrize("tag", ["weak", "none"])
def test_without_a_version_it_begins_anew(
    tag: str, content: bytes, start: object, tmp_path: Path
) -> None:
    server = start(content, "cut", "whole", tag=tag)  # type: ignore[operator]
    ingest(tmp_path, server.address, content)
    assert server.asked == ["", ""]


def test_a_file_that_changes_under_way_is_fetched_anew(
    content: bytes, start: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = start(bytes(reversed(content)), "cut", "change")  # type: ignore[operator]
    ingest(tmp_path, server.address, content)
    assert "changed under way; from the beginning" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (["500"], r"download failed \(the server answered 500 .*\) after 3 tries; check the addr"),
        (["stall"], r"download failed \(.*timed out\) after"),
        (["404"], "the server answered 404 Not Found; check the address"),
        (["401"], "401 Unauthorized; if it wants a login, put that into ~/.netrc"),
        (["cut", "404"], "the server answered 404"),
    ],
)
def test_after_the_last_try_it_says_so(
    script: list[str], words: str, content: bytes, start: object, tmp_path: Path
) -> None:
    server = start(content, *script)  # type: ignore[operator]
    with pytest.raises(DarkroomError, match=words):
        ingest(tmp_path, f"{server.address}/photos.tar", content)
    assert not (tmp_path / "data" / "images").exists()


def test_the_next_run_goes_on_where_the_last_ended(
    content: bytes, start: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = start(content, "cut", "500")  # type: ignore[operator]
    with pytest.raises(DarkroomError, match="MB are here and will not be fetched again"):
        ingest(tmp_path, server.address, content)
    kept = list_files(tmp_path / "data")
    assert len(kept) == 2
    assert all(".partial" in name for name in kept)
    server.script, server.asked = ["whole"], []
    found = ingest(tmp_path, server.address, content)
    assert server.asked == [f"bytes={len(content) // 3}-"]
    assert not [name for name in found if ".partial" in name]
    assert "MB are here from an earlier run" in capsys.readouterr().out


def test_all_bytes_were_here_when_it_was_killed(
    content: bytes, start: object, tmp_path: Path
) -> None:
    server = start(content, "cut", "500")  # type: ignore[operator]
    with pytest.raises(DarkroomError):
        ingest(tmp_path, server.address, content)
    part = next((tmp_path / "data").glob("*.partial"))
    part.write_bytes(content)
    server.script = ["whole"]
    assert len(ingest(tmp_path, server.address, content)) == 2  # by a 416


def test_kept_bytes_of_another_version_are_not_used(
    content: bytes, start: object, tmp_path: Path
) -> None:
    server = start(bytes(reversed(content)), "cut", "500")  # type: ignore[operator]
    with pytest.raises(DarkroomError):
        ingest(tmp_path, server.address, content)
    server.script = ["change"]
    assert len(ingest(tmp_path, server.address, content)) == 2


def test_wrong_digest_leaves_nothing(content: bytes, start: object, tmp_path: Path) -> None:
    server = start(content, "cut", "whole")  # type: ignore[operator]
    with pytest.raises(DarkroomError, match="another archive than was meant"):
        ingest(tmp_path, server.address, b"other")
    assert list_files(tmp_path / "data") == []


def test_a_web_page_is_called_so(start: object, tmp_path: Path) -> None:
    server = start(b"<!DOCTYPE html><html>log in</html>", "whole")  # type: ignore[operator]
    with pytest.raises(DarkroomError, match="answered with a web page, not with a file"):
        ingest(tmp_path, f"{server.address}/photos.zip", b"other")
    assert list_files(tmp_path / "data") == []


def test_a_login_is_taken_from_netrc_and_not_told_to_others(
    content: bytes, start: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password geheim\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server = start(content, "moved", "whole")  # type: ignore[operator]
    ingest(tmp_path, server.address, content)
    assert server.logins == ["Basic bWU6Z2VoZWlt"] * 2
    other = start(content, "whole")  # type: ignore[operator]
    server.script, server.elsewhere = ["moved"], other.address.replace("127.0.0.1", "localhost")
    ingest(tmp_path, server.address, content)
    assert other.logins == [""]


def test_umlauts_in_an_address(content: bytes, start: object, tmp_path: Path) -> None:
    server = start(content, "whole")  # type: ignore[operator]
    assert len(ingest(tmp_path, f"{server.address}/Fotos größer 2024.tar?x=ä", content)) == 2


def test_a_file_address_is_a_path(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "my photos.tar").write_bytes(content)
    assert len(ingest(tmp_path, (tmp_path / "my photos.tar").as_uri(), content)) == 2
