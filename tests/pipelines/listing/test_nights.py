"""Nights on a shared volume: what is read is what is new, and what is written is the same."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pandas as pd
import pytest
from PIL import Image

from tests.pipelines.listing.run import FROM_S3, Run, find_differences, run_rooms, upload
from tests.pipelines.proxy import Proxy, standing_between

WAYS = ("listing", "copies")


@pytest.fixture
def proxy(s3: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """Return what counts the bytes of each photo that the store sends."""
    with standing_between(os.environ["AWS_ENDPOINT_URL"], lambda *_: "") as between:
        monkeypatch.setenv("AWS_ENDPOINT_URL", between.address)
        yield between


class Nights:
    """One run after the other over one volume, beside `dvc repro` over the same photos."""

    def __init__(self, root: Path, way: str, proxy: Proxy) -> None:
        self.root, self.proxy, self.count = root, proxy, 0
        self.changes = (FROM_S3, f"kubeflow.fetch.images={way}")
        (root / "volume").mkdir()

    def go(self, *changes: str) -> tuple[dict[str, bytes], list[str]]:
        """Return what a night wrote, and the photos that were read for it, as often as they were.

        Those that judge looks at again, to compare or to show them, are left out.
        """
        self.count += 1
        run = Run(
            self.root / f"night-{self.count}",
            (*self.changes, *changes),
            str(self.root / "volume"),
            most=1,
        )
        self.proxy.tries.clear()
        run.fetch("")
        run.check()
        again = dict(self.proxy.tries)
        run.judge()
        again = {path: self.proxy.tries[path] - again.get(path, 0) for path in self.proxy.tries}
        run.shard()
        read = [
            unquote(path).removeprefix("/photos/mine/")
            for path, tries in self.proxy.tries.items()
            for _ in range(tries - again.get(path, 0))
        ]
        return run.read(), sorted(one for one in read if one.endswith(".png"))


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_a_night_reads_what_is_new(
    s3: Any, photos: Path, tmp_path: Path, proxy: Proxy, way: str
) -> None:
    nights, rooms = Nights(tmp_path, way, proxy), tmp_path / "rooms"
    upload(s3, photos)
    all_photos = sorted(str(file.relative_to(photos)) for file in photos.rglob("*.png"))
    wrote, read = nights.go()
    assert not find_differences(wrote, run_rooms(photos, rooms))
    assert set(read) == set(all_photos)

    wrote_again, read = nights.go()
    assert not read
    assert not find_differences(wrote_again, run_rooms(photos, rooms))

    table = (photos / "metadata.csv").read_text()
    new = [photos / f"digit-{number % 3}" / f"new-{number}.png" for number in range(6)]
    for number, file in enumerate(new):
        Image.effect_noise((96, 96), 20 + 30 * number).save(file)
        table += f"\ndigit-{number % 3}/{file.name},new"
    Image.effect_noise((96, 96), 220).save(photos / "digit-1" / "007.png")  # replaced
    (photos / "digit-2" / "009.png").unlink()
    shutil.move(photos / "digit-2" / "012.png", photos / "digit-0" / "moved.png")  # relabelled
    (photos / "metadata.csv").write_text(table.replace("digit-2/012.png", "digit-0/moved.png"))
    for name in ("digit-2/009.png", "digit-2/012.png"):
        s3.delete_object(Bucket="photos", Key=f"mine/{name}")
    changed = [*new, photos / "digit-1" / "007.png", photos / "digit-0" / "moved.png"]
    for file in [*changed, photos / "metadata.csv"]:
        s3.upload_file(str(file), "photos", f"mine/{file.relative_to(photos)}")
    names = {str(file.relative_to(photos)) for file in changed}
    wrote_third, read = nights.go()
    assert not find_differences(wrote_third, run_rooms(photos, rooms))
    # A listing is read by who looks, and by who writes what came into a split; copies come once.
    before, now = (list_used(one) for one in (wrote, wrote_third))
    came = [path for path, sha256 in now.items() if sha256 not in before.values()]
    assert len(new) - 2 < len(came) < 12
    looked = names - {"digit-0/moved.png"} if way == "listing" else names
    assert read == sorted([*looked, *(came if way == "listing" else ())])


def list_used(wrote: dict[str, bytes]) -> dict[str, str]:
    """Return the images that are in a split: path → sha256."""
    splits = pd.read_parquet(io.BytesIO(wrote["splits.parquet"]))
    splits = splits[splits["split"].notna()]
    return dict(zip(splits["path"], splits["sha256"], strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("harm", ["books", "shards", "another recipe"])
def test_what_is_remembered_is_a_help_and_no_more(
    s3: Any, photos: Path, tmp_path: Path, proxy: Proxy, harm: str
) -> None:
    nights = Nights(tmp_path, "listing", proxy)
    upload(s3, photos)
    wrote, first = nights.go()
    volume, changes = tmp_path / "volume", []
    if harm == "books":
        for file in (volume / ".darkroom").rglob("*"):
            if file.is_file():
                file.write_bytes(file.read_bytes()[:-9])
    elif harm == "shards":  # cut short, which a count of files would not see
        for file in (volume / "shards").rglob("*.tfrecord"):
            file.write_bytes(file.read_bytes()[:-9])
    else:
        changes = ["validate.min_side_px=9", "preprocess.size_px=32"]
    again, read = nights.go(*changes)
    assert (set(first) == set(read)) == (harm != "shards")
    assert len(read) >= len(list_used(again))  # all are written
    if not changes:
        assert not find_differences(wrote, again)
