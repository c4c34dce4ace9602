"""The whole room on folders of real files: what it writes, what it says, and when it fails."""

import csv
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from components.common.artifacts.manifest import COLUMNS, OK, QUARANTINED, SPLITS, read_manifest
from components.common.errors import DarkroomError
from components.common.images.pixels import ImageForm, read_pixels
from components.ingest.digits import write_digits
from components.validate.run import run
from components.validate.scan import scan
from components.validate.scan.picture import inspect_file
from components.validate.spec import Inputs, LayoutSettings, Outputs, Params
from tests.validate.scan.test_picture import BROKEN, encode, make_photo


def make_outputs(folder: Path) -> Outputs:
    return Outputs(
        manifest=folder / "data" / "manifest.parquet",
        validation=folder / "reports" / "validation.json",
        quarantine=folder / "reports" / "quarantine.csv",
        data_docs=folder / "reports" / "data_docs",
    )


def validate(images: Path, folder: Path, **params) -> dict:
    outputs = make_outputs(folder)
    run(Inputs(images), outputs, replace(Params(), **params))
    return json.loads(outputs.validation.read_text())


def make_photos(root: Path, classes: str = "ab", per_class: int = 45) -> Path:
    for c, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for i in range(per_class):
            make_photo(96, 72, 1000 * c + i).save(root / name / f"{i:03d}.jpg", quality=90)
    return root


def digest_tree(root: Path) -> dict[str, str]:
    files = sorted(file for file in root.rglob("*") if file.is_file())
    return {str(f.relative_to(root)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def test_the_default_data_passes_without_a_word(tmp_path, capsys):
    images = tmp_path / "images"
    images.mkdir()
    write_digits(images)
    verdict = validate(images, tmp_path)
    assert (verdict["status"], verdict["findings"]) == ("passed", [])
    assert (verdict["images"], len(verdict["classes"])) == (1797, 10)
    assert all(one["success"] for one in verdict["expectations"])
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 2
    assert "1,797 usable images of 10 classes" in said[0]


@pytest.fixture(scope="module")
def dirty(tmp_path_factory) -> tuple[Path, Path, dict]:
    """Photos, 10 % of the files broken in every way, and every kind of oddity; validated."""
    place = tmp_path_factory.mktemp("dirty")
    images = make_photos(place / "images", "abc", 60)
    for name, (data, _) in BROKEN.items():
        (images / "a" / f"broken {name}.jpg").write_bytes(data)
    (images / "loose.jpg").write_bytes(encode(make_photo(seed=5), "JPEG"))
    shutil.copy(images / "a" / "000.jpg", images / "b" / "copy.jpg")
    Image.open(images / "c" / "001.jpg").resize((192, 144)).save(images / "c" / "larger.png")
    (images / "c" / "really.jpg").write_bytes(encode(make_photo(seed=77), "PNG"))
    Image.new("RGB", (64, 64), (0, 0, 0)).save(images / "c" / "black.png")
    make_photo(400, 60, 78).save(images / "c" / "long.png")
    exif = Image.Exif()
    exif[0x0112] = 3
    make_photo(seed=79).convert("L").save(images / "c" / "turned.jpg", exif=exif)
    before = digest_tree(images)
    verdict = validate(images, place)
    assert digest_tree(images) == before, "validate must not touch the images"
    return images, place, verdict


def test_broken_files_are_quarantined_under_their_reason_and_the_run_ends_well(dirty):
    _, place, verdict = dirty
    assert verdict["status"] == "passed_with_warnings"
    with (place / "reports" / "quarantine.csv").open(newline="") as stream:
        rows = {row["path"]: row for row in csv.DictReader(stream)}
    assert len(rows) == len(BROKEN) + 1 == verdict["quarantined"]
    for name, (_, reason) in BROKEN.items():
        assert rows[f"a/broken {name}.jpg"]["reason"].startswith(reason)
    assert rows["loose.jpg"]["reason"].startswith("no label: ")
    manifest = read_manifest(place / "data" / "manifest.parquet")
    assert set(manifest.loc[manifest["status"] == QUARANTINED, "path"]) == set(rows)
    assert len(manifest) == verdict["images"]


def test_usable_images_can_be_read_by_the_decoder_of_the_project(dirty):
    images, place, _ = dirty
    manifest = read_manifest(place / "data" / "manifest.parquet")
    for path in manifest.loc[manifest["status"] == OK, "path"]:
        assert read_pixels(images / path, ImageForm(32, "crop", "#ffffff")).shape == (32, 32, 3)


def test_each_oddity_is_found_with_its_examples(dirty):
    _, _, verdict = dirty
    found = {finding["kind"]: finding for finding in verdict["findings"]}
    assert set(found) == {
        *("rejected", "two labels", "exact duplicates", "near-duplicates", "blank"),
        *("odd proportions", "misnamed", "stored turned", "mixed modes"),
    }
    assert sorted(found["two labels"]["examples"]) == ["a/000.jpg", "b/copy.jpg"]
    assert found["near-duplicates"]["examples"] == ["c/001.jpg", "c/larger.png"]
    assert found["misnamed"]["examples"] == ["c/really.jpg"]
    assert found["blank"]["examples"] == ["c/black.png"]
    assert found["odd proportions"]["examples"] == ["c/long.png"]
    assert found["stored turned"]["examples"] == ["c/turned.jpg"]
    assert {f["severity"] for f in verdict["findings"]} == {"warning", "note"}
    for finding in verdict["findings"]:
        assert finding["count"] >= len(finding["examples"]) > 0
        assert finding["advice"]


def test_the_site_needs_nothing_but_itself_and_shows_failing_paths(dirty):
    _, place, _ = dirty
    site = place / "reports" / "data_docs"
    front = (site / "index.html").read_text()
    results = site / re.search(r'href="(validations/[^"]+)"', front)[1]
    for page in site.rglob("*.html"):
        html = page.read_text()
        assert not re.search(r"<(script|link|img|iframe)\b[^>]*https?:", html)
        for target in re.findall(r'href="([^"#:]+\.html)', html):
            assert (page.parent / target).is_file(), (page, target)
    for text in (front, results.read_text()):
        assert "c/larger.png" in text
        assert "b/copy.jpg" in text
    assert front.count('<img src="data:image/jpeg;base64,') >= 8
    assert not list(site.parent.glob("gx*"))
    assert {p.name for p in place.iterdir()} == {"images", "data", "reports"}


def test_names_of_files_cannot_write_into_the_pages(tmp_path):
    images = make_photos(tmp_path / "images", per_class=6)
    name = "<img src=x onerror=alert(1)> $path {{7*7}} %s &amp; 'q'.jpg"
    shutil.copy(images / "a" / "000.jpg", images / "b" / name)
    verdict = validate(images, tmp_path)
    found = {finding["kind"]: finding for finding in verdict["findings"]}
    assert sorted(found) == ["exact duplicates", "two labels"]
    assert sorted(found["two labels"]["examples"]) == ["a/000.jpg", f"b/{name}"]
    for page in (tmp_path / "reports" / "data_docs").rglob("*.html"):
        assert "<img src=x" not in page.read_text(), page


def test_the_manifest_is_the_same_to_the_byte(tmp_path, monkeypatch):
    images = make_photos(tmp_path / "images", per_class=80)
    validate(images, tmp_path / "one")
    # Made anew in another order, read in other chunks, on one core.
    other = tmp_path / "elsewhere"
    for file in sorted(images.rglob("*.jpg"), reverse=True):
        (other / file.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, other / file.parent.name / file.name)
    monkeypatch.setattr(scan, "CHUNK", 7)
    monkeypatch.setattr(scan, "count_cores", lambda: 1)
    validate(other, tmp_path / "two")
    one, two = (make_outputs(tmp_path / name).manifest.read_bytes() for name in ("one", "two"))
    assert one == two


def test_given_splits_and_a_table(tmp_path):
    images = tmp_path / "images"
    for split in ("train", "valid", "test"):
        make_photos(images / split, per_class=6)
    lines = [f"train/a/{i:03d}.jpg,patient-{i % 2},day" for i in range(6)]
    (images / "metadata.csv").write_text("path,group,light\n" + "\n".join(lines) + "\ngone.jpg,,\n")
    verdict = validate(images, tmp_path)
    manifest = read_manifest(tmp_path / "data" / "manifest.parquet").set_index("path")
    assert list(manifest.reset_index().columns) == [*COLUMNS, "light"]
    assert set(manifest["split"]) == {*SPLITS, ""}
    assert manifest.loc["train/a/001.jpg", ["split", "group", "light"]].tolist() == [
        *("train", "patient-1", "day")
    ]
    assert manifest.loc["gone.jpg", "reason"].startswith("missing: ")
    kinds = [finding["kind"] for finding in verdict["findings"]]
    # The same six photos were written into every split.
    assert "leakage" in kinds
    assert "missing slice values" in kinds
    assert "tiny slices" in kinds


def fail(images: Path, folder: Path, **params) -> tuple[str, dict]:
    with pytest.raises(DarkroomError) as caught:
        validate(images, folder, **params)
    assert not make_outputs(folder).manifest.exists()
    verdict = json.loads(make_outputs(folder).validation.read_text())
    assert verdict["status"] == "failed"
    assert (make_outputs(folder).data_docs / "index.html").is_file()
    assert make_outputs(folder).quarantine.is_file()
    return str(caught.value), verdict


def test_one_class_alone_fails(tmp_path):
    message, _ = fail(make_photos(tmp_path / "images", "a", 6), tmp_path)
    assert "usable classes: only a (a classifier needs two: the folders of the classes" in message
    assert message.endswith("index.html")


def test_a_class_too_small_fails(tmp_path):
    images = make_photos(tmp_path / "images", "ab", 6)
    for number in range(4):
        (images / "b" / f"{number:03d}.jpg").write_bytes(b"")
    message, verdict = fail(images, tmp_path, max_quarantined=0.5)
    assert "classes with fewer than 5 usable images: b (2) (add images, remove" in message
    assert verdict["classes"] == {"a": 6, "b": 2}


def test_an_empty_class_folder_fails(tmp_path):
    images = make_photos(tmp_path / "images", "ab", 6)
    (images / "cow").mkdir()
    message, _ = fail(images, tmp_path)
    assert "class folders without a file: cow (add images, remove the folder, or name" in message
    # What the message names as the third way is one.
    assert "in validate.layout.ignore" in message
    validate(images, tmp_path, layout=LayoutSettings(ignore=["cow/"]))


def test_too_many_rejected_files_fail(tmp_path):
    images = make_photos(tmp_path / "images", "ab", 6)
    for number in range(4):
        (images / "b" / f"x{number}.jpg").write_text("none")
    message, verdict = fail(images, tmp_path)
    assert "rejected files, more than 20%: 4 of 16 (4 not an image)" in message
    assert "rejected" not in [finding["kind"] for finding in verdict["findings"]]


def test_no_usable_image_fails(tmp_path):
    (tmp_path / "images" / "a").mkdir(parents=True)
    (tmp_path / "images" / "a" / "x.jpg").write_text("none")
    message, verdict = fail(tmp_path / "images", tmp_path)
    assert "usable classes: none" in message
    assert verdict["usable"] == 0


def test_drift_against_an_earlier_manifest(tmp_path):
    images = make_photos(tmp_path / "images", per_class=40)
    assert validate(images, tmp_path)["drift"] == []
    earlier = tmp_path / "earlier.parquet"
    make_outputs(tmp_path).manifest.rename(earlier)
    for file in images.rglob("*.jpg"):
        Image.open(file).point(lambda level: level // 2).save(file)
    verdict = validate(images, tmp_path, reference_manifest=str(earlier))
    assert {one["quantity"] for one in verdict["drift"] if one["changed"]} >= {"brightness"}
    assert "drift: brightness" in [finding["kind"] for finding in verdict["findings"]]
    assert (
        "Changes since the earlier" in (make_outputs(tmp_path).data_docs / "index.html").read_text()
    )


def test_a_reference_that_is_not_there_is_refused_before_any_work(tmp_path):
    images = make_photos(tmp_path / "images", per_class=2)
    with pytest.raises(
        DarkroomError, match=r"gone\.parquet: no manifest there; run validate first"
    ):
        validate(images, tmp_path, reference_manifest=str(tmp_path / "gone.parquet"))


def crash_on_seven(file: str, **_) -> dict:
    if file.endswith("7.jpg"):
        os._exit(9)
    return inspect_file(file, 8, 89)


def test_a_file_that_kills_its_process_is_quarantined_alone(monkeypatch):
    monkeypatch.setattr(scan, "inspect_file", crash_on_seven)
    monkeypatch.setattr(scan, "CHUNK", 5)
    folder = Path(__file__).parent
    rows = scan.scan_files(folder, [f"{number}.jpg" for number in range(30)], 8, 89)
    crashed = rows["reason"] == "damaged: it makes the decoder crash"
    assert rows.index[crashed].tolist() == [7, 17, 27]
    assert rows.loc[~crashed, "reason"].str.startswith("missing: ").all()


def test_a_mistake_of_ours_is_not_hidden(monkeypatch):
    monkeypatch.setattr(scan, "inspect_file", explode)
    with pytest.raises(ZeroDivisionError):
        scan.scan_files(Path(), ["a", "b"], 8, 89)


def explode(*_, **__) -> dict:
    return {"a": 1 // 0}


def test_the_command_line_says_one_line_and_exits_with_1(tmp_path):
    images = make_photos(tmp_path / "images", "a", 6)
    outputs = make_outputs(tmp_path)
    flags = [
        *("--images", images, "--manifest", outputs.manifest, "--validation", outputs.validation),
        *("--quarantine", outputs.quarantine, "--data-docs", outputs.data_docs),
    ]
    result = subprocess.run(
        [sys.executable, "-m", "components.validate", *map(str, flags)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith(f"error: {images}: the data cannot be used: usable classes")
    assert "critical · usable classes: only a" in result.stdout


def test_a_damaged_reference_is_named(tmp_path):
    pd.DataFrame({"path": ["a"]}).to_parquet(tmp_path / "m.parquet")
    with pytest.raises(DarkroomError, match="manifest lacks label, split"):
        read_manifest(tmp_path / "m.parquet")


def test_more_images_than_memory_are_refused_before_they_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr("components.validate.run.IMAGE_BYTES", {"changed": 2**50, "bytes": 1})
    images = make_photos(tmp_path / "images", per_class=6)
    monkeypatch.setattr("components.validate.run.read_layout", explode)
    with pytest.raises(DarkroomError, match=r"12 images take about .* GB .*copies: bytes takes"):
        validate(images, tmp_path)
    with pytest.raises(ZeroDivisionError):  # these fit, and are looked at
        validate(images, tmp_path, copies="bytes")
