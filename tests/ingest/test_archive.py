"""Archives: what is unpacked where, and what is refused."""

from __future__ import annotations

import contextlib
import gzip
import stat
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.common.errors import DarkroomError
from components.ingest.archives import members as limits
from components.ingest.archives import unpacking as under_test
from components.ingest.archives.unpacking import unpack
from tests.ingest.archives import encode_png, list_files, make_link, make_tar, make_zip

PNG = encode_png()
PLAIN = {"cat/1.png": PNG, "dog/2.png": PNG}
PACK = {
    "tar": make_tar,
    "tar.gz": lambda file, contents: make_tar(file, contents, "w:gz"),
    "tar.bz2": lambda file, contents: make_tar(file, contents, "w:bz2"),
    "tar.xz": lambda file, contents: make_tar(file, contents, "w:xz"),
    "zip": make_zip,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "images"
    place.mkdir()
    return place


@pytest.mark.parametrize("kind", PACK)
def test_every_kind_gives_its_files_back(kind: str, tmp_path: Path, folder: Path) -> None:
    contents = {"cat/1.png": encode_png(1), "dog/sub/2.png": encode_png(2)}
    # The name says nothing: a download has none.
    unpack(PACK[kind](tmp_path / "archive", contents), folder, "photos")
    assert {name: (folder / name).read_bytes() for name in list_files(folder)} == contents


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["photos/cat/1.png", "photos/LICENSE"], ["LICENSE", "cat/1.png"]),
        (["photos/train/cat/1.png"], ["train/cat/1.png"]),
        (["./photos/cat/1.png"], ["cat/1.png"]),
        (["cat/1.png"], ["cat/1.png"]),
        (["cat/1.png", "readme.txt"], ["cat/1.png", "readme.txt"]),
        (["photos/1.png", "photos/cat/2.png"], ["photos/1.png", "photos/cat/2.png"]),
        (["photos/1.png", "photos/metadata.csv"], ["1.png", "metadata.csv"]),
        (["photos\\cat\\1.png"], ["cat/1.png"]),
        (
            ["p/cat/1.png", "__MACOSX/p/cat/._1.png", "p/.DS_Store", ".git/x.png", "p/cat/.2.png"],
            ["cat/1.png"],
        ),
    ],
)
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_single_top_folder_and_hidden_files_are_left_away(
    kind: str, names: list[str], expected: list[str], tmp_path: Path, folder: Path
) -> None:
    unpack(PACK[kind](tmp_path / "a", dict.fromkeys(names, PNG)), folder, "photos")
    assert list_files(folder) == expected


@pytest.mark.parametrize("kind", ["tar", "zip"])
@pytest.mark.parametrize(
    "name", ["../evil.png", "cat/../../evil.png", "/evil.png", "C:\\evil.png", "..\\evil.png"]
)
def test_member_that_leads_out_is_refused_before_anything_is_written(
    kind: str, name: str, tmp_path: Path, folder: Path
) -> None:
    found = PACK[kind](tmp_path / "a", PLAIN | {name: PNG})
    with pytest.raises(DarkroomError, match=r"photos: refused.*evil.*leads out of the folder"):
        unpack(found, folder, "photos")
    assert list_files(tmp_path) == ["a"]


@pytest.mark.parametrize(
    ("link", "words"),
    [
        (make_link("/etc/passwd"), "link out of the folder, to '/etc/passwd'"),
        (make_link("../../secret"), "link out of the folder"),
        (make_link("../secret", tarfile.LNKTYPE), "link out of the folder"),
        (make_link("../dog/9.png"), "no file of the archive"),
        (make_link("2.png"), "no file of the archive"),  # to itself
        (make_link("", tarfile.CHRTYPE), "device"),
        (make_link("", tarfile.FIFOTYPE), "special file"),
    ],
)
def test_link_out_and_device_in_tar_are_refused(
    link: tarfile.TarInfo, words: str, tmp_path: Path, folder: Path
) -> None:
    found = make_tar(tmp_path / "a", PLAIN | {"cat/2.png": link})
    with pytest.raises(DarkroomError, match=rf"refused.*'cat/2.png'.*{words}"):
        unpack(found, folder, "photos")
    assert list_files(folder) == []


def test_names_that_are_too_long_are_shortened(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of 255 letters, as Windows and macOS take them, of three bytes each."""
    one, other = f"cat/{'猫' * 100}1.png", f"cat/{'猫' * 100}2.png"
    long = f"{'dog' * 90}/1.png"
    contents = {"p/" + name: PNG for name in ("cat/1.png", one, other, long)}
    unpack(make_zip(tmp_path / "a", contents), folder, "photos")
    names = list_files(folder)
    assert len(names) == 4
    assert all(len(part.encode()) <= 255 for name in names for part in name.split("/"))
    assert sum(name.startswith(f"cat/{'猫' * 70}") for name in names) == 2
    assert all(name.endswith(".png") for name in names)
    assert "shortened, as their names are longer than 255 bytes" in capsys.readouterr().out


@pytest.mark.parametrize(
    "link",
    [
        make_link("../dog/2.png"),
        make_link("dog/2.png", tarfile.LNKTYPE),
        make_link("../dog/linked.png"),  # by another link
    ],
)
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_link_inside_becomes_a_copy(
    link: tarfile.TarInfo, mode: str, tmp_path: Path, folder: Path
) -> None:
    further = make_link("2.png")
    contents = {"dog/2.png": PNG, "cat/1.png": encode_png(7), "cat/3.png": link}
    contents["dog/linked.png"] = further
    # A link may stand before what it names, as where a member was written anew behind it.
    for number, order in enumerate((list(contents), [*contents][::-1])):
        archive = make_tar(tmp_path / f"{number}", {name: contents[name] for name in order}, mode)
        (folder / f"{number}").mkdir()
        unpack(archive, folder / f"{number}", "photos")
        assert (folder / f"{number}/cat/3.png").read_bytes() == PNG
        assert not (folder / f"{number}/cat/3.png").is_symlink()


@pytest.mark.parametrize(
    ("kind", "words"), [(stat.S_IFLNK, "is a link"), (stat.S_IFIFO, "special")]
)
def test_link_and_pipe_in_zip_are_refused(
    kind: int, words: str, tmp_path: Path, folder: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "a", "w") as found:
        found.writestr("cat/1.png", PNG)
        info = zipfile.ZipInfo("cat/2.png")
        info.create_system, info.external_attr = 3, (kind | 0o777) << 16
        found.writestr(info, "/etc/passwd")
    with pytest.raises(DarkroomError, match=rf"refused.*'cat/2.png' {words}|refused.*{words}"):
        unpack(tmp_path / "a", folder, "photos")
    assert list_files(folder) == []


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
def test_bomb_is_refused(
    kind: str, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "ALWAYS_ALLOWED_BYTES", 10_000)
    found = PACK[kind](tmp_path / "a", PLAIN | {"cat/zeros.png": bytes(1_000_000)})
    assert found.stat().st_size * under_test.MAX_GROWTH < 1_000_000
    with pytest.raises(DarkroomError, match=r"would unpack to more than .* 100 times its size"):
        unpack(found, folder, "photos")
    assert list_files(folder) == []


def test_links_count_in_full(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "ALWAYS_ALLOWED_BYTES", 10_000)
    monkeypatch.setattr(under_test, "MAX_GROWTH", 1)
    links = {f"cat/{i}.png": make_link("one.png") for i in range(20)}
    found = make_tar(tmp_path / "a", {"cat/one.png": bytes(9000), **links})
    assert found.stat().st_size < 20 * 9000
    with pytest.raises(DarkroomError, match="would unpack to more than"):
        unpack(found, folder, "photos")


def test_too_many_files_are_refused(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_FILES", 3)
    four: dict[str, bytes | tarfile.TarInfo] = {f"cat/{i}.png": PNG for i in range(4)}
    for make in (make_zip, make_tar):
        with pytest.raises(DarkroomError, match="would unpack to more than 3 files"):
            unpack(make(tmp_path / "a", four), folder, "photos")
    links = {f"cat/{i}.png": make_link("0.png") for i in range(1, 4)}
    with pytest.raises(DarkroomError, match="would unpack to more than 3 files"):
        unpack(make_tar(tmp_path / "a", {"cat/0.png": PNG, **links}), folder, "photos")


def make_head(kind: bytes, size: int, body: bytes = b"") -> bytes:
    """Return a head of a tar that says of the next member what its body holds."""
    info = tarfile.TarInfo("head")
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT) + body.ljust(-(-len(body) // 512) * 512, b"\0")


@pytest.mark.parametrize("place", ["first", "later"])
@pytest.mark.parametrize("kind", ["long name", "long link", "attributes", "for all", "holes"])
def test_a_tar_whose_heads_are_a_bomb_is_refused(
    kind: str, place: str, tmp_path: Path, folder: Path
) -> None:
    """tarfile reads a head whole: of some kilobytes, as many gigabytes as it says."""
    number = 64 << 20
    one = tarfile.TarInfo("cat/1.png")
    one.size = len(PNG)
    member = one.tobuf() + PNG.ljust(-(-len(PNG) // 512) * 512, b"\0")
    types = {"long name": b"L", "long link": b"K", "attributes": b"x", "for all": b"g"}
    if kind == "holes":  # a map of them, each block of which says that another follows
        sparse = bytearray(make_head(tarfile.GNUTYPE_SPARSE, 512))
        sparse[482] = 1
        sparse[148:156] = b" " * 8
        sparse[148:156] = b"%06o\0 " % sum(sparse)
        head, filling = bytes(sparse), (b"%011o\0" % 8 * 42)[:504] + b"\1" + bytes(7)
    else:
        head, filling = make_head(types[kind], number), bytes(512)
    found = tmp_path / "a"
    with gzip.open(found, "wb", 1) as stream:
        stream.write((member if place == "later" else b"") + head)
        for _ in range(number >> 20):
            stream.write(filling * 2048)
        stream.write(member + bytes(1024))
    tracemalloc.start()
    with pytest.raises(DarkroomError, match=r"of more bytes than any needs|not a tar or zip"):
        unpack(found, folder, "photos")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60 << 20
    assert list_files(folder) == []


@pytest.mark.parametrize(("kind", "is_taken"), [(b"x", True), (b"g", False)])
def test_attributes_of_many_members_do_not_add_up(
    kind: bytes, is_taken: bool, tmp_path: Path, folder: Path
) -> None:
    """Each of its own (x), or each a further one for all that come (g)."""
    found = tmp_path / "a"
    with gzip.open(found, "wb", 1) as stream:
        for number in range(1000):
            record = b" key-%04d=" % number + b"a" * 12_000 + b"\n"
            record = b"%d" % (len(record) + 5) + record
            stream.write(make_head(kind, len(record), record))
            info = tarfile.TarInfo(f"cat/{number % 20}.png")
            info.size = len(PNG)
            stream.write(info.tobuf() + PNG.ljust(-(-len(PNG) // 512) * 512, b"\0"))
        stream.write(bytes(1024))
    tracemalloc.start()
    refused = pytest.raises(DarkroomError, match="of more bytes than any needs")
    with contextlib.nullcontext() if is_taken else refused:
        unpack(found, folder, "photos")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20
    assert len(list_files(folder)) == (20 if is_taken else 0)


def test_the_list_of_a_zip_is_counted_before_it_is_read(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_FILES", 3)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)  # beyond it stands a record of zip64
    monkeypatch.setattr(zipfile.ZipFile, "_RealGetContents", lambda _: pytest.fail("it was read"))
    for comment in (b"", b"a comment"):
        with zipfile.ZipFile(tmp_path / "a", "w") as archive:
            for number in range(4):
                archive.writestr(f"cat/{number}.png", PNG)
            archive.comment = comment
        with pytest.raises(DarkroomError, match="would unpack to more than 3 files"):
            unpack(tmp_path / "a", folder, "photos")


def test_what_is_no_archive_of_images_is_refused(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "text").write_text("no archive")
    (tmp_path / "nothing").touch()
    make_tar(tmp_path / "empty", {})
    make_tar(tmp_path / "texts", {"cat/readme.txt": b"x"})
    make_zip(tmp_path / "hidden", {"__MACOSX/cat/1.png": PNG})
    for name, words in {
        "text": "not a tar or zip archive",
        "nothing": "not a tar or zip archive",
        "empty": "no images in it",
        "texts": "no images in it",
        "hidden": "no images in it",
    }.items():
        with pytest.raises(DarkroomError, match=f"{name}: {words}"):
            unpack(tmp_path / name, folder, name)


@pytest.mark.parametrize("kind", PACK)
def test_truncated_archive_is_refused(kind: str, tmp_path: Path, folder: Path) -> None:
    noise = Path(tarfile.__file__).read_bytes()[:50_000]  # incompressible enough
    whole = PACK[kind](tmp_path / "a", {"cat/1.png": noise}).read_bytes()
    (tmp_path / "half").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DarkroomError, match=r"half: (damaged archive \(.+\)|not a tar or zip)"):
        unpack(tmp_path / "half", folder, "half")


def test_locked_zip_is_refused(tmp_path: Path, folder: Path) -> None:
    data = bytearray(make_zip(tmp_path / "a", PLAIN).read_bytes())
    # A flag of the first entry of the central directory: a program with a password sets it.
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(DarkroomError, match="locked with a password"):
        unpack(tmp_path / "a", folder, "photos")


def test_name_that_is_not_utf8_is_refused(tmp_path: Path, folder: Path) -> None:
    found = make_tar(tmp_path / "a", PLAIN | {"cat/\udcff.png": PNG})
    with pytest.raises(DarkroomError, match="not UTF-8"):
        unpack(found, folder, "photos")


def test_name_that_the_disk_refuses_is_said_so(tmp_path: Path, folder: Path) -> None:
    found = make_tar(tmp_path / "a", {"dog/1.png": PNG, f"{'cat/' * 1200}1.png": PNG})
    with pytest.raises(DarkroomError, match=r"cannot be unpacked here .*too long"):
        unpack(found, folder, "photos")


@pytest.mark.parametrize("kind", PACK)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damaged_bytes_never_crash_nor_leave_the_folder(
    kind: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = tmp_path_factory.mktemp("damaged")
    content = bytearray(PACK[kind](place / "a", PLAIN).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (place / "a").write_bytes(content)
    (place / "images").mkdir()
    with contextlib.suppress(DarkroomError):
        unpack(place / "a", place / "images", "photos")
    assert {child.name for child in place.iterdir()} == {"a", "images"}
