"""Given splits that neither folders nor metadata.csv say: lists, and tables with such a column."""

import json

import pytest
import yaml

from components.common.errors import DarkroomError

from .test_folders import read, said
from .test_layout import touch
from .test_tables import write

IMAGES = [f"images/{name}/{i}.jpg" for name in ("cat", "dog") for i in range(4)]
SPLITS = ["train", "train", "val", "test"] * 2
GIVEN = dict(zip(IMAGES, SPLITS, strict=True))


def listing(split: str, form: str = "{}", *others: str) -> str:
    names = [path for path, given in GIVEN.items() if given in (split, *others)]
    return "".join(
        form.format(name.removeprefix("images/").removesuffix(".jpg")) + "\n" for name in names
    )


def splits_of(root, **settings) -> dict[str, str]:
    return {path: split for path, (_, split) in said(read(root, **settings)).items()}


@pytest.mark.parametrize(
    ("names", "form"),
    [
        (("train.txt", "val.txt", "test.txt"), "images/{}.jpg"),
        (("meta/train.txt", "meta/val.txt", "meta/test.txt"), "{}"),
        (("train_list.csv", "val_list.csv", "test_list.csv"), "{}.jpg"),
        (("splits/Train.lst", "splits/Validation.lst", "splits/Test.lst"), "./images/{}.jpg"),
        (("labels/train1.txt", "labels/val1.txt", "labels/test1.txt"), "{}.jpg"),
        (("images_train.txt", "images_val.txt", "images_test.txt"), "/data/me/images/{}.jpg 7"),
    ],
)
def test_a_list_of_each_split(tmp_path, names, form):
    touch(tmp_path, *IMAGES)
    for name, split in zip(names, ("train", "val", "test"), strict=True):
        write(tmp_path, name, listing(split, form))
    write(tmp_path, "labels/train2.txt", listing("test", form))  # drawn once more
    write(tmp_path, "classes.txt", "cat\ndog\n")
    assert splits_of(tmp_path) == GIVEN
    told = " ".join(read(tmp_path).notes)
    assert "4 train, 2 val, 2 test" in told
    assert all(name in told for name in names)
    assert set(splits_of(tmp_path, splits="none").values()) == {""}


def test_lists_of_stems_in_one_folder_of_images(tmp_path):
    """As Pascal VOC has them; a class of each name comes from the names."""
    touch(tmp_path, *(f"JPEGImages/{name}_{i}.jpg" for name in ("cat", "dog") for i in range(3)))
    for split, numbers in {"train": (0,), "val": (1,), "trainval": (0, 1)}.items():
        lines = "".join(f"{name}_{i}\n" for name in ("cat", "dog") for i in numbers)
        write(tmp_path, f"ImageSets/Main/{split}.txt", lines)
        write(tmp_path, f"ImageSets/Main/cat_{split}.txt", "cat_0 1\ndog_0 -1\n")
    layout = read(tmp_path, label_pattern=r"([^/]+)_\d+\.\w+$")
    assert [split for _, split in said(layout).values()] == ["train", "val", ""] * 2
    assert any("2 images are in none" in note for note in layout.notes)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({split: [p for p in IMAGES if GIVEN[p] == split] for split in set(SPLITS)}),
        json.dumps({s: [[p, 0, "x"] for p in IMAGES if GIVEN[p] == s] for s in set(SPLITS)}),
        json.dumps({s: [{"image": p} for p in IMAGES if GIVEN[p] == s] for s in set(SPLITS)}),
    ],
)
def test_an_object_of_splits(tmp_path, text):
    assert splits_of(write(touch(tmp_path, *IMAGES), "split.json", text)) == GIVEN


@pytest.mark.parametrize("columns", ["file,set", "id,split,label", "name,subset,camera"])
def test_a_table_with_a_column_of_splits(tmp_path, columns):
    rest = ["x,"] * columns.count(",")
    rows = "".join(
        f"{path},{split}{',' + path.split('/')[1] if len(rest) > 1 else ''}\n"
        for path, split in GIVEN.items()
    )
    write(touch(tmp_path, *IMAGES), "splits.csv", f"{columns}\n{rows}")
    assert splits_of(tmp_path) == GIVEN
    assert any("the splits from its column" in note for note in read(tmp_path).notes)


def test_the_numbers_of_caltechs_birds(tmp_path):
    touch(tmp_path, *IMAGES)
    write(tmp_path, "images.txt", "".join(f"{i} {p[7:]}\n" for i, p in enumerate(IMAGES, 1)))
    flags = "".join(f"{i} {int(split == 'train')}\n" for i, split in enumerate(SPLITS, 1))
    write(tmp_path, "train_test_split.txt", flags)
    assert list(splits_of(tmp_path).values()) == ["train", "train", "test", "test"] * 2


def test_the_numbers_of_caltechs_birds_without_class_folders(tmp_path):
    flat = [f"images/{path.split('/')[1]}_{i}.jpg" for i, path in enumerate(IMAGES)]
    touch(tmp_path, *flat)
    write(tmp_path, "images.txt", "".join(f"{i} {p[7:]}\n" for i, p in enumerate(flat, 1)))
    numbers = "".join(f"{i} {1 + ('dog' in path)}\n" for i, path in enumerate(flat, 1))
    labels = write(tmp_path, "image_class_labels.txt", numbers) / "image_class_labels.txt"
    write(tmp_path, "classes.txt", "1 001.Cat\n2 002.Big dog\n")
    found = {path: label for path, (label, _) in said(read(tmp_path)).items()}
    assert found == {path: "002.Big dog" if "dog" in path else "001.Cat" for path in flat}
    labels.unlink()  # what is left says no class: the numbers are of rows
    with pytest.raises(DarkroomError, match="nothing says of which class"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("lists", "why"),
    [
        (("train", "train", "val"), "2 images stand in two of them"),
        (("nothing", "train"), "few lines are files"),
    ],
)
def test_lists_that_cannot_be_kept_are_said(tmp_path, lists, why):
    touch(tmp_path, *IMAGES)
    write(tmp_path, "train.txt", listing(lists[0]) if lists[0] == "train" else "1234\n5678\n")
    write(tmp_path, "test.txt", listing(*lists[1:2], "images/{}.jpg", *lists[2:]))
    layout = read(tmp_path)
    assert set(layout.files["split"]) == {""}
    (note,) = (note for note in layout.notes if "preprocess draws its own" in note)
    assert "test.txt, train.txt" in note
    assert why in note or "4 images" in note


@pytest.mark.parametrize(
    ("column", "value", "other"), [("is_valid", "val", "train"), ("is_test", "test", "train")]
)
def test_a_column_of_yes_and_no(tmp_path, column, value, other):
    touch(tmp_path, *IMAGES)
    rows = "".join(f"{p},{p.endswith('3.jpg')}\n" for p in IMAGES)
    write(tmp_path, "metadata.csv", f"path,{column}\n{rows}")
    assert list(splits_of(tmp_path).values()) == [other, other, other, value] * 2


NUMBERS = {"train": "0", "val": "1", "test": "2"}


@pytest.mark.parametrize("column", ["partition", "split", "fold"])
def test_numbers_of_splits_are_no_labels_and_one_line_names_them(tmp_path, column):
    """As CelebA has them: nothing in the folder says what 0, 1 and 2 are."""
    touch(tmp_path, *(path.replace("/cat/", "/").replace("/dog/", "/d") for path in IMAGES))
    names = [path.replace("/cat/", "/").replace("/dog/", "/d") for path in IMAGES]
    rows = "".join(f"{p},{NUMBERS[s]}\n" for p, s in zip(names, SPLITS, strict=True))
    write(tmp_path, "list.csv", f"image_id,{column}\n{rows}")
    with pytest.raises(DarkroomError, match="nothing says of which class"):
        read(tmp_path)
    labelled = "".join(
        f"{p},{NUMBERS[s]},{'ab'[i % 2]}\n"
        for i, (p, s) in enumerate(zip(names, SPLITS, strict=True))
    )
    write(tmp_path, "list.csv", f"image_id,{column},label\n{labelled}")
    try:
        (told,) = (note for note in read(tmp_path).notes if "to keep them" in note)
    except DarkroomError as error:
        told = str(error)
    line = "`splits: {'0': train, '1': val, '2': test}`"
    assert f"`split_column: {column}` and {line}" in told
    settings = yaml.safe_load(line.strip("`"))
    found = splits_of(tmp_path, split_column=column, table="list.csv", **settings)
    assert found == dict(zip(names, SPLITS, strict=True))
