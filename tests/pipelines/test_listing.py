"""Images by a listing: the same bytes whichever way they travel, and what a store does wrong."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from components.common.images.listing import LISTING, list_paths
from components.common.images.stores import transfer
from pipelines.compiler import compile_pipeline
from pipelines.settings import read_settings
from pipelines.steps import checks, shards
from pipelines.steps.bundles import list_names
from pipelines.steps.fetch import fetch, find
from pipelines.steps.source import find_address
from pipelines.steps.volume import read_place
from tests.pipelines.conftest import PARAMS, Stub
from tests.pipelines.driver import Kfp
from tests.pipelines.proxy import Proxy, standing_between
from tests.pipelines.test_fetch import call

CHANGES = ["preprocess.size_px=64", "preprocess.shard_mb=1", "validate.min_class_images=2"]
SOURCE = "s3://photos/mine"
PARTS = 2


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "PAUSES", (0.01, 0.01, 0.01))
    monkeypatch.setattr("components.validate.partitions.LEAST", 20)
    monkeypatch.setattr("components.validate.partitions.GROUP", 16)


@pytest.fixture
def photos(make_digits: Callable[..., Path]) -> Path:
    """Return a folder as people have them: copies, contradictions, a damaged file, a table."""
    folder = make_digits(per_class=20, classes=3, size_px=96)
    first = sorted(folder.rglob("*.png"))
    Image.open(first[0]).resize((80, 80)).save(first[0].with_name("smaller.png"))
    shutil.copy(first[1], folder / "digit-2" / "of another class.png")
    first[2].write_bytes(first[2].read_bytes()[:200])
    (folder / "digit-1" / "größe.png").write_bytes(first[30].read_bytes())
    (folder / "digit-0" / "000.xml").write_text("<size/>")
    rows = [f"{file.relative_to(folder)},g{n % 7}" for n, file in enumerate(first)]
    (folder / "metadata.csv").write_text("\n".join(["path,group", *rows, "digit-0/gone.png,g1"]))
    return folder


def upload(s3: Any, folder: Path) -> None:
    for file in folder.rglob("*.*"):
        s3.upload_file(str(file), "photos", f"mine/{file.relative_to(folder)}")


@dataclass
class Run:
    """The tasks from fetch to shards, one after the other as KFP calls them."""

    root: Path
    changes: tuple[str, ...] = ()
    volume: str = ""

    def __post_init__(self) -> None:
        self.sections = read_settings(PARAMS, [*CHANGES, *self.changes]).parameters
        self.images = Stub(self.root / "fetch" / "images")
        self.given: dict[str, Any] = {**self.sections, "images": self.images}

    def find(self) -> str:
        return find(self.given)

    def fetch(self, found: str) -> None:
        place = fetch(self.given | {"found": found, "images": self.images}, self.volume)
        self.given |= {"place": place, "images": None if place else self.images}

    def check(self) -> None:
        self.given["files"] = Stub(self.root / "plan" / "files")
        self.parts = checks.plan(self.given, PARTS)
        assert len(self.parts) == PARTS
        self.checked = [Stub(self.root / f"check-{part}" / "checked") for part in range(PARTS)]
        for name, checked in zip(self.parts, self.checked, strict=True):
            checks.check(self.given | {"checked": checked}, name)

    def judge(self) -> None:
        self.given["manifest"] = Stub(self.root / "judge" / "manifest")
        docs = Stub(self.root / "judge" / "data_docs")
        checks.judge(self.given | {"data_docs": docs}, self.checked)

    def shard(self) -> None:
        for name in ("splits", "planned"):
            self.given[name] = Stub(self.root / "plan-shards" / name)
        names = shards.plan(self.given, PARTS)
        written = [Stub(self.root / f"write-{i}" / "written") for i in range(len(names))]
        for name, one in zip(names, written, strict=True):
            shards.write(self.given | {"written": one}, name, self.volume)
        self.shards = Stub(self.root / "collect" / "shards")
        shards.collect(self.given | {"shards": self.shards}, written, self.volume)

    def go(self) -> Run:
        self.fetch(self.find() if "source=" in "".join(self.changes) else "")
        self.check()
        self.judge()
        self.shard()
        return self

    def read(self) -> dict[str, bytes]:
        """Return what they wrote, by the names of files."""
        from pipelines.steps.bundles import resolve_folder

        manifest, out = Path(self.given["manifest"].path), resolve_folder(Path(self.shards.path))
        files = [manifest / "manifest.parquet", manifest / "validation.json"]
        files += [manifest / "quarantine.csv", out / "splits.parquet", *(out / "shards").iterdir()]
        return {file.name: file.read_bytes() for file in files}


def find_differences(one: dict[str, bytes], other: dict[str, bytes]) -> set[str]:
    return {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}


def run_rooms(images: Path, root: Path) -> dict[str, bytes]:
    """Return what the rooms write of a folder on this machine, as `dvc repro` calls them."""
    import importlib

    from pipelines.steps.rooms import read_params_of

    sections = read_settings(PARAMS, CHANGES).parameters
    names = {"manifest": "manifest.parquet", "validation": "validation.json", "data_docs": "docs"}
    names |= {"quarantine": "quarantine.csv", "splits": "splits.parquet", "shards": "shards"}
    paths = {name: root / file for name, file in names.items()} | {"images": images}
    for room in ("validate", "preprocess"):
        spec = importlib.import_module(f"components.{room}.spec")
        inputs, outputs = (
            kind(**{name: paths[name] for name in kind.__dataclass_fields__})
            for kind in (spec.Inputs, spec.Outputs)
        )
        params = read_params_of(room, sections)
        importlib.import_module(f"components.{room}.run").run(inputs, outputs, params)
    files = [root / file for file in names.values() if "." in file]
    files += (root / "shards").iterdir()
    return {file.name: file.read_bytes() for file in files}


@pytest.fixture
def project(photos: Path, tmp_path: Path) -> Path:
    """Return a DVC project that holds the photos, without its cache."""
    folder = tmp_path / "project"
    shutil.copytree(photos, folder / "data" / "images")
    call(folder, "git", "init", "-q")
    call(folder, "dvc", "init", "-q")
    call(folder, "dvc", "remote", "add", "-d", "-q", "store", str(tmp_path / "remote"))
    call(folder, "dvc", "add", "-q", "data/images")
    commit(folder, "photos")
    call(folder, "dvc", "push", "-q")
    shutil.rmtree(folder / ".dvc" / "cache")
    return folder


def commit(folder: Path, words: str) -> None:
    call(folder, "git", "add", "-A")
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    call(folder, "git", *who, "commit", "-q", "-m", words)


@pytest.mark.slow
def test_the_same_images_make_the_same_bytes_whichever_way_they_travel(
    s3: Any, photos: Path, project: Path, tmp_path: Path
) -> None:
    wanted = run_rooms(photos, tmp_path / "rooms")
    assert b"of another class" in wanted["validation.json"]
    assert len(wanted) > 7
    upload(s3, photos)
    # DVC itself has no client of S3 here; what it would push is copied.
    for file in (tmp_path / "remote").rglob("*"):
        if file.is_file():
            key = f"dvc/{file.relative_to(tmp_path / 'remote')}"
            s3.upload_file(str(file), "photos", key)
    (tmp_path / "volume").mkdir()
    from_dvc = f"kubeflow.fetch.source=file://{project}"
    from_s3 = f"kubeflow.fetch.source={SOURCE}"
    listed, copied = "kubeflow.fetch.images=listing", "kubeflow.fetch.images=copies"
    ways = {
        "copies": Run(tmp_path / "copies", (from_s3, copied)),
        "listing": Run(tmp_path / "listing", (from_s3, listed)),
        "dvc listing": Run(tmp_path / "dvc listing", (from_dvc, listed)),
        "dvc copies": Run(tmp_path / "dvc copies", (from_dvc, copied)),
        "volume": Run(tmp_path / "by volume", (from_s3,), str(tmp_path / "volume")),
    }
    for way, run in ways.items():
        assert not find_differences(run.go().read(), wanted), way
    for way in ("listing", "dvc listing"):
        assert list_names(Path(ways[way].images.path)) == {LISTING}
    call(project, "dvc", "remote", "modify", "store", "url", "s3://photos/dvc")
    commit(project, "another remote")
    on_s3 = Run(tmp_path / "dvc on s3", (from_dvc, listed)).go()
    assert not find_differences(on_s3.read(), wanted)


def count_photos(proxy: Proxy) -> int:
    """Return how many bytes of photos the store has sent."""
    return sum(size for path, size in proxy.sent.items() if path.endswith(".png"))


def test_each_image_is_read_by_two_tasks_and_no_more(
    s3: Any, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(s3, photos)
    size = sum(file.stat().st_size for file in photos.rglob("*.png"))
    source = (f"kubeflow.fetch.source={SOURCE}", "kubeflow.fetch.images=listing")
    with standing_between(os.environ["AWS_ENDPOINT_URL"], lambda *_: "") as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.address)
        run = Run(tmp_path, source)
        run.fetch(run.find())
        assert not proxy.sent
        run.check()
        assert count_photos(proxy) == size
        run.judge()
        looked_again = count_photos(proxy) - size  # pictures that are compared or shown
        run.shard()
    usable = count_photos(proxy) - size - looked_again
    assert 0.8 * size < usable <= size  # those left out of all splits are not read
    assert max(proxy.tries.values()) <= 4


def test_a_volume_is_brought_what_it_has_not(
    s3: Any, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(s3, photos)
    (tmp_path / "volume").mkdir()
    run = Run(tmp_path, (f"kubeflow.fetch.source={SOURCE}",), str(tmp_path / "volume"))
    with standing_between(os.environ["AWS_ENDPOINT_URL"], lambda *_: "") as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.address)
        run.fetch("")
        first = run.given["place"]
        proxy.tries.clear()
        run.fetch("")
        assert run.given["place"] == first
        assert not proxy.tries
        new = (photos / "digit-0" / "001.png").read_bytes() + b"\0"
        for name in ("new", "004"):
            s3.put_object(Bucket="photos", Key=f"mine/digit-0/{name}.png", Body=new)
        run.fetch("")
    assert set(proxy.tries) == {f"/photos/mine/digit-0/{name}.png" for name in ("new", "004")}
    before, after = (read_place(one) for one in (first, run.given["place"]))
    changed = {"digit-0/new.png", "digit-0/004.png"}
    assert {
        str(file.relative_to(after))
        for file in after.rglob("*.png")
        if not (before / file.relative_to(after)).exists()
        or (before / file.relative_to(after)).read_bytes() != file.read_bytes()
    } == changed


def test_the_cache_answers_for_the_same_images(s3: Any, photos: Path, tmp_path: Path) -> None:
    upload(s3, photos)
    run = Run(tmp_path, (f"kubeflow.fetch.source={SOURCE}", "kubeflow.fetch.images=listing"))
    first = run.find()
    some = photos / "digit-0" / "001.png"
    s3.upload_file(str(some), "photos", "mine/digit-0/001.png")
    assert run.find() == first  # written again, the same
    lines = {first}
    s3.put_object(Bucket="photos", Key="mine/digit-0/001.png", Body=some.read_bytes() + b"\0")
    lines.add(run.find())
    s3.upload_file(str(some), "photos", "mine/digit-0/new.png")
    lines.add(run.find())
    s3.delete_object(Bucket="photos", Key="mine/digit-0/003.png")
    lines.add(run.find())
    assert len(lines) == 4

    spec = next(yaml.safe_load_all(compile_pipeline(read_settings(PARAMS, run.changes))))
    cluster = Kfp(spec)
    returns = {"plan-checks": ["0/2", "1/2"], "plan-shards": ["0/1"], "find-images": first}
    assert {"fetch", "check-images", "write-shards", "train"} <= set(cluster.run(returns))
    assert cluster.run(returns) == ["find-images", "promote"]
    other = cluster.run(returns | {"find-images": (lines - {first}).pop()})
    assert {"fetch", "check-images", "write-shards", "train"} <= set(other)


def test_a_branch_that_moves_to_the_same_images_says_the_same(
    project: Path, tmp_path: Path
) -> None:
    run = Run(tmp_path, (f"kubeflow.fetch.source=file://{project}",))
    first = run.find()
    (project / "code.py").write_text("pass")
    commit(project, "code")
    assert run.find() == first
    (project / "data" / "images" / "digit-0" / "new.png").parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(tmp_path / "digits", project / "data" / "images", dirs_exist_ok=True)
    (project / "data" / "images" / "digit-0" / "001.png").unlink()
    call(project, "dvc", "add", "-q", "data/images")
    commit(project, "an image less")
    call(project, "dvc", "push", "-q")
    assert run.find() != first


def test_what_comes_while_a_run_begins_waits_for_the_next(
    s3: Any, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    upload(s3, photos)
    source = (f"kubeflow.fetch.source={SOURCE}", "kubeflow.fetch.images=listing")
    run = Run(tmp_path, source)
    found = run.find()
    time.sleep(1.1)  # S3 tells times by the second
    s3.upload_file(str(photos / "digit-0" / "001.png"), "photos", "mine/digit-0/new.png")
    run.fetch(found)
    assert "1 files came since" in capsys.readouterr().out
    listed = list_paths(Path(run.images.path) / LISTING)
    assert "digit-0/new.png" not in listed
    s3.delete_object(Bucket="photos", Key="mine/digit-1/001.png")
    with pytest.raises(SystemExit):
        run.fetch(found)
    assert "were replaced or removed since it was looked at" in capsys.readouterr().err


def test_few_images_are_copied_and_many_listed_and_why_is_said(
    s3: Any,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    upload(s3, photos)
    run = Run(tmp_path, (f"kubeflow.fetch.source={SOURCE}",))
    assert run.find().startswith("copies ")
    assert "few enough to copy" in capsys.readouterr().out
    for name, least in (("MOST_COPIES", 10), ("MOST_BYTES", 1000)):
        with monkeypatch.context() as patch:
            patch.setattr(f"pipelines.steps.fetch.{name}", least)
            assert run.find().startswith("listing ")
        assert "would take longer than the work" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        ({"url": "s3://bucket/dvc"}, "s3://bucket/dvc/files/md5"),
        ({"url": "gs://bucket/dvc/", "jobs": 4}, "gs://bucket/dvc/files/md5"),
        ({"url": "/mnt/our photos"}, "file:///mnt/our%20photos/files/md5"),
        ({"url": "ssh://host/dvc"}, ""),
        ({"url": "../beside"}, ""),
        ({"url": "s3://bucket/dvc", "version_aware": True}, ""),
        ({"url": "s3://bucket/dvc", "endpointurl": "http://elsewhere:9000"}, ""),
        ({}, ""),
    ],
)
def test_a_remote_of_dvc_is_read_where_it_needs_no_dvc(
    settings: dict[str, Any], address: str
) -> None:
    found, why = find_address(settings, "md5")
    assert found == address
    assert bool(why) == (not address)
    if address:
        assert find_address(settings, "md5-dos2unix")[0] == address.removesuffix("/files/md5")


@pytest.fixture
def listed(s3: Any, photos: Path, tmp_path: Path) -> Run:
    """Return a run that has its listing, and its images yet to read."""
    upload(s3, photos)
    source = (f"kubeflow.fetch.source={SOURCE}", "kubeflow.fetch.images=listing")
    run = Run(tmp_path / "run", source)
    run.fetch(run.find())
    return run


def test_a_store_that_fails_and_breaks_off_makes_no_other_image(
    listed: Run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = {1: "500", 2: "cut"}
    wanted = run_rooms(photos, tmp_path / "rooms")
    store = os.environ["AWS_ENDPOINT_URL"]
    with standing_between(store, lambda _, number: faults.get(number % 3, "")) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.address)
        listed.check()
        listed.judge()
        listed.shard()
    assert not find_differences(listed.read(), wanted)
    assert min(proxy.tries.values()) >= 3


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("expired", "ExpiredToken"),
        ("alter", "did not match calculated checksum"),
        ("alter unseen", "but the store says"),
        ("500", "download failed"),
    ],
)
def test_a_store_that_does_not_give_an_image_ends_the_task(
    listed: Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    word: str,
    told: str,
) -> None:
    store = os.environ["AWS_ENDPOINT_URL"]
    with standing_between(store, lambda path, _: word if "digit-1/" in path else "") as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.address)
        with pytest.raises(SystemExit):
            listed.check()
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: s3://photos/mine/digit-1/")
    assert told in error
    assert not Path(listed.checked[1].path).exists()


@pytest.mark.parametrize("how", ["replaced", "removed"])
@pytest.mark.parametrize("when", ["before it is looked at", "before it is written"])
def test_an_object_that_changes_under_way_ends_the_task(
    s3: Any, listed: Run, capsys: pytest.CaptureFixture[str], how: str, when: str
) -> None:
    if when == "before it is written":
        listed.check()
        listed.judge()
    if how == "replaced":
        s3.put_object(Bucket="photos", Key="mine/digit-1/005.png", Body=b"another image")
    else:
        s3.delete_object(Bucket="photos", Key="mine/digit-1/005.png")
    with pytest.raises(SystemExit):
        listed.shard() if when == "before it is written" else listed.check()
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: s3://photos/mine/digit-1/005.png: ")
    assert ("replaced since it was listed" if how == "replaced" else "cannot be read") in error
