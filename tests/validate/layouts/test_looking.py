"""What a look at names and tables says of folders as people have them."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.common.cli import run_room
from components.common.errors import DarkroomError
from components.validate.layouts import looking
from components.validate.layouts.layout import read_layout
from components.validate.layouts.looking import look
from components.validate.spec import LayoutSettings, Params

ROOT = Path(__file__).parents[3]


def write_image(file: Path, seed: int, size: tuple[int, int] = (12, 10)) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), np.uint8)
    Image.fromarray(noise).save(file)


def write_images(folder: Path, count: int, name: str = "{}.png") -> None:
    for number in range(count):
        write_image(folder / name.format(number), hash((str(folder), number)) % 2**32)


def test_rows_whose_file_is_missing_are_told_and_not_counted(tmp_path: Path) -> None:
    write_images(tmp_path, 8)
    rows = [f"{number}.png,{'ab'[number % 2]}" for number in range(12)]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label", *rows]))
    sight = look(tmp_path, Params())
    assert (sight.images, sight.classes) == (8, {"a": {"": 4}, "b": {"": 4}})
    said = "\n".join(sight.lines)
    assert "8 images of 2 classes: a 4, b 4" in said
    assert "labels.csv: 4 of 12 rows find no file, such as '8.png', '9.png', '10.png'" in said
    assert "no image" not in said


def test_classes_splits_sizes_and_what_is_odd(tmp_path: Path) -> None:
    for split, count in (("Training", 12), ("Testing", 4)):
        write_images(tmp_path / split / "Käfer", count)
        write_images(tmp_path / split / "Hund", count, "IMG_{}.jpg")
    train = tmp_path / "Training"
    write_image(train / "Hund" / "large.png", 1, (40, 30))
    (train / "Hund" / "broken.jpg").write_bytes(b"no image")
    (train / "Hund" / "notes.txt").write_text("mine")
    (train / "Sonstiges").mkdir()
    shutil.copy(train / "Hund" / "IMG_1.jpg", train / "Hund" / "copy.jpg")
    shutil.copy(train / "Hund" / "IMG_2.jpg", train / "Käfer" / "IMG_2.jpg")
    sight = look(tmp_path, Params())
    assert sight.classes == {"Hund": {"train": 15, "test": 4}, "Käfer": {"train": 13, "test": 4}}
    assert (sight.images, sight.shorter_px, sight.settings) == (36, 10, {})
    said = "\n".join(sight.lines)
    assert "36 images of 2 classes: Hund 19, Käfer 17" in said
    assert "Training/Sonstiges: a class folder with no image in it, at which a run ends" in said
    ignoring = Params(layout=LayoutSettings(ignore=["*.txt", "Sonstiges/"]))
    assert "Sonstiges" not in "\n".join(look(tmp_path, ignoring).lines)
    assert "given splits: train 28, test 8" in said
    assert "12 × 10 px at the median, 10 to 40 px" in said
    assert "1 of 36 looked at is no image, such as Training/Hund/broken.jpg" in said
    assert "1 side file passed over (1 .txt)" in said
    assert "2 files are copies of others" in said
    assert "1 of these pictures has two labels" in said
    assert "Training/Käfer/IMG_2.jpg (Käfer)" in said


def test_labels_in_file_names_become_a_pattern(tmp_path: Path) -> None:
    write_images(tmp_path, 6, "cat_{}.png")
    write_images(tmp_path, 6, "dog_{}.png")
    with pytest.raises(DarkroomError, match="would read 2 classes"):
        read_layout(tmp_path)
    sight = look(tmp_path, Params())
    assert sight.classes == {"cat": {"": 6}, "dog": {"": 6}}
    pattern, reason = sight.settings["validate.layout.label_pattern"]
    assert re.search(pattern, "cat_3.png")[1] == "cat"  # type: ignore[index]
    assert "names of the files" in reason
    for number, file in enumerate(sorted(tmp_path.glob("*.png"))):
        file.rename(tmp_path / f"{number:03d}.png")
    with pytest.raises(DarkroomError, match="nothing says of which class"):
        look(tmp_path, Params())


def test_a_person_is_told_the_settings_that_it_took(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_images(tmp_path, 6, "cat_{}.png")
    write_images(tmp_path, 6, "dog_{}.png")
    run_room("validate", ["look", str(tmp_path), "--params", str(ROOT / "params.yaml")])
    (line,) = (one for one in capsys.readouterr().out.splitlines() if "label_pattern" in one)
    assert "read with validate.layout.label_pattern: " in line
    assert "which is not set so in" in line


def test_splits_inside_classes_are_no_deeper_classes(tmp_path: Path) -> None:
    for path in ("cat/train", "cat/test", "dog/train", "dog/test"):
        write_images(tmp_path / path, 3)
    sight = look(tmp_path, Params())
    assert sight.classes["cat"] == {"train": 3, "test": 3}
    assert "class_depth" not in "\n".join(sight.lines)


def test_of_a_test_without_labels_it_is_said_where_the_test_comes_from(tmp_path: Path) -> None:
    for path in ("train/cat", "train/dog", "val/cat", "val/dog", "test"):
        write_images(tmp_path / path, 3)
    said = "\n".join(look(tmp_path, Params()).lines)
    assert "test: 3 images with no labels" in said
    assert "no test with labels is given: preprocess draws it from train" in said
    for path in ("test/cat", "test/dog"):
        write_images(tmp_path / path, 3)
    for file in (tmp_path / "test").glob("*.png"):
        file.unlink()
    assert "no test" not in "\n".join(look(tmp_path, Params()).lines)


def test_settings_of_other_images_are_taken_back_and_fitting_ones_stay(tmp_path: Path) -> None:
    write_images(tmp_path / "a", 3)
    write_images(tmp_path / "b", 3)
    layout = LayoutSettings(splits={"fold1": "train"}, path_column="file")
    sight = look(tmp_path, dataclasses.replace(Params(), layout=layout))
    assert {key: value for key, (value, _) in sight.settings.items()} == {
        "validate.layout.splits": "auto",
        "validate.layout.path_column": "",
    }
    fits = LayoutSettings(splits={"a": "train", "b": "test"}, label_pattern=r"(\d)\.png")
    own = look(tmp_path, dataclasses.replace(Params(), layout=fits))
    assert own.settings == {}
    assert own.classes["0"] == {"train": 1, "test": 1}


def test_doubts_are_told_with_the_line_that_settles_them(tmp_path: Path) -> None:
    for fold in ("fold1", "fold2"):
        write_images(tmp_path / fold / "cat", 2)
        write_images(tmp_path / fold / "dog", 2)
    with pytest.raises(DarkroomError, match="if they are classes, `splits: none`"):
        look(tmp_path, Params())
    (tmp_path / "empty").mkdir()
    with pytest.raises(DarkroomError, match="no images in it"):
        look(tmp_path / "empty", Params())


def test_deeper_classes_and_groups_are_suspected(tmp_path: Path) -> None:
    for path in ("animal/cat", "animal/dog", "vehicle/car"):
        write_images(tmp_path / "deep" / path, 3)
    (line,) = (one for one in look(tmp_path / "deep", Params()).lines if "class_depth: 2" in one)
    assert "3 folders, such as animal/cat" in line
    assert "class_depth" not in "\n".join(look(tmp_path / "deep" / "animal", Params()).lines)
    for patient in range(6):
        label = ("ill", "well")[patient % 2]
        write_images(tmp_path / "people" / label, 3, f"patient{patient:02d}" + "_{}.png")
    (line,) = (one for one in look(tmp_path / "people", Params()).lines if "6 groups" in one)
    pattern = re.search("label_pattern: '(.*)'` in section", line)[1]  # type: ignore[index]
    told = dataclasses.replace(Params(), layout=LayoutSettings(label_pattern=pattern))
    files = read_layout(tmp_path / "people", told).files
    assert set(files["group"]) == {f"patient{n:02d}" for n in range(6)}
    assert set(files["label"]) == {"ill", "well"}
    # Numbers alone, and names that number a class, say nothing of groups.
    for label in ("cat", "dog"):
        write_images(tmp_path / "plain" / label, 6, label + "_2024_{}.png")
    assert "groups" not in "\n".join(look(tmp_path / "plain", Params()).lines)


def test_of_an_outline_only_whole_files_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(looking, "SAMPLED", 3)
    folder, facts = tmp_path / "photos", tmp_path / "facts.json"
    for label in ("a", "b"):
        write_images(folder / label, 2)
        for number in range(4):
            (folder / label / f"empty{number}.png").touch()
    facts.write_text(json.dumps({"sampled": ["a/0.png", "b/1.png"]}))
    answer = tmp_path / "sight.json"
    run_room(
        "validate",
        ["look", str(folder), "--params", str(ROOT / "params.yaml"), "--outline", str(facts),
         "--json", str(answer)],
    )  # fmt: skip
    said = capsys.readouterr().out
    assert "12 images of 2 classes: a 6, b 6" in said
    assert "PNG (2 of them looked at)" in said
    assert "no image" not in said
    assert "copies" not in said
    assert json.loads(answer.read_text())["shorter_px"] == 10


def test_one_folder_whose_names_tell_of_classes_is_none(tmp_path: Path) -> None:
    write_images(tmp_path / "all of it", 6, "cat_{}.png")
    write_images(tmp_path / "all of it", 6, "dog_{}.png")
    with pytest.raises(DarkroomError, match=r"lie in one folder, all of it, .*label_pattern"):
        read_layout(tmp_path)
    sight = look(tmp_path, Params())
    assert sight.classes == {"cat": {"": 6}, "dog": {"": 6}}
    assert "validate.layout.label_pattern" in sight.settings


@pytest.mark.parametrize(
    ("values", "suspected"),
    [
        ([f"Ann {n // 4}" for n in range(48)], True),  # twelve persons of four images
        ([f"{n / 7:.2f}" for n in range(24)] * 2, False),  # measured
        ([f"note {n}" for n in range(48)], False),  # one each
        (["front", "back"] * 24, False),  # a slice
    ],
)
def test_a_column_whose_values_come_back_may_be_of_groups(
    tmp_path: Path, values: list[str], suspected: bool
) -> None:
    write_images(tmp_path, len(values))
    rows = [f"{number}.png,{'ab'[number % 2]},{value}" for number, value in enumerate(values)]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label,who", *rows]))
    said = "\n".join(look(tmp_path, Params()).lines)
    assert ("validate.layout.group_column: who" in said) == suspected
