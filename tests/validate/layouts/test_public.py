"""Public data sets as they are unpacked, with the lists that only they have."""

import re

import pytest

from components.common.errors import DarkroomError

from .test_folders import read, said
from .test_layout import touch
from .test_tables import write

CLASSES = ("bicycle", "cat", "person")


@pytest.mark.parametrize("root", ["", "VOCdevkit/VOC2012/"])
def test_the_classes_and_splits_of_pascal_voc(tmp_path, root):
    splits = {"train": range(6), "val": range(6, 9), "trainval": range(9), "test": range(9, 12)}
    classes = {i: {CLASSES[i % 3]} | ({"person"} if i == 4 else set()) for i in range(12)}
    touch(tmp_path, *(f"{root}JPEGImages/2008_{i:06}.jpg" for i in range(12)))
    touch(tmp_path, f"{root}SegmentationObject/2008_000001.png", f"{root}SegmentationClass/a.png")
    for split, numbers in splits.items():
        lines = "".join(f"2008_{i:06}\n" for i in numbers)
        write(tmp_path, f"{root}ImageSets/Main/{split}.txt", lines)
        write(tmp_path, f"{root}ImageSets/Segmentation/{split}.txt", lines[:12])
        for name in CLASSES:
            marks = {i: " 1" if name in classes[i] else ("-1", " 0")[i == 5] for i in numbers}
            lines = "".join(f"2008_{i:06} {mark}\n" for i, mark in marks.items())
            write(tmp_path, f"{root}ImageSets/Main/{name}_{split}.txt", lines)
    layout = read(tmp_path)
    given = {
        f"{root}JPEGImages/2008_{i:06}.jpg": (
            "" if i == 4 else CLASSES[i % 3],
            "train" if i < 6 else "val" if i < 9 else "test",
        )
        for i in range(12)
    }
    assert said(layout) == given
    assert list(layout.rejected.values()) == ["several labels: cat, person"]


def make_celeba(root, form: str) -> dict[str, str]:
    """Write nine faces as the authors' lists have them, or Kaggle's tables; return their splits."""
    names = [f"{i:06}.jpg" for i in range(1, 10)]
    touch(root, *(f"img_align_celeba/{name}" for name in names))
    attributes = {name: ["1 -1", "-1  1", "1  1"][i % 3].split() for i, name in enumerate(names)}
    numbers = {name: str(i // 3) for i, name in enumerate(names)}
    if form == "csv":
        rows = "".join(f"{name},{','.join(cells)}\n" for name, cells in attributes.items())
        write(root, "list_attr_celeba.csv", "image_id,Male,Smiling\n" + rows)
        rows = "".join(f"{name},{number}\n" for name, number in numbers.items())
        write(root, "list_eval_partition.csv", "image_id,partition\n" + rows)
    else:
        rows = "".join(f"{name} {'  '.join(cells)}\n" for name, cells in attributes.items())
        write(root, "list_attr_celeba.txt", f"9\nMale Smiling \n{rows}")
        rows = "".join(f"{name} {number}\n" for name, number in numbers.items())
        write(root, "list_eval_partition.txt", rows)
        rows = "".join(f"{name} {i // 2}\n" for i, name in enumerate(names))
        write(root, "identity_CelebA.txt", rows)
    splits = ("train", "val", "test")
    return {f"img_align_celeba/{name}": splits[i // 3] for i, name in enumerate(names)}


@pytest.mark.parametrize("form", ["csv", "txt"])
def test_celeba_asks_which_answer_is_wanted_and_keeps_its_splits(tmp_path, form):
    splits = make_celeba(tmp_path, form)
    line = f"`table: list_attr_celeba.{form}` and `label_column: Male`"
    with pytest.raises(DarkroomError, match=re.escape(line)):
        read(tmp_path)
    layout = read(tmp_path, table=f"list_attr_celeba.{form}", label_column="Smiling")
    assert {path: split for path, (_, split) in said(layout).items()} == splits
    assert list(layout.files["label"]) == ["-1", "1", "1"] * 3


def test_what_a_test_and_a_train_both_hold_beside_the_labels_is_none(tmp_path):
    touch(tmp_path, *(f"train/{i}.jpg" for i in range(6)), *(f"test/{i}.jpg" for i in range(6, 9)))
    rows = "".join(f"{i}.jpg,{CLASSES[i % 3]},{i % 2}\n" for i in range(6))
    write(tmp_path, "train.csv", "Image,Class,camera\n" + rows)
    write(tmp_path, "test.csv", "Image,camera\n6.jpg,0\n7.jpg,1\n8.jpg,1\n")
    layout = read(tmp_path)
    assert [label for label, _ in said(layout).values()] == [*CLASSES, *CLASSES]
    assert any("3 images with no labels" in note for note in layout.notes)
