"""Tables and lists that are not read, or hold less than one hopes: what is said of them."""

import pytest

from .test_folders import read, refuse
from .test_layout import touch
from .test_tables import labels, write


def test_given_splits_that_are_not_read_are_said(tmp_path):
    touch(tmp_path / "a", *(f"{name}/{i}.jpg" for name in ("cat", "dog") for i in range(3)))
    rows = "".join(
        f"{name}/{i}.jpg,{split}\n"
        for name in ("cat", "dog")
        for i, split in enumerate(("train", "test", "train"))
    )
    write(tmp_path / "a", "split.csv", f"file,set\n{rows}")
    told = " ".join(read(tmp_path / "a").notes)
    assert "split.csv names 6 of 6 images, and is not read; `table: split.csv`" in told
    assert "takes the splits from its column set" in told
    layout = read(tmp_path / "a", table="split.csv")
    assert layout.files["split"].tolist() == ["train", "test", "train"] * 2


@pytest.mark.parametrize(
    "lists",
    [
        ("meta/train.txt", "meta/test.txt"),
        ("train_list.csv", "val_list.csv"),
        ("ImageSets/Main/train.txt", "ImageSets/Main/val.txt", "ImageSets/Main/trainval.txt"),
        ("train_test_split.txt",),
    ],
)
def test_lists_of_splits_beside_class_folders_are_said(tmp_path, lists):
    touch(tmp_path, "images/cat/1.jpg", "images/dog/2.jpg")
    for name in lists:
        write(tmp_path, name, "images/cat/1.jpg\n")
    layout = read(tmp_path)
    assert list(labels(layout).values()) == ["cat", "dog"]
    (note,) = (note for note in layout.notes if "preprocess draws its own" in note)
    assert all(name in note for name in lists)
    assert not any("draws its own" in note for note in read(tmp_path, splits="none").notes)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "file,width,height\n1.jpg,3,5\n2.jpg,4,6\n",
            "none of its columns is known to hold them (width, height)",
        ),
        ("file\n1.jpg\n2.jpg\n", "beside their names it holds none"),
        ("file,label\n1.jpg,\n2.jpg,\n", "in its column label stands nothing"),
        ("file,label\n", "metadata.csv has no rows"),
    ],
)
def test_a_table_that_was_read_and_holds_no_labels(tmp_path, text, words):
    touch(tmp_path, "1.jpg", "2.jpg", "3.jpg")
    message = refuse(write(tmp_path, "metadata.csv", text))
    assert words in message
    assert "if metadata.csv does" not in message


def test_numbers_that_a_spreadsheet_rounded(tmp_path):
    touch(tmp_path, "123456789012.jpg", "123456789013.jpg")
    rows = "id,label\n1.23457E+11,a\n1.23457E+11,b\n"
    assert "a spreadsheet rounded the numbers" in refuse(write(tmp_path, "labels.csv", rows))
    rows = "id,label\n1.23457E+11,a\n123456789013,b\n"
    layout = read(write(tmp_path, "metadata.csv", rows))
    assert any("a spreadsheet rounded the numbers" in note for note in layout.notes)
