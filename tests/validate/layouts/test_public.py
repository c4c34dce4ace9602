"""Public data sets as they are unpacked, with the lists that only they have."""

import json
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


def test_numbers_of_classes_are_written_as_the_folders_write_them(tmp_path):
    """As the German traffic signs have it: 00007 is a folder, 7 stands in the table of the test."""
    touch(tmp_path, *(f"Final_Training/Images/{i:05}/1.ppm" for i in (0, 7, 12)))
    touch(tmp_path, *(f"Final_Test/Images/{i:05}.ppm" for i in range(3)))
    rows = "".join(f"{i:05}.ppm;30;{name}\n" for i, name in enumerate((12, 0, 7)))
    write(tmp_path, "Final_Test/Images/GT-final_test.csv", "Filename;Width;ClassId\n" + rows)
    layout = read(tmp_path)
    assert [label for label, _ in said(layout).values()] == [
        *("00012", "00000", "00007"),
        *("00000", "00007", "00012"),
    ]
    assert any("12 as 00012" in note or "0 as 00000" in note for note in layout.notes)


def test_a_number_for_each_class_says_the_same_as_the_folders(tmp_path):
    touch(tmp_path, *(f"{name}/{i}.jpg" for name in CLASSES for i in range(3)))
    rows = [f"{name}/{i}.jpg,{n}\n" for n, name in enumerate(CLASSES) for i in range(3)]
    write(tmp_path, "labels.csv", "path,label\n" + "".join(rows))
    assert set(read(tmp_path).files["label"]) == set(CLASSES)
    rows[0], rows[4] = rows[0].replace(",0", ",1"), rows[4].replace(",1", ",2")
    write(tmp_path, "labels.csv", "path,label\n" + "".join(rows))
    with pytest.raises(DarkroomError, match=re.escape("`table: labels.csv`")):
        read(tmp_path)


def test_coco_of_each_split_that_says_other_classes_than_the_folders(tmp_path):
    """As iNaturalist has it: folders of phyla, and species in JSON."""
    for split, numbers in {"train2018": range(6), "val2018": range(6, 9)}.items():
        names = {i: f"photos/{('Aves', 'Plantae')[i % 3 > 0]}/{i % 3}/{i}a.jpg" for i in numbers}
        touch(tmp_path, *names.values())
        value = {
            "images": [{"id": i, "file_name": name} for i, name in names.items()],
            "annotations": [{"id": i, "image_id": i, "category_id": i % 3} for i in names],
            "categories": [{"id": i, "name": name} for i, name in enumerate(CLASSES)],
        }
        write(tmp_path, f"{split}.json", json.dumps(value))
    with pytest.raises(DarkroomError, match=re.escape("`table: '*2018.json'`")):
        read(tmp_path)
    found = said(read(tmp_path, table="*2018.json"))
    assert {int(path.rsplit("/", 1)[1][:-5]): told for path, told in found.items()} == {
        i: (CLASSES[i % 3], "train" if i < 6 else "val") for i in range(9)
    }


def test_a_pattern_names_the_tables_of_all_splits(tmp_path):
    """As the aircraft of Oxford have it: variants, families and makers, each in several lists."""
    splits = {"train": range(4), "val": range(4, 6), "test": range(6, 9), "trainval": range(6)}
    touch(tmp_path, *(f"images/{i:07}.jpg" for i in range(9)))
    for split, numbers in splits.items():
        for level, names in {"variant": CLASSES, "family": ("A 3", "B 7")}.items():
            lines = "".join(f"{i:07} {names[i % len(names)]}\n" for i in numbers)
            write(tmp_path, f"images_{level}_{split}.txt", lines)
    with pytest.raises(DarkroomError, match=re.escape("`table: 'images_family_*.txt'`")):
        read(tmp_path)
    assert list(said(read(tmp_path, table="images_variant_*.txt")).values()) == [
        (CLASSES[i % 3], "train" if i < 4 else "val" if i < 6 else "test") for i in range(9)
    ]
    with pytest.raises(DarkroomError, match="no such file is in it"):
        read(tmp_path, table="images_maker_*.txt")


def test_folders_of_records_beside_splits_are_passed_over(tmp_path):
    touch(tmp_path, *(f"train_images/{i}.jpg" for i in range(6)), "test_images/7.jpg")
    touch(tmp_path, "train_tfrecords/ld_train00-1338.tfrec", "test_tfrecords/ld_test00-1.tfrec")
    rows = "".join(f"{i}.jpg,{i % 3}\n" for i in range(6))
    write(tmp_path, "train.csv", "image_id,label\n" + rows)
    layout = read(tmp_path)
    assert [label for label, _ in said(layout).values()] == [*"012012"]
    assert any("train_tfrecords: 1 file passed over" in note for note in layout.notes)


def test_a_folder_that_sounds_like_a_split_beside_folders_of_classes_is_asked_about(tmp_path):
    touch(tmp_path, "data_large/a/attic/1.jpg", "data_large/b/bar/1.jpg", "val_large/1.jpg")
    with pytest.raises(DarkroomError, match=re.escape("{data_large: train, val_large: val}")):
        read(tmp_path)


@pytest.mark.parametrize(
    ("names", "form"),
    [
        (["data/train-00000-of-00001.parquet"], "Parquet"),
        (["train/data-00000-of-00001.arrow", "train/state.json"], "Arrow"),
        (["tfrecords/train/train-00000-of-00002.tfrecord"], "TFRecord"),
        (["mnist/3.0.1/mnist-train.tfrecord-00000-of-00001"], "TFRecord"),
        (["cifar-10-batches-py/data_batch_1", "cifar-10-batches-py/batches.meta"], "CIFAR"),
        (["MNIST/raw/train-images-idx3-ubyte", "MNIST/raw/t10k-labels-idx1-ubyte"], "MNIST"),
        (["pathmnist.npz"], "NumPy"),
        (["train.h5", "test.h5"], "HDF5"),
        (["fashion-mnist_train.csv"], "tables, as numbers of pixels"),
    ],
)
def test_images_inside_other_files_are_named_with_what_to_do(tmp_path, names, form):
    touch(tmp_path, *names)
    with pytest.raises(DarkroomError, match=f"inside these, in .*{form}.*docs/data.md"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["imagelabels.mat"], "1 .mat, MATLAB's own files, are not read: docs/data.md"),
        (["annotations.xml"], "let CVAT export the form ImageNet"),
        ([f"labels/train/{i}.txt" for i in range(4)], "4 .txt are not read: one an image"),
        ([f"{i}.json" for i in range(4)], "4 .json are not read: one an image"),
    ],
)
def test_labels_in_other_forms_are_named(tmp_path, names, words):
    touch(tmp_path, *(f"images/train/{i}.jpg" for i in range(4)), *names)
    with pytest.raises(DarkroomError, match=re.escape(words)):
        read(tmp_path)
