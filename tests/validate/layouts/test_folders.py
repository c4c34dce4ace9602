"""Class folders and given splits, by the names that people give them; a doubt stops and asks."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from components.common.errors import DarkroomError
from components.validate.folders.words import name_split, name_splits
from components.validate.layouts.layout import Layout, read_layout
from components.validate.spec import LayoutSettings, Params

from .test_layout import touch


def read(root: Path, **settings) -> Layout:
    return read_layout(root, replace(Params(), layout=LayoutSettings(**settings)))


def said(layout: Layout) -> dict[str, tuple[str, str]]:
    """Path → label, split."""
    rows = layout.files[["path", "label", "split"]].itertuples(index=False, name=None)
    return {path: (label, split) for path, label, split in rows}


def refuse(root: Path, **settings) -> str:
    with pytest.raises(DarkroomError) as caught:
        read(root, **settings)
    return str(caught.value)


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("train", "test"), ("train", "test")),
        (("Training", "Testing"), ("train", "test")),
        (("TRAIN", "Valid", "TEST"), ("train", "val", "test")),
        (("train", "dev"), ("train", "val")),
        (("train", "eval"), ("train", "val")),
        (("train", "val", "eval"), ("train", "val", "test")),
        (("train", "eval", "holdout"), ("train", "val", "test")),
        (("train", "hold-out"), ("train", "test")),
        (("seg_train", "seg_test"), ("train", "test")),
        (("train_images", "test_images"), ("train", "test")),
        (("TrainImages", "ValImages"), ("train", "val")),
        (("train2017", "val2017"), ("train", "val")),
        (("trainset", "testset"), ("train", "test")),
        (("Training Data", "Validation Data"), ("train", "val")),
        (("1_train", "2_val", "3_test"), ("train", "val", "test")),
        (("обучение", "Тест"), ("train", "test")),
        (("训练集", "验证集", "测试集"), ("train", "val", "test")),
        (("学習用", "検証用", "テスト"), ("train", "val", "test")),
        (("treino", "validação", "teste"), ("train", "val", "test")),
        (("Trainingsdaten", "Validierungsdaten", "Testbilder"), ("train", "val", "test")),
        (("treningowe", "walidacyjne", "testowe"), ("train", "val", "test")),
        (("Apprentissage", "Validation", "Essai"), ("train", "val", "test")),
        (("eğitim", "doğrulama", "test"), ("train", "val", "test")),
        (("訓練データ", "検証データ", "テストデータ"), ("train", "val", "test")),
        (("Training", "PublicTest", "PrivateTest"), ("train", "val", "test")),
        (("train_val", "test"), ("train", "test")),
    ],
)
def test_splits_by_the_names_that_people_use(tmp_path, names, splits):
    for number, name in enumerate(names):
        touch(tmp_path, f"{name}/cat/{number}.jpg", f"{name}/dog/{number}.jpg")
    layout = read(tmp_path)
    expected = {
        f"{name}/{label}/{number}.jpg": (label, split)
        for number, (name, split) in enumerate(zip(names, splits, strict=True))
        for label in ("cat", "dog")
    }
    assert said(layout) == expected
    plain = {"train", "val", "valid", "validation", "test"}
    is_said = any("splits by the names of the folders" in note for note in layout.notes)
    assert is_said == any(name.lower() not in plain for name in names)
    missing = {"val", "test"} - set(splits)
    assert any("preprocess draws it from train" in note for note in layout.notes) == bool(missing)


@pytest.mark.parametrize(
    "name", ["cat", "train_station", "test tube", "trainer", "contest", "validity", "latest"]
)
def test_names_that_are_no_splits(name):
    assert name_split(name) == ""


def test_affixes_count_only_where_all_share_one():
    assert name_splits(["x_train", "x_test", "bus"]) == {"x_train": "train", "x_test": "test"}
    assert name_splits(["train_cat", "train_dog", "test_cat", "test_dog"]) == {}
    assert name_splits(["train_station", "bus"]) == {}


@pytest.mark.parametrize("inner", ["{0}", "images", "data/{0}", "{0}_set"])
@pytest.mark.parametrize("outer", ["", "mine/", "dataset/v2/"])
def test_splits_nested_once_more(tmp_path, outer, inner):
    for name in ("train", "test"):
        place = f"{outer}{name}/{inner.format(name)}"
        touch(tmp_path, f"{place}/cat/1.jpg", f"{place}/dog/2.jpg")
    touch(tmp_path, "README.md")
    rows = said(read(tmp_path))
    assert len(rows) == 4
    assert {row for path, row in rows.items() if "train/" in path} == {
        *(("cat", "train"), ("dog", "train"))
    }
    assert {row for path, row in rows.items() if "test/" in path} == {
        *(("cat", "test"), ("dog", "test"))
    }


def test_a_folder_around_class_folders_is_stepped_into_and_said(tmp_path):
    touch(tmp_path, "mine/photos/cat/1.jpg", "mine/photos/dog/2.jpg", "LICENSE")
    layout = read(tmp_path)
    assert {label for label, _ in said(layout).values()} == {"cat", "dog"}
    assert "everything lies in mine/photos/" in layout.notes[0]


def test_each_class_may_hold_its_splits(tmp_path):
    touch(tmp_path, *(f"{c}/{s}/1.jpg" for c in ("cat", "dog") for s in ("Train", "Test")))
    layout = read(tmp_path)
    assert said(layout)["cat/Test/1.jpg"] == ("cat", "test")
    assert "each class folder holds its splits" in layout.notes[0]
    assert said(read(tmp_path, splits="none"))["cat/Test/1.jpg"] == ("cat", "")


def test_top_folders_that_all_hold_the_same_stop_it(tmp_path):
    touch(tmp_path, *(f"fold{f}/{c}/{f}.jpg" for f in (1, 2, 3) for c in ("cat", "dog", "cow")))
    (tmp_path / "fold3" / "cow" / "3.jpg").unlink()  # a class may be missing in one
    message = refuse(tmp_path)
    assert "fold1, fold2, fold3 all hold cat, dog" in message
    # Each of the lines that it offers settles it.
    line = re.search(r"`splits: (\{.*?\})`", message)[1]
    assert line == "{fold1: train, fold2: val, fold3: test}"
    told = dict(pair.split(": ") for pair in line.strip("{}").split(", "))
    assert said(read(tmp_path, splits=told))["fold2/dog/2.jpg"] == ("dog", "val")
    assert said(read(tmp_path, splits="none"))["fold2/dog/2.jpg"] == ("fold2", "")
    pattern = re.search(r"`label_pattern: '(.*?)'`", message)[1]
    assert said(read(tmp_path, label_pattern=pattern))["fold2/dog/2.jpg"] == ("dog", "")
    assert said(read(tmp_path, class_depth=2))["fold2/dog/2.jpg"] == ("fold2/dog", "")
    touch(tmp_path, *(f"fold{f}/{c}/{f}.jpg" for f in (9, 10) for c in ("cat", "dog", "cow")))
    assert "fold2: train, fold3: train, fold9: val, fold10: test}" in refuse(tmp_path)


def test_classes_with_folders_of_their_own_do_not_stop_it(tmp_path):
    touch(tmp_path, "cat/1/a.jpg", "cat/2/a.jpg", "dog/1/b.jpg", "dog/7/b.jpg", "dog/8/b.jpg")
    touch(tmp_path, "dog/9/b.jpg", "cow/images/c.jpg")
    assert {label for label, _ in said(read(tmp_path)).values()} == {"cat", "dog", "cow"}


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (("Training/1.jpg", "Testing/2.jpg"), "Testing, Training look like splits and hold no"),
        (("val/a/1.jpg", "val/b/1.jpg", "test/a/1.jpg"), "test, val look like splits, but none"),
        (("cat/1.jpg", "dog/1.jpg", "test/1.jpg"), 'is for predict|, add "test/" to `ignore`'),
        (("train/a/1.jpg", "train/b/1.jpg", "pool/a/1.jpg", "pool/b/1.jpg"), "pool"),
        (("train_a/1.jpg", "train_b/1.jpg", "test_a/1.jpg", "test_b/1.jpg"), "sound like splits"),
        (("train/a/1.jpg", "test/a/1.jpg", "extra/a/1.jpg"), "beside them extra; move"),
    ],
)
def test_names_like_splits_that_nothing_confirms_stop_it(tmp_path, files, words):
    message = refuse(touch(tmp_path, *files))
    assert re.search(words, message)
    assert message.startswith(str(tmp_path))
    assert "`splits: none`" in message
    read(tmp_path, splits="none")


def test_split_and_class_in_one_name(tmp_path):
    touch(tmp_path, *(f"{s}_{c}/1.jpg" for s in ("train", "test") for c in ("cat", "dog")))
    pattern = re.search(r"`label_pattern: '(.*?)'`", refuse(tmp_path))[1]
    assert said(read(tmp_path, label_pattern=pattern))["test_dog/1.jpg"] == ("dog", "test")


@pytest.mark.parametrize(
    "names", [("train", "bus"), ("valid", "invalid"), ("train_station", "test_tube", "bus")]
)
def test_words_of_splits_that_are_classes(tmp_path, names):
    touch(tmp_path, *(f"{name}/1.jpg" for name in names))
    assert {label for label, _ in said(read(tmp_path)).values()} == set(names)


def test_a_mapping_of_splits_is_followed_to_the_letter(tmp_path):
    touch(tmp_path, "A/cat/1.jpg", "B/cat/1.jpg", "b2/cat/1.jpg", "pred/1.jpg")
    told = {"a": "train", "B": "test", "b2": "test"}
    rows = said(read(tmp_path, splits=told))
    assert rows["A/cat/1.jpg"] == ("cat", "train")
    assert rows["b2/cat/1.jpg"] == ("cat", "test")
    assert "pred/1.jpg" not in rows
    assert "names a folder 'c' that is not there; the top folders are A, B" in refuse(
        tmp_path, splits={"c": "train"}
    )
    assert "does not name the top folders b2" in refuse(
        tmp_path, splits={"A": "train", "B": "test"}
    )


@pytest.mark.parametrize(
    "unlabelled",
    ["test/9.jpg", "test/test/9.jpg", "test/images/9.jpg", "test/unknown/9.jpg", "pred/9.jpg"],
)
def test_a_flat_test_is_for_predict(tmp_path, unlabelled):
    touch(tmp_path, "train/cat/1.jpg", "train/dog/2.jpg", "val/cat/3.jpg", unlabelled)
    layout = read(tmp_path)
    assert set(said(layout)) == {"train/cat/1.jpg", "train/dog/2.jpg", "val/cat/3.jpg"}
    assert any("predict" in note and unlabelled.split("/")[0] in note for note in layout.notes)


def test_splits_in_some_classes_alone_are_said(tmp_path):
    touch(tmp_path, "cat/train/1.jpg", "cat/val/2.jpg", "dog/3.jpg", "dog/4.jpg")
    layout = read(tmp_path)
    assert set(layout.files["split"]) == {""}
    assert any(
        "cat: in it lie folders that look like splits (train, val)" in n for n in layout.notes
    )
    assert not any("look like splits" in note for note in read(tmp_path, splits="none").notes)


def test_class_folders_of_splits_that_all_hold_the_same_are_said(tmp_path):
    kinds = [
        f"{kind}/{name}/1.jpg" for kind in ("augmented", "original") for name in ("cat", "dog")
    ]
    touch(tmp_path, *(f"{split}/{path}" for split in ("train", "test") for path in kinds))
    (note,) = (
        note for note in read(tmp_path).notes if "train/original are read as classes" in note
    )
    line = note.split("`")[1].removeprefix("label_pattern: ").strip("'")
    layout = read(tmp_path, label_pattern=line)
    assert set(layout.files["label"]) == {"cat", "dog"}
    assert set(layout.files["split"]) == {"train", "test"}
    assert not any("read as classes" in note for note in layout.notes)
