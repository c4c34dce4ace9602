"""fetch: a revision of a DVC project, a folder of an S3 store, images on a volume."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.steps.bundles import resolve_folder
from pipelines.steps.fetch import fetch
from pipelines.steps.source import add_token
from tests.pipelines.conftest import Stub
from tests.pipelines.proxy import standing_between

INGEST = {"source": "digits", "sha256": ""}
MLFLOW = {"experiment": "darkroom", "registered_model": "darkroom"}
NOWHERE = {"source": "", "revision": "", "path": "data/images", "images": "auto"}


def call_fetch(target: Path, volume: str = "", **wanted: str) -> Path:
    artifact = Stub(target / "images")
    sections = {"fetch": NOWHERE | wanted, "ingest": INGEST, "mlflow": MLFLOW}
    fetch({"images": artifact, **sections}, volume)
    return resolve_folder(Path(artifact.path))


def list_images(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*.png"))


def call(folder: Path, *words: str) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    own = {"GIT_CONFIG_GLOBAL": os.devnull, "DVC_NO_ANALYTICS": "1", "PATH": path}
    done = subprocess.run(
        words, cwd=folder, env=os.environ | own, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def project(tmp_path: Path, make_digits: Callable[..., Path]) -> tuple[Path, list[str]]:
    """Return a DVC project of two commits with 3 and then 4 images a class, and the commits."""
    folder = tmp_path / "project"
    (folder / "data").mkdir(parents=True)
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    call(folder, "git", "init", "-q")
    call(folder, "dvc", "init", "-q")
    call(folder, "dvc", "remote", "add", "-d", "-q", "store", str(tmp_path / "remote"))
    commits = []
    for count in (3, 4):
        shutil.rmtree(folder / "data" / "images", ignore_errors=True)
        made = make_digits(per_class=count, classes=2, folder=f"digits-{count}")
        shutil.copytree(made, folder / "data" / "images")
        call(folder, "dvc", "add", "-q", "data/images")
        call(folder, "git", "add", "-A")
        call(folder, "git", *who, "commit", "-q", "-m", f"{count} a class")
        commits.append(call(folder, "git", "rev-parse", "HEAD"))
    call(folder, "dvc", "push", "-q", "--all-commits")
    return folder, commits


def test_fetch_brings_any_revision_of_a_dvc_project(
    project: tuple[Path, list[str]], tmp_path: Path
) -> None:
    folder, (first, second) = project
    shutil.rmtree(folder / ".dvc" / "cache")  # from the remote, not from the project's own cache
    old = call_fetch(tmp_path / "old", source=f"file://{folder}", revision=first)
    new = call_fetch(tmp_path / "new", source=f"file://{folder}", revision=second)
    assert (len(list_images(old)), len(list_images(new))) == (6, 8)


@pytest.mark.parametrize(
    "wanted",
    [{"revision": "no-such-branch"}, {"path": "data/nothing"}, {"source": "file:///no/such/place"}],
)
def test_what_a_project_does_not_have_is_one_line(
    project: tuple[Path, list[str]],
    tmp_path: Path,
    wanted: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        call_fetch(tmp_path / "out", **{"source": f"file://{project[0]}"} | wanted)
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: fetch: ")
    assert "check kubeflow.fetch" in error
    assert not (tmp_path / "out" / "images").exists()


def test_fetch_brings_a_folder_of_an_s3_store(
    s3: Any, tmp_path: Path, make_digits: Callable[..., Path]
) -> None:
    source = make_digits(per_class=3, classes=2)
    for file in source.rglob("*.png"):
        s3.upload_file(str(file), "photos", f"mine/{file.relative_to(source)}")
    s3.put_object(Bucket="photos", Key="minerals/quartz.png", Body=b"another folder")
    for marker in ("mine/empty/", f"mine/{list_images(source)[0].partition('/')[0]}"):
        s3.put_object(Bucket="photos", Key=marker, Body=b"")
    found = call_fetch(tmp_path / "out", source="s3://photos/mine")
    assert list_images(found) == list_images(source)
    for name in list_images(source):
        assert (found / name).read_bytes() == (source / name).read_bytes()


def test_an_s3_store_without_it_or_with_a_trap_is_refused(
    s3: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    s3.put_object(Bucket="photos", Key="trap/../../out.png", Body=b"x")
    for key in ("twice/cat/1.png", "twice/cat//1.png", "file/cat", "file/cat/1.png"):
        s3.put_object(Bucket="photos", Key=key, Body=key.encode())
    for source, words in (
        ("s3://photos/twice", "cat//1.png and cat/1.png would be written as one file"),
        ("s3://photos/file", "the object cat has the name of the folder that cat/1.png is in"),
        ("s3://nobody/mine", "cannot be read"),
        ("s3://photos/empty", "no image in"),
        ("s3://photos/trap", "outside its folder"),
    ):
        with pytest.raises(SystemExit):
            call_fetch(tmp_path / "out", source=source)
        assert words in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.png"))


def test_a_store_that_fails_is_slow_and_breaks_off_gives_the_same_images(
    s3: Any, tmp_path: Path, make_digits: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from components.common.images.stores import transfer

    source = make_digits(per_class=2, classes=2)
    for file in source.rglob("*.png"):
        s3.upload_file(str(file), "photos", f"mine/{file.relative_to(source)}")
    monkeypatch.setattr(transfer, "PAUSES", (0.01, 0.01, 0.01))
    (tmp_path / "volume").mkdir()
    # Each object comes at the third try alone.
    faults = {1: "500", 2: "cut"}
    store = os.environ["AWS_ENDPOINT_URL"]
    with standing_between(store, lambda _, number: faults.get(number, "")) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.address)
        found = call_fetch(tmp_path / "out", str(tmp_path / "volume"), source="s3://photos/mine")
    assert min(proxy.tries.values()) >= 3
    assert list_images(found) == list_images(source)
    for name in list_images(source):
        assert (found / name).read_bytes() == (source / name).read_bytes()


def test_a_store_that_stays_away_may_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from pipelines.steps import rooms

    for name, value in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(rooms, "TERMINATION", tmp_path / "termination-log")
    rooms.TERMINATION.write_text("")
    with pytest.raises(SystemExit):
        call_fetch(tmp_path / "out", source="s3://photos/mine")
    assert rooms.TERMINATION.read_text().startswith("try again: kubeflow.fetch: s3://photos/mine")
    assert "error: kubeflow.fetch: s3://photos/mine cannot be read" in capsys.readouterr().err


def test_a_token_goes_into_https_addresses_alone() -> None:
    assert add_token("https://host/a.git", "t") == "https://x-access-token:t@host/a.git"
    for source in ("git@host:a.git", "file:///a", "https://me:own@host/a.git"):
        assert add_token(source, "t") == source
    assert add_token("https://host/a.git", "") == "https://host/a.git"
