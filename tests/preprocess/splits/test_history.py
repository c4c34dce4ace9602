"""What people do to their photos between two runs moves none of them; what does is told."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from components.common.artifacts.manifest import write_manifest
from components.common.errors import DarkroomError
from components.preprocess.run import run
from components.preprocess.spec import Inputs, Outputs, Params
from components.validate.layouts.corrections import apply_corrections, parse_corrections
from components.validate.layouts.layout import read_layout
from components.validate.run import create_manifest
from components.validate.spec import Params as ValidateParams

PARAMS = Params(size_px=32)
OTHER = {"cat": "dog", "dog": "cat"}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """120 photos of two classes with metadata in them: half JPEG, half PNG."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "photos"
    for i in range(120):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        photo = coarse.resize((64, 48), Image.Resampling.BICUBIC)
        file = folder / ("cat", "dog")[i % 2] / f"{i:03d}.{('jpg', 'png')[i // 2 % 2]}"
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".jpg":
            exif = Image.Exif()
            exif[0x010E] = f"photo {i}"
            exif[0x0112] = 1 + 5 * (i % 4 == 0)
            photo.save(file, quality=90, exif=exif)
        else:
            notes = PngImagePlugin.PngInfo()
            notes.add_text("Comment", f"photo {i}")
            photo.save(file, pnginfo=notes)
    return folder


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    return Outputs(tmp_path / "out" / "splits.parquet", tmp_path / "out" / "shards")


@pytest.fixture
def preprocess(
    photos: Path, outputs: Outputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., pd.DataFrame]:
    """Return a function that validates and preprocesses, and returns the splits by path."""
    monkeypatch.setenv("DARKROOM_CORES", "1")

    def both(
        params: Params = PARAMS, groups: dict[str, str] | None = None, corrections: str = ""
    ) -> pd.DataFrame:
        own = ValidateParams()
        manifest, _ = create_manifest(photos, read_layout(photos, own), own)
        told = parse_corrections(corrections, "corrections.csv") if corrections else []
        manifest, _ = apply_corrections(manifest, told, "corrections.csv")
        if groups:
            manifest["group"] = manifest["path"].map(groups).fillna("")
        write_manifest(tmp_path / "manifest.parquet", manifest)
        run(Inputs(photos, tmp_path / "manifest.parquet"), outputs, params)
        return pd.read_parquet(outputs.splits).set_index("path")

    return both


def strip(file: Path) -> None:
    """Write the pixels of a file again without its metadata, as privacy tools do."""
    data = file.read_bytes()
    if file.suffix == ".png":
        with Image.open(file) as image:
            image.load()
            bare = Image.fromarray(np.asarray(image))
        bare.save(file, compress_level=1)
        return
    out, at = io.BytesIO(), 2
    out.write(data[:2])
    while data[at + 1] != 0xDA:  # up to the pixels: every segment but the application's
        length = 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if not 0xE1 <= data[at + 1] <= 0xEF:
            out.write(data[at : at + length])
        at += length
    out.write(data[at:])
    file.write_bytes(out.getvalue())


def test_stripped_metadata_moves_none(
    photos: Path, preprocess: Callable[..., pd.DataFrame], capsys: pytest.CaptureFixture[str]
) -> None:
    before = preprocess()
    for file in sorted(photos.rglob("*.*")):
        old = np.asarray(Image.open(file))
        strip(file)
        assert np.array_equal(np.asarray(Image.open(file)), old)
    after = preprocess()
    assert not set(before["sha256"]) & set(after["sha256"])
    assert after["split"].tolist() == before["split"].tolist()
    assert "since last time 0 of 120 images changed split" in capsys.readouterr().out
    assert after["why"].str.startswith("where an earlier run had put it; hash of its").any()
    assert preprocess()["split"].tolist() == before["split"].tolist()


@pytest.mark.parametrize("knows_earlier", [True, False], ids=["run again", "drawn anew"])
def test_a_corrected_label_moves_none(
    outputs: Outputs, preprocess: Callable[..., pd.DataFrame], knows_earlier: bool
) -> None:
    before = preprocess()
    rows = ["sha256,label,action,new_label"]
    changed = before.groupby("split").head(4)
    rows += [f"{one.sha256},{one.label},change,{OTHER[one.label]}" for one in changed.itertuples()]
    gone = before.index[-1]
    rows.append(f"{before.loc[gone, 'sha256']},{before.loc[gone, 'label']},drop,")
    if not knows_earlier:  # as on a cluster without a shared volume
        outputs.splits.unlink()
    after = preprocess(corrections="\n".join(rows))
    assert set(before.index) - set(after.index) == {gone}
    assert after["split"].tolist() == before.drop(gone)["split"].tolist()
    assert after.loc[changed.index, "label"].tolist() == changed["label"].map(OTHER).tolist()


def test_stripped_and_renamed_files_stay(
    photos: Path, preprocess: Callable[..., pd.DataFrame]
) -> None:
    before = preprocess()
    for file in sorted(photos.rglob("*.*")):
        strip(file)
        file.rename(file.with_name(f"img_{file.name}"))
    after = preprocess()
    after.index = after.index.str.replace("img_", "")
    assert after["split"].loc[before.index].tolist() == before["split"].tolist()


def test_files_saved_again_stay(photos: Path, preprocess: Callable[..., pd.DataFrame]) -> None:
    """Other bytes and slightly other pixels: the perceptual hash knows them."""
    before = preprocess()
    for file in sorted(photos.rglob("*.jpg")):
        with Image.open(file) as image:
            image.load()
        image.save(file, quality=80, exif=image.getexif())
    after = preprocess()
    assert after["split"].loc[before.index].tolist() == before["split"].tolist()


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image.resize((48, 36)),
        lambda image: ImageOps.mirror(image).crop((1, 1, 63, 47)),
    ],
)
def test_copies_stay_where_their_removed_originals_were(
    photos: Path,
    preprocess: Callable[..., pd.DataFrame],
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Image.Image], Image.Image],
) -> None:
    for file in sorted(photos.rglob("*.jpg")):
        with Image.open(file) as image:
            image.load()
        change(image).save(file.with_name(f"{file.stem}-small.png"), exif=image.getexif())
    before = preprocess()
    small = before[before.index.str.contains("small")]
    assert small["split"].isna().any()
    original = before.loc[small.index.str.replace("-small.png", ".jpg"), "split"]
    assert original.notna().all()
    assert (small["split"].isna() | (small["split"].to_numpy() == original.to_numpy())).all()
    for file in sorted(photos.rglob("*.jpg")):
        file.unlink()
    after = preprocess()
    assert after.loc[small.index, "split"].tolist() == original.tolist()
    printed = capsys.readouterr().out
    taken = int(small["split"].isna().sum())
    assert f"60 are gone; {taken} that were left out are in a split now" in printed
    assert after["split"].tolist() == preprocess()["split"].tolist()


def test_groups_added_later_move_none_and_straddle_nothing(
    preprocess: Callable[..., pd.DataFrame], capsys: pytest.CaptureFixture[str]
) -> None:
    before = preprocess()
    alone = preprocess(groups={path: f"own {path}" for path in before.index})
    assert alone["split"].tolist() == before["split"].tolist()
    groups = {path: f"pair {i // 2}" for i, path in enumerate(before.index)}
    capsys.readouterr()
    after = preprocess(groups=groups)
    kept = after["split"].notna()
    assert (after["split"][kept] == before["split"][kept]).all()
    assert (after["split"].groupby(after.index.map(groups)).nunique() == 1).all()
    printed = capsys.readouterr().out
    assert f"since last time {(~kept).sum()} of 120 images changed split" in printed
    assert f"{(~kept).sum()} left out because their group is in another split" in printed
    assert "remove splits.parquet if groups are new" in printed


def test_other_fractions_ask_before_they_move_images(
    preprocess: Callable[..., pd.DataFrame],
    outputs: Outputs,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = preprocess()
    file = outputs.splits.read_bytes()
    other = {"size_px": 32, "val_fraction": 0.3, "test_fraction": 0.3}
    with pytest.raises(DarkroomError, match=r"\d+ of 120 images would move \(\d+ from ") as error:
        preprocess(Params(**other))
    assert "set preprocess.redraw to true" in str(error.value)
    assert outputs.splits.read_bytes() == file
    capsys.readouterr()
    after = preprocess(Params(**other, redraw=True))
    moved = (after["split"] != before["split"]).sum()
    assert f"{moved} of 120 images would move" in str(error.value)
    printed = capsys.readouterr().out
    assert f"since last time {moved} of 120 images changed split" in printed
    assert f"{moved} drawn anew" in printed
    outputs.splits.unlink()
    assert preprocess(Params(**other))["split"].tolist() == after["split"].tolist()


def test_splits_that_are_given_later_are_told(
    photos: Path, preprocess: Callable[..., pd.DataFrame], capsys: pytest.CaptureFixture[str]
) -> None:
    before = preprocess()
    chosen = before.index[before["split"] == "train"][:7]
    lines = ["path,label,split"] + [
        f"{path},{path[:3]},{'test' if path in chosen else ''}" for path in before.index
    ]
    (photos / "metadata.csv").write_text("\n".join(lines))
    capsys.readouterr()
    after = preprocess()
    assert (after["split"] != before["split"]).sum() == 7
    assert "7 of 120 images changed split (7 from train to test): 7 given another split" in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "foreign", "names"])
def test_splits_that_cannot_be_read_stop_the_run(
    preprocess: Callable[..., pd.DataFrame], outputs: Outputs, damage: str
) -> None:
    before = preprocess()
    whole = outputs.splits.read_bytes()
    if damage == "foreign":
        pd.DataFrame({"a": [1]}).to_parquet(outputs.splits)
    elif damage == "names":
        pd.read_parquet(outputs.splits).assign(split="dev").to_parquet(outputs.splits)
    else:
        harm = {"cut": whole[:-100], "empty": b"", "text": b"path,split\n"}
        outputs.splits.write_bytes(harm[damage])
    seen = outputs.splits.read_bytes()
    with pytest.raises(
        DarkroomError, match=r"splits\.parquet: .*remove it to draw all splits anew"
    ):
        preprocess()
    assert outputs.splits.read_bytes() == seen
    after = preprocess(Params(size_px=32, redraw=True))
    assert after["split"].tolist() == before["split"].tolist()


def test_splits_of_an_earlier_version_are_honoured(
    preprocess: Callable[..., pd.DataFrame], outputs: Outputs
) -> None:
    before = preprocess()
    old = pd.read_parquet(outputs.splits).drop(columns=["luma_sha256", "phash"])
    old.attrs = {}
    turned = {"train": "val", "val": "test", "test": "train"}
    old.assign(split=old["split"].map(turned)).to_parquet(outputs.splits, index=False)
    after = preprocess()
    assert after["split"].tolist() == [turned[split] for split in before["split"]]
    assert after["luma_sha256"].str.len().eq(64).all()


def test_another_data_set_is_drawn_as_if_there_were_no_history(
    make_digits: Callable[..., Path],
    make_manifest: Callable[..., Path],
    preprocess: Callable[..., pd.DataFrame],
    outputs: Outputs,
    capsys: pytest.CaptureFixture[str],
) -> None:
    preprocess()
    images = make_digits(40, 2)
    manifest = make_manifest(images)
    params = Params(size_px=32, val_fraction=0.2)
    run(Inputs(images, manifest), outputs, params)
    assert "since last time 0 of 0 images changed split; 120 are gone" in capsys.readouterr().out
    after = pd.read_parquet(outputs.splits)
    outputs.splits.unlink()
    run(Inputs(images, manifest), outputs, params)
    pd.testing.assert_frame_equal(after, pd.read_parquet(outputs.splits))
