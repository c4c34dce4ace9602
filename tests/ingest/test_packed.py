"""Archives as people's programs make them: names, wrapping, formats, and what is said of them."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import zipfile
import zlib
from pathlib import Path

import pytest

from components.common.errors import DarkroomError
from components.ingest.archives import unpacking as under_test
from components.ingest.archives.unpacking import unpack
from components.ingest.contents import count_images
from tests.ingest.archives import (
    UMLAUTS,
    encode_png,
    list_files,
    make_zip,
    need,
    write_files,
)

PNG = encode_png()
ENGLISH = {"LC_ALL": "C.UTF-8"}


def call(*words: str | Path, place: Path, env: dict[str, str] = ENGLISH) -> None:
    need(str(words[0]))
    subprocess.run(words, cwd=place, env=os.environ | env, check=True, capture_output=True)


@pytest.mark.parametrize("name", [*UMLAUTS, "猫/ねこ.png", "кот/ё.png", "🐈/🐈.png"])
@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
@pytest.mark.parametrize("program", ["zip", "tar"])
def test_names_are_those_that_the_program_packed(
    name: str, locale: str, program: str, tmp_path: Path, folder: Path
) -> None:
    place = write_files(tmp_path / "in", [f"photos/{name}", "photos/dog/1.png"])
    words = ["zip", "-qr", "../a", "photos"] if program == "zip" else ["tar", "cf", "../a", "."]
    call(*words, place=place, env={"LC_ALL": locale})
    (tmp_path / "a.zip").exists() and (tmp_path / "a.zip").rename(tmp_path / "a")
    unpack(tmp_path / "a", folder, "photos")
    assert list_files(folder) == sorted([name, "dog/1.png"])


def write_raw_zip(file: Path, raw: bytes, system: int, extra: bytes = b"") -> Path:
    """Write a zip whose first name is the given bytes, without the flag of UTF-8."""
    stand_in = "cat/" + "x" * (len(raw) - 4)
    with zipfile.ZipFile(file, "w") as archive:
        info = zipfile.ZipInfo(stand_in)
        info.create_system, info.extra = system, extra
        archive.writestr(info, PNG)
        archive.writestr("dog/1.png", PNG)
    file.write_bytes(file.read_bytes().replace(stand_in.encode(), raw))
    return file


@pytest.mark.parametrize(
    ("encoding", "system"), [("utf-8", 3), ("utf-8", 0), ("cp437", 0), ("cp1252", 3)]
)
def test_names_without_the_flag_of_utf8(
    encoding: str,
    system: int,
    tmp_path: Path,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = "Äpfel/süß.png"
    unpack(write_raw_zip(tmp_path / "a", name.encode(encoding), system), folder, "photos")
    assert list_files(folder) == ["dog/1.png", name]
    out = capsys.readouterr().out
    said = f"1 name in photos not in UTF-8, read as {encoding}"
    assert (said in out) == (encoding != "utf-8")


NAMES = {
    "cp932": ["写真/猫/ねこ", "写真/犬/表示", "写真/ソース/能"],
    "gb18030": ["照片/猫咪/一", "照片/小狗/二", "照片/自行车/三"],
    "big5": ["照片/貓咪/一", "照片/小狗/二", "照片/腳踏車/三"],
    "euc_kr": ["사진/고양이/하나", "사진/강아지/둘", "사진/자전거/셋"],
    "cp866": ["фото/кошки/один", "фото/собаки/два"],
    "cp1251": ["фото/кошки/один", "фото/собаки/два"],
    "cp437": ["Fotos/Käfer/größe", "Fotos/Bär/à la carte", "Fotos/Ñandú/ß"],
    "cp1252": ["Fotos/Käfer/größe", "Fotos/Bär/à la carte", "Fotos/Ñandú/ß"],
}


@pytest.mark.parametrize("encoding", NAMES)
def test_encoding_of_names_is_told_by_their_letters(
    encoding: str, tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As programs of Windows pack them, without a word on the encoding."""
    names = [f"{name}.png" for name in NAMES[encoding]]
    stand_ins = [f"{i}{'x' * (len(name.encode(encoding)) - 1)}" for i, name in enumerate(names)]
    data = make_zip(tmp_path / "a", dict.fromkeys(stand_ins, PNG)).read_bytes()
    data = data.replace(b"\x14\x03", b"\x14\x00") if encoding != "cp1252" else data
    for stand_in, name in zip(stand_ins, names, strict=True):
        data = data.replace(stand_in.encode(), name.encode(encoding))
    (tmp_path / "a").write_bytes(data)
    unpack(tmp_path / "a", folder, "photos")
    assert list_files(folder) == sorted(name.split("/", 1)[1] for name in names)
    assert f"not in UTF-8, read as {encoding}" in capsys.readouterr().out


def test_name_in_the_extra_field_of_info_zip(tmp_path: Path, folder: Path) -> None:
    raw, name = b"cat/?????.png", "cat/größe.png"
    raw = raw.replace(b"?", b"\x81")
    field = struct.pack("<BL", 1, zlib.crc32(raw)) + name.encode()
    extra = struct.pack("<HH", 0x7075, len(field)) + field
    unpack(write_raw_zip(tmp_path / "a", raw, 0, extra), folder, "photos")
    assert list_files(folder) == [name, "dog/1.png"]


@pytest.mark.parametrize(
    ("names", "expected", "wrapping"),
    [
        # One stray file beside the top folder.
        (["README.md", "p/cat/1.png"], ["README.md", "cat/1.png"], "p"),
        (["LICENSE", "p/cat/1.png", "p/LICENSE"], ["LICENSE", "cat/1.png"], "p"),
        (
            ["__MACOSX/._p", ".DS_Store", "Thumbs.db", "p/cat/1.png"],
            ["Thumbs.db", "cat/1.png"],
            "p",
        ),
        # Nested twice and more.
        (["p/p/cat/1.png", "p/p/dog/1.png"], ["cat/1.png", "dog/1.png"], "p/p"),
        (["p/README", "p/data/images/cat/1.png"], ["README", "cat/1.png"], "p/data/images"),
        (["p/q/train/cat/1.png"], ["train/cat/1.png"], "p/q"),
        (["p/q/seg_train/cat/1.png"], ["seg_train/cat/1.png"], "p/q"),
        (
            ["p/q/train/cat/1.png", "p/q/test/cat/1.png"],
            ["test/cat/1.png", "train/cat/1.png"],
            "p/q",
        ),
        # What is no wrapping stays.
        (["cat/1.png", "cat/2.png"], ["cat/1.png", "cat/2.png"], ""),
        (["cat/1.png", "README.md"], ["README.md", "cat/1.png"], ""),
        (["labels.csv", "p/cat/1.png"], ["labels.csv", "p/cat/1.png"], ""),  # names p/cat/1.png
        (["p/labels.csv", "p/img/1.png"], ["img/1.png", "labels.csv"], "p"),
        (["p/images/1.png", "p/annotations/1.xml"], ["annotations/1.xml", "images/1.png"], "p"),
        (["cat/1.png", "cat/1.csv"], ["cat/1.csv", "cat/1.png"], ""),  # beside its photo
        (["p/train.csv", "p/train/1.png"], ["train.csv", "train/1.png"], "p"),
        # Other names of images.
        (["p/cat/1.jfif", "p/dog/2.JFIF"], ["cat/1.jfif", "dog/2.JFIF"], "p"),
        (["p.v1.2/cat/a.b.final.JPG"], ["cat/a.b.final.JPG"], "p.v1.2"),
        (["p/cat/0001", "p/dog/0002"], ["cat/0001", "dog/0002"], "p"),
        (["p/cat/1.dat", "README.md"], ["README.md", "cat/1.dat"], "p"),
    ],
)
def test_what_wraps_is_left_away_and_said(
    names: list[str],
    expected: list[str],
    wrapping: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    unpack(make_zip(tmp_path / "a", dict.fromkeys(names, PNG)), folder, "photos")
    assert list_files(folder) == expected
    assert count_images(folder) >= 1
    out = capsys.readouterr().out
    assert (f"the folder {wrapping}/, which wraps" in out) if wrapping else ("wraps" not in out)


def test_a_name_inside_goes_before_one_beside_the_wrapping(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    contents = {"README": b"outer", "p/README": b"inner", "p/cat/1.png": PNG}
    unpack(make_zip(tmp_path / "a", contents), folder, "photos")
    assert (folder / "README").read_bytes() == b"inner"
    assert "left out, as p/ holds files of their names: README" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_of_a_name_twice_the_last_is_taken_and_said(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = write_files(tmp_path / "in", ["cat/1.png", "dog/1.png"])
    call("tar", "cf", "../a", "cat", "dog", place=place)
    (place / "cat/1.png").write_bytes(PNG)
    call("tar", "rf", "../a", "cat", place=place)  # as an update does
    unpack(tmp_path / "a", folder, "photos")
    assert (folder / "cat/1.png").read_bytes() == PNG
    assert "more than once in photos, the last is taken: cat/1.png" in capsys.readouterr().out


def test_a_file_that_is_a_folder_too_is_refused(tmp_path: Path, folder: Path) -> None:
    found = make_zip(tmp_path / "a", {"p/cat": PNG, "p/cat/1.png": PNG, "p/dog/1.png": PNG})
    with pytest.raises(DarkroomError, match="'p/cat' is a file and a folder at once"):
        unpack(found, folder, "photos")
    assert list_files(folder) == []


def test_an_archive_inside_an_archive_is_said_so(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inner = make_zip(tmp_path / "inner", {"cat/1.png": PNG}).read_bytes()
    only = make_zip(tmp_path / "a", {"p/train.zip": inner, "p/test.tar.gz": inner})
    with pytest.raises(
        DarkroomError, match=r"photos: no images in it, but 2 archives: p/test.tar.gz, p/train.zip;"
    ):
        unpack(only, folder, "photos")
    beside = make_zip(tmp_path / "b", {"cat/1.png": PNG, "dog/1.png": PNG, "more.7z": inner})
    (tmp_path / "other").mkdir()
    unpack(beside, tmp_path / "other", "photos")
    assert "not unpacked, though in photos: more.7z" in capsys.readouterr().out
    assert list_files(tmp_path / "other") == ["cat/1.png", "dog/1.png", "more.7z"]


@pytest.mark.parametrize("mode", ["", "z", "J"])
def test_two_tars_put_together_are_refused(mode: str, tmp_path: Path, folder: Path) -> None:
    place = write_files(tmp_path / "in", ["cat/1.png", "dog/1.png"])
    for name in ("cat", "dog"):
        call("tar", f"-c{mode}f", f"../{name}.tar", name, place=place)
        unpack(tmp_path / f"{name}.tar", folder, "photos")  # each alone is good
    both = tmp_path / "both.tar"
    both.write_bytes(b"".join((tmp_path / f"{name}.tar").read_bytes() for name in ("cat", "dog")))
    with pytest.raises(DarkroomError, match="another tar begins behind its end"):
        unpack(both, folder, "photos")


@pytest.mark.parametrize("program", ["zip", "tar"])
def test_empty_folders_are_said(
    program: str, tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = write_files(tmp_path / "in", ["photos/cat/1.png", "photos/fish/a/2.png"])
    for name in ("dog", "bird/old", ".git/refs", "__MACOSX"):
        (place / "photos" / name).mkdir(parents=True)
    words = ["zip", "-qr", "../a.zip", "."] if program == "zip" else ["tar", "cf", "../a.tar", "."]
    call(*words, place=place)
    unpack(tmp_path / f"a.{program}", folder, "mine")
    assert list_files(folder) == ["cat/1.png", "fish/a/2.png"]
    assert "empty, so left out: photos/bird/old, photos/dog; a class" in capsys.readouterr().out


def test_hidden_images_are_left_out_and_said(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["a/.cat/1.png", "a/dog/.2.png", "a/dog/3.png", "a/dog/._3.png", "__MACOSX/.4.png"]
    unpack(make_zip(tmp_path / "a", dict.fromkeys(names, PNG)), folder, "photos")
    assert list_files(folder) == ["dog/3.png"]
    said = capsys.readouterr().out
    assert (
        "left out, as names that begin with a dot are hidden: a/.cat/1.png, a/dog/.2.png;" in said
    )


def test_what_else_it_holds_is_counted(tmp_path: Path, folder: Path) -> None:
    found = make_zip(tmp_path / "a", {"cat/1.psd": b"8BPS", "cat/2.psd": b"8BPS", "x.txt": b"x"})
    with pytest.raises(DarkroomError, match=r"no images in it \(2 .psd, 1 .txt\)"):
        unpack(found, folder, "photos")


@pytest.mark.parametrize(
    ("target", "works"), [("../dog/1.png", True), ("../dog/3.png", True), ("/etc/passwd", False)]
)
def test_links_in_a_zip_are_as_in_a_tar(
    target: str, works: bool, tmp_path: Path, folder: Path
) -> None:
    place = write_files(tmp_path / "in", ["cat/1.png", "dog/1.png"])
    (place / "cat/2.png").symlink_to(target)
    (place / "dog/3.png").symlink_to("1.png")
    call("zip", "-qry", "../a.zip", ".", place=place)
    if not works:
        with pytest.raises(DarkroomError, match="is a link out of the folder, to '/etc/passwd'"):
            unpack(tmp_path / "a.zip", folder, "photos")
        assert list_files(folder) == []
        return
    unpack(tmp_path / "a.zip", folder, "photos")
    assert (folder / "cat/2.png").read_bytes() == (place / "dog/1.png").read_bytes()
    assert not (folder / "cat/2.png").is_symlink()


def test_zip_with_a_password_and_a_cut_zip(tmp_path: Path, folder: Path) -> None:
    place = write_files(tmp_path / "in", ["cat/1.png", "dog/1.png"])
    call("zip", "-qr", "-P", "secret", "../a.zip", ".", place=place)
    with pytest.raises(DarkroomError, match="photos: locked with a password; unpack it by hand"):
        unpack(tmp_path / "a.zip", folder, "photos")
    (place / "cat/noise.png").write_bytes(os.urandom(200_000))
    call("zip", "-qr", "-s", "64k", "../cut.zip", ".", place=place)
    for name in ("cut.zip", "cut.z01"):
        with pytest.raises(DarkroomError, match=r"join|parts"):
            unpack(tmp_path / name, folder, name)


def test_method_that_python_lacks_is_named(tmp_path: Path, folder: Path) -> None:
    data = bytearray(make_zip(tmp_path / "a", {"cat/1.png": PNG, "dog/1.png": PNG}).read_bytes())
    data[data.index(b"PK\x01\x02") + 10] = 9  # the method, in the central directory
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(DarkroomError, match=r"'cat/1.png' is compressed .*Deflate64, as Windows"):
        unpack(tmp_path / "a", folder, "photos")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "but empty"),
        (b"Rar!\x1a\x07\x01\x00" + bytes(100), "but a RAR archive"),
        (b"\n<!DOCTYPE html><html><body>log in", "but a web page"),
        (b"outs:\n- md5: 0\n", "but a pointer of DVC"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "but a pointer of Git LFS"),
        (b"PAR1" + bytes(100), "but a Parquet table"),
        (encode_png(), "but a PNG image"),
        (b"PK\x03\x04" + bytes(100), "a zip archive whose end is missing"),
        (b"nothing known", "or its beginning or end is missing"),
    ],
)
def test_what_is_no_archive_is_called_by_its_name(
    content: bytes, words: str, tmp_path: Path, folder: Path
) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(DarkroomError, match=f"photos.zip: not a tar or zip archive, .*{words}"):
        unpack(tmp_path / "a", folder, "photos.zip")


def test_gzip_without_a_tar_is_called_so(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/1.png").write_bytes(PNG)
    call("gzip", "1.png", place=tmp_path / "in")
    with pytest.raises(DarkroomError, match="but gzip without a whole tar inside"):
        unpack(tmp_path / "in/1.png.gz", folder, "1.png.gz")


def test_too_little_room_is_said_before_anything_is_written(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr(under_test.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DarkroomError, match=r"cannot be unpacked here \(it needs .* are free"):
        unpack(make_zip(tmp_path / "a", {"cat/1.png": PNG}), folder, "photos")
    assert list_files(folder) == []


def test_link_bytes_of_a_zip_are_bounded(tmp_path: Path, folder: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo("cat/2.png")
        info.create_system, info.external_attr = 3, 0o120777 << 16
        archive.writestr(info, b"a" * 1_000_000)
    (tmp_path / "a").write_bytes(stream.getvalue())
    with pytest.raises(DarkroomError, match="more bytes than any has"):
        unpack(tmp_path / "a", folder, "photos")
