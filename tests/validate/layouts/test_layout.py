"""Folders as people have them: which files are examples, and what is said of them."""

import os
import sys
from pathlib import Path

import pandas as pd
import pytest

from components.common.errors import DarkroomError
from components.validate.layouts.layout import read_layout
from components.validate.scan.picture import inspect_file


def touch(root: Path, *names: str) -> Path:
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
    return root


def rows(root: Path) -> list[tuple[str, str, str]]:
    files = read_layout(root).files
    return list(files[["path", "label", "split"]].itertuples(index=False, name=None))


def test_class_folders(tmp_path):
    touch(tmp_path, "dog/b.jpg", "cat/deep/a.png", "cat/z.JPG")
    assert rows(tmp_path) == [
        ("cat/deep/a.png", "cat", ""),
        ("cat/z.JPG", "cat", ""),
        ("dog/b.jpg", "dog", ""),
    ]


@pytest.mark.parametrize("name", ["val", "validation", "valid", "Valid"])
def test_given_splits(tmp_path, name):
    touch(tmp_path, "train/cat/a.jpg", f"{name}/cat/b.jpg", "test/dog/c.jpg")
    found = {path.split("/")[-1]: (label, split) for path, label, split in rows(tmp_path)}
    assert found == {"a.jpg": ("cat", "train"), "b.jpg": ("cat", "val"), "c.jpg": ("dog", "test")}


def test_a_folder_named_train_alone_is_a_class(tmp_path):
    touch(tmp_path, "train/a.jpg", "bus/b.jpg")
    assert [label for _, label, _ in rows(tmp_path)] == ["bus", "train"]


def test_something_beside_given_splits_is_refused(tmp_path):
    touch(tmp_path, "train/cat/a.jpg", "test/cat/b.jpg", "extra/cat/c.jpg", ".git/x")
    with pytest.raises(DarkroomError, match=r"splits \(test, train\), and beside them extra; move"):
        read_layout(tmp_path)


def test_side_files_are_no_examples_but_all_else_in_a_class_folder_is(tmp_path):
    touch(
        tmp_path,
        *(
            "LICENSE",
            "README.md",
            ".hidden.jpg",
            "cat/.DS_Store",
            "cat/Thumbs.db",
            "__MACOSX/cat/a",
        ),
        *("loose.jpg", "cat/a.jpg", "cat/notes.txt", "cat/photo"),
    )
    assert rows(tmp_path) == [
        ("cat/a.jpg", "cat", ""),
        ("cat/photo", "cat", ""),
        ("loose.jpg", "", ""),
    ]


def test_empty_class_folders_are_named(tmp_path):
    touch(tmp_path, "cat/a.jpg", "dog/.keep")
    (tmp_path / "cow").mkdir()
    assert read_layout(tmp_path).empty_classes == ["cow", "dog"]


def test_with_given_splits_a_class_is_empty_only_if_it_is_in_all(tmp_path):
    touch(tmp_path, "train/cat/a.jpg", "train/cow/.keep", "test/cat/b.jpg", "test/dog/c.jpg")
    (tmp_path / "train" / "dog").mkdir()
    assert read_layout(tmp_path).empty_classes == ["train/cow"]


def test_links_are_followed_but_not_in_circles(tmp_path):
    touch(tmp_path / "elsewhere", "1.jpg")
    touch(tmp_path / "images", "cat/a.jpg")
    (tmp_path / "images" / "dog").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "images" / "cat" / "loop").symlink_to(tmp_path / "images")
    (tmp_path / "images" / "cat" / "dead.jpg").symlink_to(tmp_path / "nowhere")
    assert [path for path, _, _ in rows(tmp_path / "images")] == [
        "cat/a.jpg",
        "cat/dead.jpg",
        "dog/1.jpg",
    ]


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS refuses such names")
def test_a_name_that_is_not_utf8_can_be_written_down(tmp_path):
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / os.fsdecode(b"a\xff.jpg")).touch()
    assert [path for path, _, _ in rows(tmp_path)] == ["cat/a\\xff.jpg"]


def test_no_folder_and_nothing_in_it(tmp_path):
    with pytest.raises(DarkroomError, match=r"no such folder of images; set data\.source"):
        read_layout(tmp_path / "absent")
    touch(tmp_path, "README.md")
    with pytest.raises(DarkroomError, match="no images in it; it should hold one folder"):
        read_layout(tmp_path)


def write_table(root: Path, text: str) -> Path:
    touch(root, "cat/a.jpg", "cat/b.jpg", "c.jpg")
    (root / "metadata.csv").write_text(text, encoding="utf-8")
    return root


def test_a_table_goes_before_the_folders(tmp_path):
    text = "path,label,split,group,light\n./cat/a.jpg,NA,valid,p1,day\nc.jpg,007,TEST,,\n"
    layout = read_layout(write_table(tmp_path, text))
    assert layout.slices == ["light"]
    found = layout.files.fillna("-").set_index("path")
    assert found.loc["cat/a.jpg"].tolist() == ["NA", "val", "p1", "day"]
    assert found.loc["cat/b.jpg"].tolist() == ["cat", "", "", "-"]
    assert found.loc["c.jpg"].tolist() == ["007", "test", "", "-"]


def test_a_row_without_a_file_stays_a_row(tmp_path):
    text = "path,label\ngone.jpg,dog\n"
    assert ("gone.jpg", "dog", "") in rows(write_table(tmp_path, text))


def test_a_parquet_table(tmp_path):
    touch(tmp_path, "a.jpg", "b.jpg")
    table = pd.DataFrame({"path": ["a.jpg", "b.jpg"], "label": [1, 2], "age": [3.5, None]})
    table.to_parquet(tmp_path / "metadata.parquet")
    layout = read_layout(tmp_path)
    assert layout.files["label"].tolist() == ["1", "2"]
    assert layout.files["age"].isna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("size,light\n7,zz\n", "has no column `path`, only size, light; name the column"),
        ("path,label\ncat/a.jpg,x\ncat/a.jpg,y\n", "names cat/a.jpg in two rows; keep one"),
        ("path,split\ncat/a.jpg,banana\n", "split 'banana' is none; legal are .*train.*val"),
        ("path,width_px\ncat/a.jpg,3\n", "column `width_px` has a name that the manifest uses"),
        ("path\n../secret.jpg\n", "path '../secret.jpg' is not inside the folder"),
        ("path\n/etc/passwd\n", "path '/etc/passwd' is not inside the folder"),
        ('path,label\n"cat', "not a readable table .*; mend or remove it"),
        ("", "not a readable table .*; mend or remove it"),
        ("path,label\ncat/a.jpg,x,y\n", "Expected 2 fields in line 2, saw 3"),
        ("path,site,site\ncat/a.jpg,x,y\n", "has two columns 'site'; rename or remove one"),
        ("path,label,\ncat/a.jpg,x,y\n", "has a column without a name; name or remove it"),
    ],
)
def test_a_bad_table_is_refused(tmp_path, text, message):
    with pytest.raises(DarkroomError, match=message):
        read_layout(write_table(tmp_path, text))


def test_empty_columns_that_a_spreadsheet_leaves_behind_are_passed_over(tmp_path):
    touch(tmp_path, "a.jpg")
    layout = read_layout(write_table(tmp_path, "path,label,,\na.jpg,007,,\n"))
    assert layout.files["label"].tolist()[0] == "007"
    assert not layout.slices


def test_two_tables_are_refused(tmp_path):
    write_table(tmp_path, "path\ncat/a.jpg\n")
    (tmp_path / "metadata.parquet").write_bytes(b"")
    with pytest.raises(
        DarkroomError, match=r"has both metadata\.csv and metadata\.parquet; keep one"
    ):
        read_layout(tmp_path)


def test_links_that_lead_back_to_themselves_pipes_and_dead_links_are_reported(tmp_path):
    touch(tmp_path, "cat/a.jpg", "dog/b.jpg")
    (tmp_path / "cat/loop").symlink_to("loop")
    (tmp_path / "cat/one.jpg").symlink_to("two.jpg")
    (tmp_path / "cat/two.jpg").symlink_to("one.jpg")
    (tmp_path / "cat/again").symlink_to(tmp_path / "cat")
    (tmp_path / "cat/dead.jpg").symlink_to("gone.jpg")
    os.mkfifo(tmp_path / "cat/pipe.jpg")
    names = ["a.jpg", "dead.jpg", "loop", "one.jpg", "pipe.jpg", "two.jpg"]
    assert [path for path, _, _ in rows(tmp_path)] == [*(f"cat/{n}" for n in names), "dog/b.jpg"]
    found = {name: inspect_file(str(tmp_path / "cat" / name), 8, 89)["reason"] for name in names}
    assert found["loop"] == found["one.jpg"] == "unreadable: Too many levels of symbolic links"
    assert found["dead.jpg"].startswith("missing: ")
    assert found["pipe.jpg"] == "unreadable: a pipe, socket or device, not a file"


def test_a_folder_that_cannot_be_listed_stops_with_its_name(tmp_path, monkeypatch):
    touch(tmp_path, "cat/a.jpg", "dog/b.jpg")
    (tmp_path / "dog").chmod(0o000)
    scan = os.scandir

    def refuse(folder):
        if os.geteuid() == 0 and Path(folder).name == "dog":  # root may list anything
            raise PermissionError(13, "Permission denied", str(folder))
        return scan(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    try:
        with pytest.raises(DarkroomError, match=r"dog: cannot be listed \(Permission denied\)"):
            read_layout(tmp_path)
    finally:
        (tmp_path / "dog").chmod(0o700)
