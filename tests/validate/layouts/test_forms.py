"""Tables in the forms that programs write: JSON of many kinds, JSON in cells, a column a class."""

import json

import pandas as pd
import pytest

from .test_folders import read, refuse
from .test_layout import touch
from .test_tables import labels, write

TWO = ["1.jpg", "2.jpg"]
JSON = {
    "names": {"1.jpg": "cat", "2.jpg": "dog"},
    "lists": {"1.jpg": ["cat"], "2.jpg": ["dog"]},
    "objects": {"1.jpg": {"label": "cat"}, "2.jpg": {"label": "dog"}},
    "files of a class": {"cat": ["1.jpg"], "dog": ["2.jpg"]},
    "a list inside": {"version": 2, "data": [{"file": "1.jpg", "label": "cat"},
                                             {"file": "2.jpg", "label": "dog"}]},
    "columns": {"file": TWO, "label": ["cat", "dog"]},
    "VIA": {f"{name}77": {"filename": name, "file_attributes": {"class": label}, "regions": []}
            for name, label in zip(TWO, ("cat", "dog"), strict=True)},
    "COCO": {
        "images": [{"id": 8, "file_name": "1.jpg"}, {"id": 9, "file_name": "2.jpg"}],
        "annotations": [{"image_id": i, "category_id": c} for i, c in ((9, 1), (8, 0), (8, 0))],
        "categories": [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}],
    },
}  # fmt: skip


@pytest.mark.parametrize("form", [*JSON, "pandas", "index", "split", "records"])
def test_tables_in_json(tmp_path, form):
    touch(tmp_path, *TWO)
    if form in JSON:
        write(tmp_path, "metadata.json", json.dumps(JSON[form]))
    else:
        table = pd.DataFrame({"file": TWO, "label": ["cat", "dog"]}, index=[1, 0])
        orient = "columns" if form == "pandas" else form
        table.to_json(tmp_path / "metadata.json", orient=orient)
    assert labels(read(tmp_path)) == {"1.jpg": "cat", "2.jpg": "dog"}


def test_several_categories_of_an_image_in_coco(tmp_path):
    touch(tmp_path, *TWO)
    value = JSON["COCO"] | {"annotations": [{"image_id": 8, "category_id": i} for i in (0, 1)]}
    write(tmp_path, "metadata.json", json.dumps(value))
    assert read(tmp_path).rejected == {"1.jpg": "several labels: cat, dog"}


@pytest.mark.parametrize("value", [{"version": "1", "classes": ["a", "b"]}, {"a": 1, "b": {}}, {}])
def test_json_that_is_no_table_is_not_read_as_one(tmp_path, value):
    touch(tmp_path, *TWO)
    write(tmp_path, "metadata.json", json.dumps(value))
    assert "metadata.json: " in refuse(tmp_path)


def test_labels_in_json_objects(tmp_path):
    """As VGG's annotator exports them."""
    touch(tmp_path, *(f"{i}.jpg" for i in range(4)))
    rows = [
        (f"{i}.jpg", json.dumps({"class": "ab"[i % 2]}), json.dumps({"name": "rect", "x": i % 2}))
        for i in range(4)
    ]
    names = ["#filename", "file_attributes", "region_shape_attributes"]
    pd.DataFrame(rows, columns=names).to_csv(tmp_path / "via_export.csv", index=False)
    assert list(labels(read(tmp_path)).values()) == list("abab")


@pytest.mark.parametrize("marks", ["x ", "yn", "10", "YN"])
def test_a_column_a_class_with_any_mark(tmp_path, marks):
    touch(tmp_path, *(f"{i}.jpg" for i in range(4)))
    table = pd.DataFrame({"file": [f"{i}.jpg" for i in range(4)]})
    for place, name in enumerate("ab"):
        table[name] = [marks[(i + place) % 2].strip() for i in range(4)]
    table.to_csv(tmp_path / "classes.csv", index=False)
    assert list(labels(read(tmp_path)).values()) == list("abab")


def test_answers_yes_and_no_are_no_classes(tmp_path):
    touch(tmp_path, *(f"{i}.jpg" for i in range(4)))
    rows = "0.jpg,yes,yes\n1.jpg,no,no\n2.jpg,yes,no\n3.jpg,no,yes\n"
    write(tmp_path, "metadata.csv", "file,indoor,flash\n" + rows)
    assert "nothing says of which class" in refuse(tmp_path)


def test_a_class_that_a_small_split_lacks_is_no_slice(tmp_path):
    touch(tmp_path, *(f"train/{i}.jpg" for i in range(3)), "valid/3.jpg", "valid/4.jpg")
    rows = "0.jpg,1,0,0\n1.jpg,0,1,0\n2.jpg,0,0,1\n"
    write(tmp_path, "train/_classes.csv", "filename, a, b, c\n" + rows)
    write(tmp_path, "valid/_classes.csv", "filename, a, b, c\n3.jpg,1,0,0\n4.jpg,0,1,0\n")
    layout = read(tmp_path)
    assert (list(labels(layout).values()), layout.slices) == (list("abcab"), [])


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("'file','label'\n'1.jpg','cat'\n'2.jpg','dog'\n", "quotes around all cells"),
        ('file,label\n"=""1.jpg""",cat\n"=""2.jpg""",dog\n', "quotes around all cells"),
        ("file,label\n1.jpg,cat\nfile,label\n2.jpg,dog\n", "1 row of names among the others"),
        ("1.jpg,cat,x\n2.jpg,dog,x\n", "no row of names; its columns are taken for path"),
        ("1,cat\n2,dog\n", "no row of names; its columns are taken for path and label"),
        ("file,label\n1.jpg,cat\n2.jpg,dog\n\0\0\0\n", "1 of 3 rows find no file"),
    ],
)
def test_what_programs_leave_in_a_csv(tmp_path, text, note):
    touch(tmp_path, *TWO)
    layout = read(write(tmp_path, "metadata.csv", text))
    found = labels(layout)
    assert {name: found[name] for name in TWO} == {"1.jpg": "cat", "2.jpg": "dog"}
    assert any(note in line for line in layout.notes)


def test_a_list_with_splits_and_addresses(tmp_path):
    """As a cloud's training service imports it."""
    touch(tmp_path, *(f"{i}.jpg" for i in range(4)))
    splits = ("TRAIN", "VALIDATION", "TEST", "TRAIN")
    rows = "".join(f"{split},gs://b/{i}.jpg,{'ab'[i % 2]}\n" for i, split in enumerate(splits))
    layout = read(write(tmp_path, "import.csv", rows))
    assert list(labels(layout).values()) == list("abab")
    assert layout.files["split"].tolist() == ["train", "val", "test", "train"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("My photos\nfile,label\n1.jpg,cat\n", "(Expected 1 fields in line 2, saw 2: a field with"),
        ('file,label\n"1.jpg,cat\n2.jpg,dog\n', "a quote that opens in row 1 is not closed"),
        ("file,split\n1.jpg,0\n", "split '0' is none; legal are train, val and test, or"),
    ],
)
def test_errors_of_tables_are_in_plain_words(tmp_path, text, words):
    touch(tmp_path, *TWO)
    message = refuse(write(tmp_path, "metadata.csv", text))
    assert words in message
    assert "C error" not in message


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_of_hardly_any_latin_letters(tmp_path, encoding):
    names = [f"{'猫' * 40}{i}" for i in range(3)]
    touch(tmp_path, *(f"{name}.jpg" for name in names))
    rows = "".join(f"{name},{'犬鳥'[i % 2] * 30}\n" for i, name in enumerate(names))
    layout = read(write(tmp_path, "metadata.csv", f"path,label\n{rows}", encoding))
    assert list(labels(layout).values()) == ["犬" * 30, "鳥" * 30, "犬" * 30]
