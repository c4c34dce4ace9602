"""Archives of 7z and tar.zst: what comes out, damage, tricks, and their libraries missing."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from components.common.errors import DarkroomError
from components.ingest.archives import unpacking as under_test
from components.ingest.archives.unpacking import unpack
from tests.ingest.archives import UMLAUTS, encode_png, list_files, make_tar, need, write_files

PNG = encode_png()


def make_7z(file: Path, contents: dict[str, bytes], password: str | None = None) -> Path:
    py7zr = pytest.importorskip("py7zr", reason="needs the extra `archives`")
    with py7zr.SevenZipFile(file, "w", password=password) as archive:
        for name, content in contents.items():
            archive.writestr(content, name)
    return file


def make_tar_zst(file: Path, contents: dict[str, bytes]) -> Path:
    pytest.importorskip("backports.zstd", reason="needs the extra `archives`")
    need("zstd")
    tar = make_tar(file.with_name("plain.tar"), contents)
    subprocess.run(["zstd", "-q", "--rm", tar, "-o", file], check=True)
    return file


@pytest.mark.parametrize("make", [make_7z, make_tar_zst])
def test_7z_and_zst_give_their_files_back(make: object, tmp_path: Path, folder: Path) -> None:
    contents = {f"p/{UMLAUTS[0]}": encode_png(1), "p/cat/2.png": encode_png(2), "p/cat/0.txt": b""}
    unpack(make(tmp_path / "a.zip", contents), folder, "photos")  # type: ignore[operator]
    found = {f"p/{name}": (folder / name).read_bytes() for name in list_files(folder)}
    assert found == contents


@pytest.mark.parametrize("make", [make_7z, make_tar_zst])
@pytest.mark.parametrize("position", [40, 1000, None])
def test_damaged_7z_and_zst_are_one_line(
    make: object, position: int | None, tmp_path: Path, folder: Path
) -> None:
    noise = Path(tarfile.__file__).read_bytes()[:50_000]
    file = make(tmp_path / "a", {"cat/1.png": noise})  # type: ignore[operator]
    data = bytearray(file.read_bytes())
    if position is None:
        data = data[: len(data) // 2]
    else:
        data[position] ^= 0xFF
    file.write_bytes(data)
    with pytest.raises(DarkroomError, match=r"photos: (damaged archive|no images|compressed)"):
        unpack(file, folder, "photos")


@pytest.mark.parametrize("name", ["../evil.png", "/evil.png", "cat/../../evil.png", "C:\\evil.png"])
def test_7z_cannot_leave_the_folder(name: str, tmp_path: Path, folder: Path) -> None:
    stand_in = "x" * len(name)
    file = make_7z(tmp_path / "a", {"cat/1.png": PNG, stand_in: PNG})
    py7zr = pytest.importorskip("py7zr", reason="needs the extra `archives`")
    rename = {stand_in: name}
    real = py7zr.SevenZipFile.list

    class Info:
        def __init__(self, info: object) -> None:
            self.__dict__ = dict(vars(info))
            self.filename = rename.get(self.filename, self.filename)

    with pytest.MonkeyPatch.context() as patch:  # py7zr writes no such archive
        patch.setattr(py7zr.SevenZipFile, "list", lambda self: [Info(i) for i in real(self)])
        with pytest.raises(DarkroomError, match=r"refused.*evil.*leads out of the folder"):
            unpack(file, folder, "photos")
    assert list_files(tmp_path) == ["a"]


def test_7z_with_link_password_or_bomb_is_refused(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    py7zr = pytest.importorskip("py7zr", reason="needs the extra `archives`")
    place = write_files(tmp_path / "in", ["cat/1.png"])
    (place / "cat/2.png").symlink_to("1.png")
    with py7zr.SevenZipFile(tmp_path / "a", "w") as archive:
        archive.writeall(place, "p")
    with pytest.raises(DarkroomError, match=r"'p/cat/2\.png' is a link"):
        unpack(tmp_path / "a", folder, "photos")
    with pytest.raises(DarkroomError, match="locked with a password"):
        unpack(make_7z(tmp_path / "b", {"cat/1.png": PNG}, "secret"), folder, "photos")
    monkeypatch.setattr(under_test, "ALWAYS_ALLOWED_BYTES", 10_000)
    with pytest.raises(DarkroomError, match="would unpack to more than"):
        unpack(make_7z(tmp_path / "c", {"cat/0.png": bytes(1_000_000)}), folder, "photos")
    assert list_files(folder) == []


@pytest.mark.parametrize(
    ("head", "module", "words"),
    [
        (b"7z\xbc\xaf\x27\x1c", "py7zr", r"a 7z archive, read by py7zr: .*'py7zr>="),
        (b"\x28\xb5\x2f\xfd", "backports", r"packed with Zstandard .* 'backports\.zstd>="),
    ],
)
def test_without_its_library_the_kind_is_named(
    head: bytes,
    module: str,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / "a").write_bytes(head + bytes(100))
    with pytest.raises(DarkroomError, match=rf"photos: {words}"):
        unpack(tmp_path / "a", tmp_path, "photos")
