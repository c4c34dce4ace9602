"""Labels in names and paths; side files and side folders; no folder is read without a word."""

import random
import re
from pathlib import PurePosixPath

import pytest

from components.common.errors import DarkroomError
from components.common.images.listing import write_listing
from components.common.images.stores.listing import Entry
from components.validate.folders.listing import list_files
from components.validate.spec import LabelPattern

from .test_folders import read, refuse, said
from .test_layout import touch


def test_the_three_folders_of_a_public_data_set(tmp_path):
    for name in ("seg_train", "seg_test"):
        touch(tmp_path, f"{name}/{name}/sea/1.jpg", f"{name}/{name}/ice/2.jpg")
    touch(tmp_path, "seg_pred/seg_pred/3.jpg")
    layout = read(tmp_path)
    assert len(said(layout)) == 4
    assert any(note.startswith("seg_pred: 1 file passed over: no labels") for note in layout.notes)


@pytest.mark.parametrize("side", ["annotations", "Annotation", "labels", "masks", "xml"])
@pytest.mark.parametrize("images", ["images", "JPEGImages", "img"])
def test_images_and_annotations_are_no_two_classes(tmp_path, images, side):
    touch(tmp_path, f"{images}/cat/1.jpg", f"{images}/dog/2.jpg", f"{side}/cat/1.xml")
    touch(tmp_path, f"{side}/1.png", f"{side}/trimaps/2.png")
    layout = read(tmp_path)
    assert set(said(layout).values()) == {("cat", ""), ("dog", "")}
    assert layout.empty_classes == []
    assert any(side in note and "no class" in note for note in layout.notes)


def test_annotations_beside_class_folders_and_in_splits(tmp_path):
    touch(tmp_path / "a", "cat/1.jpg", "dog/2.jpg", "annotations/1.xml", "annotations/2.xml")
    layout = read(tmp_path / "a")
    assert set(said(layout).values()) == {("cat", ""), ("dog", "")}
    assert layout.empty_classes == []
    for split in ("train", "val"):
        touch(tmp_path / "b", f"{split}/images/cat/1.jpg", f"{split}/images/dog/1.jpg")
        touch(tmp_path / "b", f"{split}/labels/1.txt", f"{split}/labels/1.png")
    assert set(said(read(tmp_path / "b")).values()) == {
        *((label, split) for label in ("cat", "dog") for split in ("train", "val"))
    }


def test_masks_beside_images_in_each_class(tmp_path):
    for name in ("covid", "normal"):
        touch(tmp_path, f"{name}/images/1.png", f"{name}/masks/1.png")
    layout = read(tmp_path)
    assert set(said(layout)) == {"covid/images/1.png", "normal/images/1.png"}
    assert "2 files in 2 folders passed over" in layout.notes[0]


def test_splits_in_a_folder_beside_photos_for_predict(tmp_path):
    for split in ("train", "valid"):
        touch(tmp_path, f"Plants/{split}/scab/1.jpg", f"Plants/{split}/rust/1.jpg")
    touch(tmp_path, "test/test/1.jpg")
    layout = read(tmp_path)
    assert {split for _, split in said(layout).values()} == {"train", "val"}
    assert any(note.startswith("test/: 1 file passed over") for note in layout.notes)


def test_folds_that_each_hold_splits_stop_it(tmp_path):
    for fold in ("fold_0", "fold_1"):
        touch(tmp_path, *(f"{fold}/{s}/{c}/1.jpg" for s in ("train", "val") for c in "ab"))
    message = refuse(tmp_path)
    assert "fold_0, fold_1 each hold splits, and class folders in them" in message
    pattern = re.search(r"`label_pattern: '(.*?)'`", message)[1]
    assert said(read(tmp_path, label_pattern=pattern))["fold_0/val/b/1.jpg"] == ("b", "")


def test_flat_images_beside_annotations_ask_for_labels(tmp_path):
    touch(tmp_path, *(f"images/{n}_{i}.jpg" for n in ("great_dane", "pug") for i in range(3)))
    touch(tmp_path, "annotations/list.txt", "annotations/trimaps/pug_1.png")
    message = refuse(tmp_path)
    assert "nothing says of which class they are" in message
    assert "would read 2 classes (great_dane, pug)" in message
    pattern = re.search(r"`label_pattern: '(.*?)'`", message)[1]
    assert {label for label, _ in said(read(tmp_path, label_pattern=pattern)).values()} == {
        *("great_dane", "pug")
    }


@pytest.mark.parametrize(
    "names",
    [
        ("cat.0.jpg", "cat.1.jpg", "dog.0.jpg", "dog.1.jpg"),
        ("cat (1).jpg", "cat (2).jpg", "dog (1).jpg", "dog (2).jpg"),
        ("cat12.jpg", "cat13.jpg", "dog7.jpg", "dog8.jpg"),
        ("0001_cat.jpg", "0002_cat.jpg", "0003_dog.jpg", "0004_dog.jpg"),
        ("cat_left.jpg", "cat_right.jpg", "dog_left.jpg", "dog_right.jpg"),
    ],
)
def test_the_pattern_for_labels_in_names_is_offered(tmp_path, names):
    message = refuse(touch(tmp_path, *names))
    pattern = re.search(r"`label_pattern: '(.*?)'`", message)[1]
    labels = {label for label, _ in said(read(tmp_path, label_pattern=pattern)).values()}
    assert labels == {"cat", "dog"}


def test_groups_of_a_pattern_and_names_that_do_not_fit(tmp_path):
    touch(tmp_path, "p1_train_cat.jpg", "p2_test_dog.jpg", "odd.jpg")
    pattern = r"(?P<group>p\d+)_(?P<split>[a-z]+)_(?P<label>[a-z]+)"
    layout = read(tmp_path, label_pattern=pattern)
    assert said(layout) == {
        "odd.jpg": ("", ""),
        "p1_train_cat.jpg": ("cat", "train"),
        "p2_test_dog.jpg": ("dog", "test"),
    }
    assert layout.files["group"].tolist() == ["", "p1", "p2"]
    assert (
        "1 of 3 names do not fit validate.layout.label_pattern, such as 'odd.jpg'" in layout.notes
    )


@pytest.mark.parametrize("pattern", ["(", "no group", "(?P<breed>x)"])
def test_a_pattern_that_is_none_is_refused(pattern):
    with pytest.raises(ValueError, match="must be a regular expression"):
        LabelPattern().check(pattern)


def test_class_names_as_paths(tmp_path):
    touch(tmp_path, "animal/cat/1.jpg", "animal/dog/x/2.jpg", "plant/oak/3.jpg", "plant/4.jpg")
    layout = read(tmp_path, class_depth=2)
    labels = [label for label, _ in said(layout).values()]
    assert labels == ["animal/cat", "animal/dog", "", "plant/oak"]
    assert layout.rejected["plant/4.jpg"].startswith("no label: it lies in fewer folders")
    (tmp_path / "plant" / "elm").mkdir()
    assert read(tmp_path, class_depth=2).empty_classes == ["plant/elm"]
    assert said(read(tmp_path, class_depth="all"))["animal/dog/x/2.jpg"] == ("animal/dog/x", "")
    inside = tmp_path / "split"
    for split in ("train", "test"):
        touch(inside, f"{split}/animal/cat/1.jpg", f"{split}/plant/oak/1.jpg")
    assert said(read(inside, class_depth=2))["test/plant/oak/1.jpg"] == ("plant/oak", "test")


def test_a_single_top_folder_may_be_the_first_part_of_all_class_names(tmp_path):
    touch(tmp_path, "animal/cat/1.jpg", "animal/dog/2.jpg")
    assert said(read(tmp_path, class_depth=2))["animal/cat/1.jpg"] == ("animal/cat", "")
    assert said(read(tmp_path, class_depth="all"))["animal/cat/1.jpg"] == ("animal/cat", "")
    assert said(read(tmp_path))["animal/cat/1.jpg"] == ("cat", "")
    touch(tmp_path / "b", "mine/train/animal/cat/1.jpg", "mine/test/animal/cat/1.jpg")
    found = said(read(tmp_path / "b", class_depth=2))
    assert found["mine/test/animal/cat/1.jpg"] == ("animal/cat", "test")


def test_side_files_are_passed_over_and_counted(tmp_path):
    touch(tmp_path, *(f"cat/{i}.{s}" for i in (1, 2) for s in ("jpg", "xml", "json", "cr2")))
    touch(tmp_path, "dog/1.jpg", "dog/1.jpg.meta", "dog/notes.TXT", "dog/lost.cr2", "dog/.DS_Store")
    touch(tmp_path, "lost+found/9.jpg", "dog/lost+found/8.jpg", "labels.txt")
    layout = read(tmp_path)
    assert set(said(layout)) == {"cat/1.jpg", "cat/2.jpg", "dog/1.jpg", "dog/lost.cr2"}
    note = next(note for note in layout.notes if "side files passed over" in note)
    assert note.startswith("8 side files")
    for words in ("2 .xml", "2 .json", "2 .cr2", "1 .meta", "1 .txt"):
        assert words in note


def test_patterns_of_what_is_ignored(tmp_path):
    touch(tmp_path, "cat/1.jpg", "cat/old/2.jpg", "cat/thumb_1.jpg", "raw/3.jpg", "dog/raw/4.jpg")
    touch(tmp_path, "dog/5.JPG", "dog/b.txt")
    ignore = ["thumb_*", "RAW/", "cat/old/*", "*.txt"]
    assert set(said(read(tmp_path, ignore=ignore))) == {"cat/1.jpg", "dog/5.JPG"}
    assert "dog/b.txt" in said(read(tmp_path, ignore=[]))


def test_a_class_folder_of_side_files_alone_is_empty_and_said_to_be_so(tmp_path):
    touch(tmp_path, "cat/1.jpg", "dog/1.jpg", "cow/1.txt", "cow/2.txt")
    layout = read(tmp_path)
    assert layout.empty_classes == ["cow"]
    assert "cow: nothing but side files in it (2 .txt)" in layout.notes


def test_a_link_to_the_folder_that_it_lies_in_is_no_class(tmp_path):
    touch(tmp_path, "cat/1.jpg", "dog/2.jpg")
    (tmp_path / "all").symlink_to(tmp_path)
    layout = read(tmp_path)
    assert set(said(layout)) == {"cat/1.jpg", "dog/2.jpg"}
    assert layout.empty_classes == []


def test_an_unlistable_folder_is_named(tmp_path, monkeypatch):
    touch(tmp_path, "cat/1.jpg")
    import os

    real = os.scandir

    def scan(folder):
        if str(folder).endswith("cat"):
            raise PermissionError(13, "Permission denied")
        return real(folder)

    monkeypatch.setattr(os, "scandir", scan)
    assert "cat: cannot be listed (Permission denied)" in refuse(tmp_path)


WORDS = (
    *(
        "train",
        "Test",
        "val",
        "seg_train",
        "images",
        "masks",
        "annotations",
        "cat",
        "dog",
        "a",
        "b",
    ),
    *("pred", "train_a", "test", "data", "1", "2", "Käfer"),
)
NAMES = (
    *("1.jpg", "2.JPG", "cat_1.png", "a.xml", "metadata.csv", "train.csv", "labels.csv", "x.jsonl"),
    *("notes", "test.csv", "b.xlsx", "3.jpeg"),
)
TEXTS = (
    *("path,label\n1.jpg,cat\n2.jpg,dog\n", "id;class\n1;cat\n2;dog\n", "1.jpg,cat\n", "", "\n"),
    *(
        '{"file_name": "1.jpg", "label": "cat"}\n',
        "image\n1\n",
        "path,split\n1.jpg,train\n",
        "\xff",
    ),
)


@pytest.mark.parametrize("seed", range(60))
def test_any_folder_is_read_or_refused_in_words(tmp_path, seed):
    """No traceback, and no photo that is neither an example nor said to be passed over."""
    draw = random.Random(seed)
    photos = set()
    for _ in range(draw.randint(1, 25)):
        name = "/".join([*draw.choices(WORDS, k=draw.randint(0, 3)), draw.choice(NAMES)])
        file = tmp_path / name
        if any(parent.is_file() for parent in file.parents) or file.is_dir():
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(draw.choice(TEXTS).encode("latin-1"))
        if file.suffix.lower() in (".jpg", ".jpeg", ".png"):
            photos.add(name)
    try:
        layout = read(tmp_path)
    except DarkroomError as error:
        message = str(error)
        assert "\n" not in message
        return
    passed = " ".join(note for note in layout.notes if "passed over" in note)
    for name in photos - set(layout.files["path"]):
        above = {f"{parent}" for parent in PurePosixPath(name).parents} - {"."}
        assert any(folder in passed for folder in above) or "named by a table" in passed, name


@pytest.mark.parametrize(
    ("hidden", "words"),
    [
        (".bird/3.jpg", "1 image passed over, since names that begin with a dot are hidden"),
        ("cat/.3.PNG", "such as cat/.3.PNG"),
        ("cat/.3.HEIC.icloud", "1 image in iCloud and not on this disk"),
    ],
)
def test_images_out_of_sight_are_counted(tmp_path, hidden, words):
    touch(tmp_path, "cat/1.jpg", "dog/2.jpg", "cat/._1.jpg", ".git/index", ".DS_Store")
    assert not any("hidden" in note for note in read(tmp_path).notes)
    touch(tmp_path, hidden)
    assert any(words in note for note in read(tmp_path).notes)
    touch(tmp_path / "alone", hidden)
    assert words in refuse(tmp_path / "alone")


def test_images_out_of_sight_in_a_listing(tmp_path):
    names = ["a/1.jpg", "a/.2.jpg", "a/._1.jpg", ".b/3.jpg", ".b/c/4.jpg", ".d", "a/.5.png.icloud"]
    touch(tmp_path / "images", *names)
    entries = [Entry(name, name, 1, "md5:0") for name in names]
    write_listing(tmp_path / "listing.parquet", "s3://bucket", entries)
    found = [list_files(tmp_path / place, []) for place in ("images", "listing.parquet")]
    expected = [".b/3.jpg", "a/.2.jpg", "a/.5.png.icloud"]
    assert [sorted(listing.hidden) for listing in found] == [expected, expected]


def test_archives_beside_class_folders_are_said(tmp_path):
    touch(tmp_path, "cat/1.jpg", "dog/2.jpg", "bird.zip", "fish.tar.gz")
    (note,) = (note for note in read(tmp_path).notes if "are archives" in note)
    assert note.startswith("bird.zip, fish.tar.gz are archives, whose images are not read")
    touch(tmp_path / "b", "cat.zip", "train.parquet", "train.tfrecord")
    message = refuse(tmp_path / "b")
    assert "no images in it, and cat.zip is an archive" in message
    assert all(f"1 {kind}" in message for kind in (".zip", ".parquet", ".tfrecord"))


def test_masks_among_the_photos_are_said(tmp_path):
    """As in a public set of ultrasound pictures."""
    photos = (
        "benign (1).png",
        "benign (1)_mask.png",
        "benign (1)_mask_1.png",
        "2-Mask.png",
        "2.png",
    )
    touch(tmp_path, *(f"{name}/{photo}" for name in ("a", "b") for photo in photos))
    touch(tmp_path, "a/iron mask.png", "b/venetian_mask.jpg")
    (note,) = (note for note in read(tmp_path).notes if "named as masks" in note)
    assert note.startswith("6 images named as masks of photos beside them, such as a/2-Mask.png")
    layout = read(tmp_path, ignore=["*(?)_mask*", "?-Mask*"])
    assert len(layout.files) == 6
    assert not any("named as masks" in note for note in layout.notes)


def test_folders_passed_over_are_named_where_nothing_is_left_to_learn(tmp_path):
    touch(tmp_path, *(f"{name}/{i}.jpg" for name in ("doc", "photo") for i in range(3)))
    assert "doc/: no class, passed over, by its name" in refuse(tmp_path)
