"""Which classes are used: settings, twins in name, and classes that quarantine swallows."""

import json
import subprocess
import sys
import unicodedata
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from components.common.artifacts.manifest import OK, read_manifest
from components.common.errors import DarkroomError
from components.validate.folders.words import plain
from components.validate.judgement.findings import find_oddities
from components.validate.layouts.layout import read_layout
from components.validate.spec import ClassSettings, LayoutSettings, Params
from tests.validate.judgement.test_findings import make_manifest
from tests.validate.test_run import fail, make_outputs, make_photos, validate

from .test_layout import touch


def read(root: Path, **settings):
    return read_layout(root, replace(Params(), classes=ClassSettings(**settings)))


def count(root: Path, **settings) -> dict[str, int]:
    return read(root, **settings).files["label"].value_counts().to_dict()


@pytest.fixture
def wardrobe(tmp_path) -> Path:
    for name, images in {"tee": 3, "T-Shirt": 2, "dress": 4, "dress long": 1, "other": 5}.items():
        touch(tmp_path, *(f"{name}/{i}.jpg" for i in range(images)))
    return tmp_path


def test_include_exclude_rename_and_merge(wardrobe):
    every = {"tee": 3, "T-Shirt": 2, "dress": 4, "dress long": 1, "other": 5}
    assert count(wardrobe) == every
    assert count(wardrobe, include=["dress*", "tee"]) == {"tee": 3, "dress": 4, "dress long": 1}
    assert count(wardrobe, exclude=["OTHER", "dress ?ong"]) == {
        "tee": 3,
        "T-Shirt": 2,
        "dress": 4,
    }
    layout = read(wardrobe, exclude=["other"], rename={"tee": "shirt", "t-shirt": "shirt"})
    assert layout.files["label"].value_counts().to_dict() == {
        "shirt": 5,
        "dress": 4,
        "dress long": 1,
    }
    assert layout.notes == [
        "classes left out by validate.classes: other (5)",
        "classes renamed by validate.classes.rename: T-Shirt and tee are shirt",
    ]
    assert count(wardrobe, rename={"tee": "dress"})["dress"] == 7  # into a class that is there


@pytest.mark.parametrize("setting", ["include", "exclude", "rename"])
def test_a_class_that_is_not_there_is_a_slip(wardrobe, setting):
    value = {"dres": "x"} if setting == "rename" else ["dres"]
    message = rf"validate\.classes\.{setting} names 'dres', and no class is so called; did you mean"
    with pytest.raises(DarkroomError, match=message):
        read(wardrobe, **{setting: value})


def test_a_folder_of_an_excluded_or_renamed_class_is_not_called_empty(wardrobe):
    (wardrobe / "empty").mkdir()
    assert read(wardrobe, exclude=["other"]).empty_classes == ["empty"]


def test_a_minimum_of_images_leaves_small_classes_out(tmp_path, capsys):
    images = make_photos(tmp_path / "images", "abc", 6)
    for number in range(3):
        (images / "c" / f"{number:03d}.jpg").write_bytes(b"")
    told = replace(Params().classes, min_images=4)
    verdict = validate(images, tmp_path, classes=told, max_quarantined=0.5)
    assert set(verdict["classes"]) == {"a", "b"}
    assert verdict["images"] == 12
    message = "classes left out, fewer usable images than validate.classes.min_images: c (3)"
    assert message in capsys.readouterr().out
    assert message in [finding["message"] for finding in verdict["findings"]]


def test_a_class_all_of_whose_files_are_rejected_is_critical(tmp_path):
    images = make_photos(tmp_path / "images", "ab", 30)
    for number in range(4):
        touch(images, f"heic/{number}.jpg")
    touch(images, "pig/1.dng")
    message, verdict = fail(images, tmp_path)
    words = "classes of which every file is rejected: heic (4: 4 not an image), pig (1: 1 not an im"
    assert words in message
    (finding,) = [one for one in verdict["findings"] if one["kind"] == "class rejected"]
    assert (finding["severity"], finding["count"]) == ("critical", 2)
    assert finding["examples"] == ["heic/0.jpg", "pig/1.dng"]
    told = replace(Params().classes, exclude=["heic", "p*"])
    assert validate(images, tmp_path, classes=told)["status"] == "passed"


def test_a_class_that_only_missing_files_have_is_critical(tmp_path):
    images = make_photos(tmp_path / "images", "ab", 30)
    (images / "metadata.csv").write_text("path,label\ngone.jpg,cow\n")
    assert "every file is rejected: cow (1: 1 missing)" in fail(images, tmp_path)[0]


def test_several_labels_are_no_class_and_said(tmp_path, capsys):
    images = make_photos(tmp_path / "images", "ab", 30)
    (images / "metadata.csv").write_text("path,label\na/000.jpg,a|b\nb/000.jpg,b|a\n")
    verdict = validate(images, tmp_path)
    assert verdict["classes"] == {"a": 29, "b": 29}
    (finding,) = [one for one in verdict["findings"] if one["kind"] == "several labels"]
    assert finding["message"].startswith("the table is multi-label: 2 images have several labels")
    assert "multi-label: 2 of 60 images" in capsys.readouterr().out
    rejected = pd.read_csv(make_outputs(tmp_path).quarantine)
    assert rejected["reason"].tolist() == ["several labels: a, b", "several labels: b, a"]


def nfd(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def test_folders_in_two_unicode_forms_are_one_class(tmp_path):
    touch(tmp_path, "Käfer/1.jpg", f"{nfd('Käfer')}/2.jpg", f"{nfd('Mücke')}/3.jpg")
    if len(list(tmp_path.iterdir())) < 3:
        pytest.skip("the file system knows one form only")
    layout = read_layout(tmp_path)
    assert layout.files["label"].value_counts().to_dict() == {"Käfer": 2, "Mücke": 1}
    assert any("Käfer: 2 folders of this name, in different" in note for note in layout.notes)
    assert count(tmp_path, include=[nfd("käfer")]) == {"Käfer": 2}


@pytest.mark.parametrize(
    ("labels", "alike"),
    [
        (("Cat", "cat"), True),
        (("T-shirt", "t shirt"), True),
        (("Straße", "STRASSE"), True),
        (("Ｃａｔ", "cat"), True),
        (("cat\u200b", "cat"), True),
        (("Käfer", "Kafer"), False),
        (("कि", "की"), False),  # vowel signs are marks, no punctuation
        (("กา", "กี"), False),
        (("가", "각"), False),
        (("C", "C++"), False),
        (("猫", "犬"), False),
        (("!", "?"), False),
    ],
)
def test_twins_in_name_by_the_letters_of_any_script(labels, alike):
    assert (plain(labels[0]) == plain(labels[1]) != "") == alike
    manifest = make_manifest(40)
    manifest["label"] = [labels[i % 2] for i in range(40)]
    kinds = [finding.kind for finding in find_oddities(manifest, [], [], Params())]
    assert ("similar labels" in kinds) == alike


def run_command(room: str, place: Path, *flags: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"components.{room}", *map(str, flags)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=place)


@pytest.mark.slow
def test_the_command_line_reads_the_settings_and_says_what_it_guessed(tmp_path):
    """A folder as it comes out of an archive, through the real command line and preprocess."""
    root = Path(__file__).parents[3]
    images = tmp_path / "my photos"
    for split in ("Training", "Testing"):
        make_photos(images / split, "abc", 16 if split == "Training" else 6)
        (images / split / "a" / "000.xml").write_text("<a/>")
    params = (root / "params.yaml").read_text()
    params = params.replace("exclude: []", "exclude: [c]").replace("rename: {}", "rename: {a: A}")
    (tmp_path / "params.yaml").write_text(params)
    outputs = make_outputs(tmp_path)
    told = ("--params", tmp_path / "params.yaml", "--images", images)
    found = run_command(
        "validate",
        root,
        *(*told, "--manifest", outputs.manifest, "--validation", outputs.validation),
        *("--quarantine", outputs.quarantine, "--data-docs", outputs.data_docs),
    )
    assert found.returncode == 0, found.stderr
    for words in (
        "splits by the names of the folders: Testing is test, Training is train",
        "no val is given: preprocess draws it from train",
        "2 side files passed over (2 .xml)",
        "classes left out by validate.classes: c (22)",
        "classes renamed by validate.classes.rename: a is A",
    ):
        assert words in found.stdout
    verdict = json.loads(outputs.validation.read_text())
    assert verdict["classes"] == {"A": 22, "b": 22}
    assert "splits by the names" in (outputs.data_docs / "index.html").read_text()
    manifest = read_manifest(outputs.manifest)
    assert set(manifest["status"]) == {OK}
    drawn = []
    for name in ("one", "two"):
        splits, shards = tmp_path / name / "splits.parquet", tmp_path / name / "shards"
        found = run_command(
            "preprocess",
            root,
            *(*told, "--manifest", outputs.manifest, "--splits", splits, "--shards", shards),
        )
        assert found.returncode == 0, found.stderr
        drawn.append(pd.read_parquet(splits))
    pd.testing.assert_frame_equal(*drawn)
    rows = drawn[0].merge(manifest[["path", "split"]], on="path", suffixes=("", "_given"))
    assert (rows.loc[rows["split_given"] == "test", "split"].dropna() == "test").all()
    carved = rows[rows["split"] == "val"]
    assert len(carved) > 0
    assert set(carved["split_given"]) == {"train"}


def test_defaults_of_the_settings_are_legal():
    assert LayoutSettings() == Params().layout
    assert ClassSettings() == Params().classes
