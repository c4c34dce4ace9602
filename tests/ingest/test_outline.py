"""The outline of a source: the names that ingest would write, the bytes of tables and a few."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from components.common.cli import run_room
from components.common.errors import DarkroomError
from components.ingest import outline
from components.ingest.outline import write_outline
from components.ingest.run import run
from components.ingest.spec import Inputs, Outputs, Params
from tests.ingest.archives import encode_png, list_files, make_tar, make_zip
from tests.ingest.servers import Unsteady, serving

TABLE = b"path,label\ncat/0.png,cat\n"
FILES = {
    **{f"mine/cat/{n}.png": encode_png(n) for n in range(10)},
    **{f"mine/dög/{n}.png": encode_png(100 + n) for n in range(10)},
    "mine/metadata.csv": TABLE,
    "mine/.hidden": b"no",
    "README.md": b"# mine",
}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outline, "SAMPLED", 5)


def check(folder: Path, sampled: list[str], whole: Path) -> None:
    """Compare an outline with what ingest wrote of the same source."""
    assert list_files(folder) == list_files(whole)
    assert len(sampled) == 5
    assert {name.split("/")[0] for name in sampled} == {"cat", "dög"}
    for name in list_files(folder):
        content = (folder / name).read_bytes()
        is_wanted = name in sampled or name == "metadata.csv"
        assert content == ((whole / name).read_bytes() if is_wanted else b""), name


@pytest.mark.parametrize(("make", "name"), [(make_tar, "a.tar"), (make_zip, "a.zip")])
def test_an_archive_has_the_names_that_ingest_gives_it(
    make: Any, name: str, tmp_path: Path
) -> None:
    archive = make(tmp_path / name, FILES)
    images = tmp_path / "images"
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    run(Inputs(images), Outputs(images), Params(str(archive), sha256))
    (tmp_path / "out").mkdir()
    facts = write_outline(str(archive), tmp_path / "out", tmp_path / "data")
    assert (facts["source"], facts["sha256"]) == (str(archive), sha256)
    check(tmp_path / "out", facts["sampled"], images)


def test_a_folder_of_a_bucket_is_listed_and_only_a_sample_fetched(tmp_path: Path, s3: Any) -> None:
    for name, content in FILES.items():
        s3.put_object(Bucket="photos", Key=name, Body=content)
    images = tmp_path / "images"
    run(Inputs(images), Outputs(images), Params("s3://photos/mine"))
    (tmp_path / "out").mkdir()
    facts = write_outline("s3://photos/mine", tmp_path / "out", tmp_path / "data")
    assert (facts["source"], facts["sha256"]) == ("s3://photos/mine", "")
    check(tmp_path / "out", facts["sampled"], images)
    assert not (tmp_path / "data").exists()


def test_an_archive_from_afar_is_kept_and_then_named(tmp_path: Path) -> None:
    content = make_tar(tmp_path / "a", FILES).read_bytes()
    server = Unsteady(content, ["whole"])
    with serving(server):
        out, data = tmp_path / "out", tmp_path / "data"
        out.mkdir()
        facts = write_outline(f"{server.address}/my%20photos.tar?x=1", out, data)
    assert facts["source"] == str(data / "my photos.tar")
    assert (data / "my photos.tar").read_bytes() == content
    assert facts["sha256"] == hashlib.sha256(content).hexdigest()


def test_what_is_no_archive_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "photos.zip"
    wrong.write_bytes(b"no archive")
    words = ["--folder", str(tmp_path / "out"), "--facts", str(tmp_path / "facts.json")]
    with pytest.raises(SystemExit) as end:
        run_room("ingest", ["outline", str(wrong), *words])
    assert end.value.code == 1
    assert "photos.zip: not a tar or zip archive" in capsys.readouterr().err
    assert list_files(tmp_path) == ["photos.zip"]
    run_room("ingest", ["outline", "digits", *words])
    assert json.loads((tmp_path / "facts.json").read_text())["sampled"] is None
    assert len(list_files(tmp_path / "out")) == 1797
    with pytest.raises(DarkroomError, match="no file nowhere"):
        write_outline("nowhere.zip", tmp_path / "out2", tmp_path)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a/train.tar", "a/val.tar"], "but 2 archives: a/train.tar, a/val.tar"),
        (["cifar/data_batch_1", "cifar/batches.meta"], "Images inside other files"),
        (["data/train-00000-of-00001.parquet"], "that its Parquet files hold"),
    ],
)
def test_what_ingest_refuses_for_want_of_images_is_refused(
    tmp_path: Path, names: list[str], words: str
) -> None:
    archive = make_zip(tmp_path / "a.zip", dict.fromkeys(names, b"none"))
    with pytest.raises(DarkroomError, match=words):
        write_outline(str(archive), tmp_path / "outline", tmp_path)
    source = Params(str(archive), hashlib.sha256(archive.read_bytes()).hexdigest())
    images = tmp_path / "images"
    with pytest.raises(DarkroomError, match=words):
        run(Inputs(images), Outputs(images), source)
