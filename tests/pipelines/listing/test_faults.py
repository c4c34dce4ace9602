"""What a store of listed images does wrong is told, and makes no other image."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from pipelines.steps import rooms
from tests.pipelines.listing.run import Run, find_differences, run_rooms
from tests.pipelines.proxy import standing_between


@pytest.mark.slow
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
    ("word", "told", "kind"),
    [
        ("expired", "ExpiredToken", "error"),
        ("alter", "did not match calculated checksum", "try again"),
        ("alter unseen", "but the store says", "try again"),
        ("500", "download failed", "try again"),
    ],
)
def test_a_store_that_does_not_give_an_image_ends_the_task(
    listed: Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    tmp_path: Path,
    word: str,
    told: str,
    kind: str,
) -> None:
    monkeypatch.setattr(rooms, "TERMINATION", tmp_path / "termination-log")
    rooms.TERMINATION.write_text("")
    store = os.environ["AWS_ENDPOINT_URL"]
    with standing_between(store, lambda path, _: word if "digit-1/" in path else "") as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.address)
        with pytest.raises(SystemExit):
            listed.check()
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: s3://photos/mine/digit-1/")
    assert told in error
    # A process of its own brought the image, and what was the cause is lost on its way here.
    assert rooms.TERMINATION.read_text() == error.replace("error", kind, 1)
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
