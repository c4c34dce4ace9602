"""Layouts with tables, as sites and programs export them; what no single label comes of."""

import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from components.common.errors import DarkroomError
from components.validate.layouts.layout import read_layout
from components.validate.spec import LayoutSettings, Params
from components.validate.tables.several import find_several

from .test_folders import read, refuse
from .test_layout import touch
from .test_tables import labels, write


def test_the_tables_of_hugging_face(tmp_path):
    touch(tmp_path, "data/train/1.png", "data/train/2.png", "data/test/1.png", "README.md")
    write(tmp_path, "data/train/metadata.csv", "file_name,label\n1.png,cat\n2.png,dog\n")
    write(tmp_path, "data/test/metadata.jsonl", '{"file_name": "1.png", "label": "cat"}\n')
    layout = read(tmp_path)
    assert layout.files[["path", "label", "split"]].values.tolist() == [
        ["data/test/1.png", "cat", "test"],
        ["data/train/1.png", "cat", "train"],
        ["data/train/2.png", "dog", "train"],
    ]
    touch(tmp_path / "one", "train/0001.png", "train/0002.png")
    pd.DataFrame({"file_name": ["0001.png", "0002.png"], "label": [0, 1]}).to_parquet(
        tmp_path / "one" / "train" / "metadata.parquet"
    )
    assert labels(read(tmp_path / "one")) == {"train/0001.png": "0", "train/0002.png": "1"}


def make_kaggle(root: Path, images: str = "train", test: str = "test") -> Path:
    touch(root, *(f"{images}/0{i}.jpg" for i in range(4)), f"{test}/a.jpg", f"{test}/b.jpg")
    rows = "".join(f"0{i},{('boxer', 'pug')[i % 2]}\n" for i in range(4))
    write(root, "train.csv", "id,breed\n" + rows)
    return write(root, "sample_submission.csv", "id,breed\na,boxer\nb,boxer\n")


@pytest.mark.parametrize(
    ("images", "test"),
    [("train", "test"), ("train_images", "test_images"), ("train/train", "test/test")],
)
def test_the_tables_of_kaggle(tmp_path, images, test):
    layout = read(make_kaggle(tmp_path, images, test))
    assert labels(layout) == {f"{images}/0{i}.jpg": ("boxer", "pug")[i % 2] for i in range(4)}
    assert set(layout.files["split"]) == {"train"}
    told = " ".join(layout.notes)
    assert "labels from train.csv: 4 rows" in told
    assert "they are for `python -m components.predict`" in told


def test_one_folder_of_images_for_train_csv_and_test_csv(tmp_path):
    make_kaggle(tmp_path, "images", "images")
    write(tmp_path, "test.csv", "id\na\nb\n")
    layout = read(tmp_path)
    assert set(labels(layout).values()) == {"boxer", "pug"}
    assert set(layout.files["split"]) == {""}
    assert any("2 images are named by a table with no labels" in note for note in layout.notes)
    write(tmp_path, "test.csv", "id,breed\na,pug\nb,boxer\n")
    splits = read(tmp_path).files.set_index("path")["split"]
    assert splits["images/a.jpg"] == "test"
    assert splits["images/00.jpg"] == "train"


def test_a_spreadsheet_that_knows_more_than_the_folders_is_told(tmp_path):
    images = [f"{name}/{i}.jpg" for name in ("Kleid", "Hüte") for i in range(3)]
    touch(tmp_path, *images)
    lines = ["Datei;Fotograf;Preis", *(f"{image};Müller;3,5" for image in images), ""]
    (tmp_path / "liste.csv").write_bytes("\r\n".join(lines).encode("cp1252"))
    layout = read(tmp_path)
    assert set(labels(layout).values()) == {"Kleid", "Hüte"}
    (note,) = [one for one in layout.notes if "liste.csv names" in one]
    assert "6 of 6 images, and is not read" in note
    assert "(Fotograf, Preis)" in note
    told = replace(Params().layout, table="liste.csv", group_column="Fotograf")
    layout = read_layout(tmp_path, replace(Params(), layout=told))
    assert set(layout.files["group"]) == {"Müller"}
    assert set(labels(layout).values()) == {"Kleid", "Hüte"}


def test_a_column_for_each_class(tmp_path):
    touch(tmp_path, *(f"images/{i}.jpg" for i in range(4)))
    rows = "0,1.0,0.0\n1,0.0,1.0\n2,1.0,0.0\n3,1.0,1.0\n"
    layout = read(write(tmp_path, "truth.csv", "image,MEL,NV\n" + rows))
    assert labels(layout)["images/1.jpg"] == "NV"
    assert layout.rejected == {"images/3.jpg": "several labels: MEL, NV"}


def test_a_table_beside_folders_that_are_parts(tmp_path):
    """Folders part_1 and part_2 hold the images, and a table says what they are."""
    touch(tmp_path, *(f"ham_part_{1 + i % 2}/{i}.jpg" for i in range(6)))
    rows = "".join(f"les{i // 2},{i},{['mel', 'nv'][i // 3]}\n" for i in range(6))
    write(tmp_path, "HAM_metadata.csv", "lesion_id,image_id,dx\n" + rows)
    message = refuse(tmp_path)
    assert "HAM_metadata.csv names 6 of 6 images, and other classes than the folders do" in message
    assert "`table: HAM_metadata.csv` in section validate.layout" in message
    assert set(labels(read(tmp_path, table="none")).values()) == {"ham_part_1", "ham_part_2"}
    layout = read(tmp_path, table="HAM_metadata.csv", label_column="dx")
    assert set(labels(layout).values()) == {"mel", "nv"}
    assert any("group_column: lesion_id" in note for note in layout.notes)


def test_a_stray_table_beside_class_folders_changes_nothing(tmp_path):
    touch(tmp_path, "cat/1.jpg", "dog/2.jpg")
    write(tmp_path, "shopping.csv", "what,price\nmilk,1\n")
    write(tmp_path, "results.csv", "image,label\n1.jpg,cat\n2.jpg,dog\n")
    layout = read(tmp_path)
    assert labels(layout) == {"cat/1.jpg": "cat", "dog/2.jpg": "dog"}
    assert layout.slices == []
    assert any("results.csv is not read, since the folders say" in note for note in layout.notes)


def test_two_tables_that_give_labels_stop_it(tmp_path):
    touch(tmp_path, "1.jpg", "2.jpg")
    for name in ("a.csv", "b.csv"):
        write(tmp_path, name, "path,label\n1.jpg,x\n2.jpg,y\n")
    assert "a.csv and b.csv both give labels; say which one is meant: `table: a.csv`" in refuse(
        tmp_path
    )
    assert labels(read(tmp_path, table="b.csv")) == {"1.jpg": "x", "2.jpg": "y"}


@pytest.mark.parametrize("form", ["IMG_{}_left.jpg", "{}-x.jpg", "scan{}.jpg", "p_{}.png"])
def test_the_pattern_that_would_make_rows_match(tmp_path, form):
    touch(tmp_path, *(f"pics/{form.format(i)}" for i in range(101, 107)))
    rows = "".join(f"{i},{'ab'[i % 2]}\n" for i in range(101, 107))
    write(tmp_path, "metadata.csv", "number,label\n" + rows)
    layout = read(tmp_path, path_column="number")
    note = next(note for note in layout.notes if "find no file" in note)
    assert "6 of 6 rows find no file" in note
    assert "6 files have no row" in note
    pattern = re.search(r'`path_pattern: "(.*?)"`', note)[1]
    found = labels(read(tmp_path, path_column="number", path_pattern=pattern))
    assert set(found.values()) == {"a", "b"}
    assert len(found) == 6


def test_a_pattern_may_name_any_column(tmp_path):
    touch(tmp_path, "north/IMG_1.jpg", "south/IMG_1.jpg")
    write(tmp_path, "metadata.csv", "site,id,label\nnorth,1,a\nsouth,1,b\n")
    layout = read(tmp_path, path_pattern="{site}/IMG_{id}.jpg", path_column="id")
    assert labels(layout) == {"north/IMG_1.jpg": "a", "south/IMG_1.jpg": "b"}
    assert "it may name site, id, label, path in braces" in refuse(
        tmp_path, path_pattern="{state}/{id}.jpg", path_column="id"
    )


@pytest.mark.parametrize(
    ("cells", "several"),
    [
        (["cat", "dog", "cat|dog"], {"cat|dog"}),
        (["cat", "dog", "cat;dog", "cat; dog"], {"cat;dog", "cat; dog"}),
        (["cat", "dog", "cat, dog"], {"cat, dog"}),
        (["scab", "rust", "scab rust"], {"scab rust"}),
        (["cat", "dog", "cat/dog"], {"cat/dog"}),
        (["cat", "dog", "cat+dog", "cat & dog"], {"cat+dog", "cat & dog"}),
        (["a|b", "b|c", "a|c"], {"a|b", "b|c", "a|c"}),
        (["['cat', 'dog']", "['cat', 'cow']"], {"['cat', 'dog']", "['cat', 'cow']"}),
        (["Cardiomegaly|Emphysema", "Hernia"], {"Cardiomegaly|Emphysema"}),
        (["16 0", "5", "7 1 2"], {"16 0", "7 1 2"}),
        (
            ["clear", "clear primary", "haze primary", "primary clear road", "road haze"],
            {"clear primary", "haze primary", "primary clear road", "road haze"},
        ),
        (["red apple", "green apple", "red pear", "green pear", "melon"], set()),
        (["great dane", "pug"], set()),
        (["t-shirt, white", "t-shirt, black"], set()),
        (["animal/cat", "animal/dog"], set()),
        (["black cat", "cat"], set()),
        (["1,5", "2,5"], set()),
    ],
)
def test_several_labels_in_one_cell(cells, several):
    found = find_several(cells)
    assert {cell for cell, parts in found.items() if len(parts) > 1} == several


@pytest.mark.parametrize(
    ("names", "settings"),
    [
        (["ice", "cream", "ice cream"], {}),
        (["cat", "dog", "cat+dog", "cat, dog", "cat & dog"], {}),
        (["1", "2", "[1]", "[a b]", "()"], {}),
        (["a", "b", "a/b"], {"class_depth": "all"}),
        (["cat", "dog", "cat+dog"], {"label_pattern": "([^/]+)/"}),
    ],
)
def test_a_folder_is_one_class_whatever_it_is_called(tmp_path, names, settings):
    touch(tmp_path, *(f"{name}/1.jpg" for name in names))
    layout = read(tmp_path, **settings)
    assert sorted(layout.files["label"]) == sorted(names)
    assert layout.rejected == {}
    # A table may still say several of one image.
    write(tmp_path, "metadata.csv", f'path,label\n{names[0]}/1.jpg,"{names[0]}|{names[1]}"\n')
    layout = read(tmp_path, **settings)
    assert list(layout.rejected) == [f"{names[0]}/1.jpg"]
    assert sorted(layout.files["label"]) == sorted(["", *names[1:]])


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_a_column_of_lists(tmp_path, kind):
    names = [f"{i}.jpg" for i in range(4)]
    touch(tmp_path, *names)
    lists = [["cat"], ["dog"], ["cat", "dog"], []]
    table = pd.DataFrame({"path": names, "label": lists})
    file = tmp_path / f"metadata.{kind}"
    if kind == "csv":
        table.to_csv(file, index=False)
    elif kind == "parquet":
        table.to_parquet(file)
    else:
        table.to_json(file, orient="records", lines=True)
    layout = read(tmp_path)
    assert list(labels(layout).values()) == ["cat", "dog", "", ""]
    assert layout.rejected == {"2.jpg": "several labels: cat, dog"}
    assert any(note.startswith("multi-label: 1 of 4 images") for note in layout.notes)


def test_rows_for_objects_and_rows_that_differ(tmp_path):
    touch(tmp_path, "1.jpg", "2.jpg")
    write(tmp_path, "boxes.csv", "filename,class,left\n1.jpg,a,1\n1.jpg,a,2\n2.jpg,b,3\n")
    layout = read(tmp_path)
    assert labels(layout) == {"1.jpg": "a", "2.jpg": "b"}
    assert any("1 row names an image again with the same label" in note for note in layout.notes)
    write(tmp_path, "boxes.csv", "filename,class,left\n1.jpg,a,1\n1.jpg,b,2\n2.jpg,b,3\n")
    assert "names 1.jpg in two rows; keep one. Where an image has several labels" in refuse(
        tmp_path, table="boxes.csv"
    )


def test_a_spreadsheet_of_its_own_kind(tmp_path):
    touch(tmp_path, "1.jpg", "2.jpg", "labels.xlsx", "~$labels.xlsx")
    assert "labels.xlsx is a spreadsheet's own file, which is not read" in refuse(tmp_path)
    write(tmp_path, "metadata.csv", "PK\x03\x04 and so on")
    assert "spreadsheet's own file under the name of a table" in refuse(tmp_path)
    touch(tmp_path / "b", "cat/1.jpg", "dog/2.jpg", "labels.ods")
    assert any("labels.ods" in note for note in read(tmp_path / "b").notes)


def test_a_parquet_that_holds_the_images_themselves(tmp_path):
    touch(tmp_path, "1.jpg")
    table = pd.DataFrame({"image": [{"bytes": b"x", "path": "1.jpg"}], "label": [0]})
    table.to_parquet(tmp_path / "metadata.parquet")
    assert "holds the images themselves, in column `image`; write each to a file" in refuse(
        tmp_path
    )


def test_splits_of_a_table_by_any_of_their_names(tmp_path):
    touch(tmp_path, *(f"{i}.jpg" for i in range(4)))
    rows = "0.jpg,a,Training\n1.jpg,b,Testing\n2.jpg,a,dev\n3.jpg,b,\n"
    layout = read(write(tmp_path, "metadata.csv", "path,label,subset\n" + rows))
    assert layout.files["split"].tolist() == ["train", "test", "val", ""]
    assert "metadata.csv: splits from column subset" in layout.notes


@pytest.mark.parametrize(
    ("column", "is_said"),
    [("is_train", True), ("is_training_image", True), ("fold", True), ("train_line", False)],
)
def test_a_column_that_looks_like_splits_and_does_not_say_which(tmp_path, column, is_said):
    touch(tmp_path, *(f"{i}.jpg" for i in range(4)))
    rows = "".join(f"{i}.jpg,{'ab'[i % 2]},{i // 2}\n" for i in range(4))
    layout = read(write(tmp_path, "metadata.csv", f"path,label,{column}\n{rows}"))
    assert set(layout.files["split"]) == {""}
    words = f"metadata.csv: column {column} looks like given splits"
    assert any(note.startswith(words) for note in layout.notes) == is_said


def test_params_hold_for_tables_and_folders_alike(tmp_path):
    touch(tmp_path, "cat/1.jpg", "dog/2.jpg")
    write(tmp_path, "metadata.csv", "path,label\ncat/1.jpg,lynx\n")
    params = replace(Params(), layout=LayoutSettings(table="none"))
    assert labels(read_layout(tmp_path, params)) == {"cat/1.jpg": "cat", "dog/2.jpg": "dog"}


def test_an_unreadable_json_is_named(tmp_path):
    touch(tmp_path, "1.jpg")
    write(tmp_path, "metadata.jsonl", '{"path": "1.jpg"\n')
    with pytest.raises(DarkroomError, match=r"metadata\.jsonl: not a readable table .*mend"):
        read(tmp_path)
