"""Images by a listing: the same bytes whichever way they travel, and no more of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from components.common.images.listing import LISTING
from pipelines.steps.bundles import list_names
from pipelines.steps.shared.volume import read_place
from pipelines.steps.source import find_address
from tests.pipelines.listing.conftest import commit
from tests.pipelines.listing.run import FROM_S3, LISTED, Run, find_differences, run_rooms, upload
from tests.pipelines.proxy import Proxy, standing_between
from tests.pipelines.test_fetch import call


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
    listed, copied = "kubeflow.fetch.images=listing", "kubeflow.fetch.images=copies"
    ways = {
        "copies": Run(tmp_path / "copies", (FROM_S3, copied)),
        "listing": Run(tmp_path / "listing", (FROM_S3, listed)),
        "dvc listing": Run(tmp_path / "dvc listing", (from_dvc, listed)),
        "dvc copies": Run(tmp_path / "dvc copies", (from_dvc, copied)),
        "volume": Run(tmp_path / "by volume", (FROM_S3,), str(tmp_path / "volume")),
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
    with standing_between(os.environ["AWS_ENDPOINT_URL"], lambda *_: "") as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.address)
        run = Run(tmp_path, LISTED)
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
    run = Run(tmp_path, (FROM_S3,), str(tmp_path / "volume"))
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


def test_few_images_are_copied_and_many_listed_and_why_is_said(
    s3: Any,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    upload(s3, photos)
    run = Run(tmp_path, (FROM_S3,))
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
