"""Tables as people export them: columns, delimiters, encodings, and how rows find their files."""

import unicodedata
from pathlib import Path

import pandas as pd
import pytest

from components.validate.layouts.layout import Layout
from components.validate.tables.matching import match_rows
from components.validate.tables.reading import find_delimiter

from .test_folders import read, refuse
from .test_layout import touch

FILES = ("photos/a1.jpg", "photos/b2.JPG", "photos/Straße 3.png", "photos/d4.jpg")
TABLE = pd.DataFrame({"path": FILES, "label": ["Käfer", "moth", "Käfer", "moth"]})


def labels(layout: Layout) -> dict[str, str]:
    return dict(zip(layout.files["path"], layout.files["label"], strict=True))


def write(root: Path, name: str, text: str, encoding: str = "utf-8") -> Path:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(text.encode(encoding))
    return root


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_any_delimiter_and_encoding(tmp_path, delimiter, encoding):
    touch(tmp_path, *FILES)
    # Pandas writes, as people's programs do.
    TABLE.to_csv(tmp_path / "metadata.csv", sep=delimiter, encoding=encoding, index=False)
    layout = read(tmp_path)
    assert labels(layout) == dict(zip(TABLE["path"], TABLE["label"], strict=True))
    told = " ".join(layout.notes)
    assert ("columns parted by" in told) == (delimiter != ",")
    assert ("no UTF-8, read as cp1252" in told) == (encoding == "cp1252")


@pytest.mark.parametrize(
    ("encoding", "names"),
    [
        ("cp1251", ("Кот 1.jpg", "Пёс 2.jpg")),
        ("cp932", ("猫1.jpg", "犬2.jpg")),
        ("gb18030", ("猫咪1.jpg", "小狗2.jpg")),
        ("euc_kr", ("고양이1.jpg", "강아지2.jpg")),
        ("cp1250", ("žába 1.jpg", "řasa 2.jpg")),
        ("mac_roman", ("Käfer 1.jpg", "Mücke 2.jpg")),
    ],
)
def test_an_encoding_is_told_by_the_files_that_it_names(tmp_path, encoding, names):
    touch(tmp_path, *names)
    lines = [f"{name},{name.split('.')[0][:2]}" for name in names]
    write(tmp_path, "metadata.csv", "\n".join(["path,label", *lines]) + "\n", encoding)
    assert labels(read(tmp_path)) == {name: name.split(".")[0][:2] for name in names}


@pytest.mark.parametrize(
    ("encoding", "kinds"),
    [
        ("cp1251", ("кошка", "собака")),
        ("koi8-r", ("кошка", "собака")),
        ("cp866", ("кошка", "собака")),
        ("cp1253", ("γάτα", "σκύλος")),
        ("cp1255", ("חתול", "כלב")),
        ("cp874", ("แมว", "สุนัข")),
        ("cp932", ("猫、りんご", "犬")),
        ("gb18030", ("猫", "狗")),
        ("big5", ("貓", "狗")),
        ("cp1250", ("żółw", "źrebię")),
        ("cp1252", ("Käfer", "Île")),
    ],
)
def test_an_encoding_is_told_by_its_letters(tmp_path, encoding, kinds):
    """Where all names of files are plain, as in most tables of labels."""
    touch(tmp_path, *(f"{i}.jpg" for i in range(6)))
    lines = "".join(f"{i}.jpg,{kinds[i % 2]}\n" for i in range(6))
    write(tmp_path, "labels.csv", f"file,label\n{lines}", encoding)
    assert set(labels(read(tmp_path)).values()) == set(kinds)


def test_what_excel_and_pandas_leave_in_a_csv(tmp_path):
    touch(tmp_path, "1.jpg", "2.jpg")
    write(tmp_path, "metadata.csv", "sep=;\r\npath;label;;\r\n1.jpg;a;;\r\n2.jpg;b;;\r\n;;;\r\n")
    assert labels(read(tmp_path)) == {"1.jpg": "a", "2.jpg": "b"}
    table = pd.DataFrame({"path": ["1.jpg", "2.jpg"], "label": ["a", "b"]})
    table.to_csv(tmp_path / "metadata.csv")  # with pandas' numbers of the rows
    assert labels(read(tmp_path)) == {"1.jpg": "a", "2.jpg": "b"}
    write(tmp_path, "metadata.csv", '\n\n"path", "label"\n"1.jpg", "a, or b"\n"2.jpg", "c"\n')
    assert labels(read(tmp_path)) == {"1.jpg": "a, or b", "2.jpg": "c"}


def test_lines_that_stand_in_quotes_as_a_whole(tmp_path):
    touch(tmp_path, "1.jpg", "2.jpg")
    write(tmp_path, "metadata.csv", '"path,label"\n"1.jpg,cat"\n"2.jpg,""a dog"""\n')
    assert labels(read(tmp_path)) == {"1.jpg": "cat", "2.jpg": "a dog"}


def test_a_german_export(tmp_path):
    touch(tmp_path, "Bilder/Mädchen 1.jpg", "Bilder/b.jpg")
    text = '\ufeff"Datei";"Klasse";"Nr"\n"Mädchen 1.jpg";"Kind";"0"\n"b.jpg";"Tier";""\n'
    write(tmp_path, "Export.csv", text)
    assert list(labels(read(tmp_path)).values()) == ["Kind", "Tier"]


@pytest.mark.parametrize("gap", ["", "2.0"])
def test_a_gap_that_comes_later_renames_no_group(tmp_path, gap):
    touch(tmp_path, "a/1.jpg", "b/2.jpg", "b/3.jpg")
    rows = f"a/1.jpg,0.0\nb/2.jpg,1.0\nb/3.jpg,{gap}\n"
    layout = read(write(tmp_path, "metadata.csv", "path,group\n" + rows))
    assert layout.files["group"].tolist() == ["0", "1", gap[:1]]


def test_a_table_beside_the_folder_of_images(tmp_path):
    touch(tmp_path, "data/images/1.jpg", "data/images/2.jpg")
    write(tmp_path, "data/labels.csv", "image,label\nimages/1.jpg,a\nimages/2.jpg,b\n")
    assert list(labels(read(tmp_path)).values()) == ["a", "b"]


def test_a_table_none_of_whose_rows_is_a_file_says_why_nothing_has_a_label(tmp_path):
    touch(tmp_path, *(f"x{i}.jpg" for i in range(4)))
    write(tmp_path, "labels.csv", "image,label\ny1.jpg,a\ny2.jpg,b\n")
    message = refuse(tmp_path)
    assert "labels.csv: 2 of 2 rows find no file, such as 'y1.jpg', 'y2.jpg'; 4 files" in message


def test_the_delimiter_is_the_one_that_cuts_all_lines_alike():
    assert find_delimiter(["path;label\n", "a,b.jpg;x\n", "c.jpg;y\n"]) == ";"
    assert find_delimiter(["path,label\n", '"a;b.jpg",x\n']) == ","
    assert find_delimiter(["path\n", "a.jpg\n"]) == ","
    assert find_delimiter(["path\n", "my photo.jpg\n"]) == ","
    assert find_delimiter(["cat/1.jpg 0\n", "dog/1.jpg 1\n"]) == " "


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "json", "parquet"])
def test_kinds_of_tables(tmp_path, kind):
    touch(tmp_path, *FILES)
    file = tmp_path / f"metadata.{kind}"
    if kind == "parquet":
        TABLE.to_parquet(file)
    elif kind in ("jsonl", "json"):
        TABLE.to_json(file, orient="records", lines=kind == "jsonl", force_ascii=False)
    else:
        TABLE.to_csv(file, sep="\t" if kind == "tsv" else ",", index=False)
    assert labels(read(tmp_path)) == dict(zip(TABLE["path"], TABLE["label"], strict=True))


@pytest.mark.parametrize(
    "column", ["file_name", "filename", "Image", "IMAGE_PATH", "image_id", "id", "Image Index"]
)
@pytest.mark.parametrize("label", ["class", "Category", "species", "dx", "what is it"])
def test_columns_by_name_or_guessed_and_said(tmp_path, column, label):
    touch(tmp_path, *(f"{i}.jpg" for i in range(4)))
    lines = [f"{i}.jpg,{'ab'[i % 2]},{i * 7}" for i in range(4)]
    write(tmp_path, "metadata.csv", "\n".join([f"{column},{label},weight", *lines]))
    layout = read(tmp_path)
    assert set(labels(layout).values()) == {"a", "b"}
    told = " ".join(layout.notes)
    assert f"file names from column {column}" in told
    assert f"labels from column {label}" in told
    assert ("guess" in told) == (column == "Image Index" or label == "what is it")


def test_columns_that_the_settings_name(tmp_path):
    touch(tmp_path, *(f"{i}.jpg" for i in range(4)))
    lines = [f"{i}.jpg,{i % 2},p{i},{('train', 'test')[i % 2]},x" for i in range(4)]
    write(tmp_path, "my table.txt", "\n".join(["shot,kind of,who,part,label", *lines]))
    told = {"path_column": "shot", "label_column": "kind of", "group_column": "who"}
    layout = read(tmp_path, table="my table.txt", split_column="part", **told)
    assert layout.files.iloc[1].tolist() == ["1.jpg", "1", "test", "p1"]
    message = refuse(tmp_path, table="my table.txt", path_column="shots")
    assert "validate.layout.path_column is 'shots', and it has no such column, only shot" in message
    assert "no such file is in it; the tables in it are: my table.txt" in refuse(
        tmp_path, table="other.csv"
    )


def test_a_table_without_names_of_columns(tmp_path):
    touch(tmp_path, "1.jpg", "2.jpg", "3.jpg")
    write(tmp_path, "labels.csv", "1.jpg,cat\n2.jpg,dog\n3.jpg,cat\n")
    layout = read(tmp_path)
    assert labels(layout) == {"1.jpg": "cat", "2.jpg": "dog", "3.jpg": "cat"}
    assert any("no row of names" in note for note in layout.notes)


@pytest.mark.parametrize(
    ("files", "rows"),
    [
        (("cat/a.jpg", "dog/b.jpg"), ("./cat/a.jpg", "dog\\b.jpg")),
        (("a.jpg", "b.jpg"), ("a", "b")),
        (("a.JPG", "b.jpeg"), ("a.jpg", "B.JPEG")),
        (("a.png", "b.png"), ("a.jpg", "b.jpg")),
        (("train/a.jpg", "train/b.jpg"), ("a.jpg", "b.jpg")),
        (("train/a.jpg", "train/b.jpg"), ("a", "b")),
        (("cat/a.jpg", "dog/b.jpg"), ("/kaggle/input/x/cat/a.jpg", "/kaggle/input/x/dog/b.jpg")),
        (("cat/a.jpg", "dog/b.jpg"), ("C:\\Users\\me\\cat\\a.jpg", "C:\\Users\\me\\dog\\b.jpg")),
        (("cat/a.jpg", "dog/b.jpg"), ("../images/cat/a.jpg", "../images/dog/b.jpg")),
        (("0007.jpg", "0012.jpg"), ("7", "12")),
        (("0007.jpg", "0012.jpg"), ("7.0", "12.0")),
        (("1.5x.jpg", "2.5x.jpg"), ("1.5x", "2.5x")),
    ],
)
def test_rows_find_their_files(tmp_path, files, rows):
    touch(tmp_path, *files)
    write(tmp_path, "metadata.csv", f"path,label\n{rows[0]},x\n{rows[1]},y\n")
    assert labels(read(tmp_path)) == dict(zip(files, "xy", strict=True))


def test_a_row_whose_file_is_gone_gets_no_namesake(tmp_path):
    touch(tmp_path, "cat/1.jpg", "cat/2.jpg", "dog/1.jpg", "dog/3.jpg")
    rows = "cat/1.jpg,c\ncat/2.jpg,c\ndog/1.jpg,d\ncat/3.jpg,c\n"
    layout = read(write(tmp_path, "metadata.csv", "path,label\n" + rows))
    assert labels(layout)["dog/3.jpg"] == "dog"
    assert labels(layout)["cat/3.jpg"] == "c"
    note = next(note for note in layout.notes if "find no file" in note)
    assert note.startswith("metadata.csv: 1 of 4 rows find no file, such as 'cat/3.jpg'; 1 file")


def test_a_row_that_may_mean_several_files_finds_none():
    match = match_rows(["1.jpg", "2.jpg"], ["a/1.jpg", "b/1.jpg", "b/2.jpg"])
    assert match.files == ["", "b/2.jpg"]
    assert match.unsure == 1


@pytest.mark.parametrize(("row", "disk"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_names_in_both_unicode_forms(tmp_path, row, disk):
    names = [unicodedata.normalize(disk, name) for name in ("Café/é1.jpg", "Bäume/한글2.jpg")]
    touch(tmp_path, *names)
    lines = [unicodedata.normalize(row, f"{name},{name[:4]},Ä1") for name in names]
    write(tmp_path, "metadata.csv", "\n".join(["path,label,group", *lines]))
    layout = read(tmp_path)
    assert set(layout.files["path"]) == set(names)
    assert set(layout.files["group"]) == {"Ä1"}
    assert all(unicodedata.is_normalized("NFC", label) for label in layout.files["label"])


@pytest.mark.parametrize("gaps", [True, False])
@pytest.mark.parametrize(
    "values", [[0, 1, 2], ["00", "01", "10"], [True, False, True], ["1.50", "2", "x"]]
)
@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_numbers_and_booleans_keep_their_looks(tmp_path, kind, values, gaps):
    """One image without a group must not turn the others' 0 into 0.0: it would redraw all."""
    names = [f"{i}.jpg" for i in range(4)]
    touch(tmp_path, *names)
    cells = [*values, None if gaps else values[0]]
    column = pd.Series(cells)  # floats, where whole numbers have a gap
    table = pd.DataFrame({"path": names, "label": column, "group": column, "light": column})
    file = tmp_path / f"metadata.{kind}"
    if kind == "csv":
        table.to_csv(file, index=False)
    elif kind == "parquet":
        table.to_parquet(file)
    else:
        table.to_json(file, orient="records", lines=True)
    told = read(tmp_path).files
    expected = [str(value) for value in values]
    if kind == "jsonl" and isinstance(values[0], bool) and gaps:
        expected = ["1", "0", "1"] if told["label"][0] == "1" else expected  # as pandas writes them
    assert told["label"].tolist()[:3] == told["group"].tolist()[:3] == expected
    assert told["label"][3] == ("" if gaps else expected[0])
    assert [str(value) for value in told["light"][:3]] == expected or kind == "csv"


def test_whole_numbers_stay_so_where_an_image_has_no_row(tmp_path):
    touch(tmp_path, *(f"c{i % 2}/{i}.jpg" for i in range(4)))
    table = pd.DataFrame({"path": ["c0/0.jpg", "c1/1.jpg"], "group": [0, 1], "site": [0, 1]})
    table.to_parquet(tmp_path / "metadata.parquet")
    files = read(tmp_path).files.set_index("path")
    assert files["group"].tolist() == ["0", "", "1", ""]
    assert files["site"].dropna().tolist() == ["0", "1"]


def test_numbers_of_rows_are_no_names_where_names_of_images_stand(tmp_path):
    """As Label Studio exports: annotations are numbered, and what is uploaded gets a name."""
    touch(tmp_path, *(f"{i}.jpg" for i in range(1, 5)))
    rows = [(i, 5 - i, f"/data/upload/1/3fa2b1c{i}-{5 - i}.jpg", "ab"[i % 2]) for i in range(1, 5)]
    table = pd.DataFrame(rows, columns=["annotation_id", "id", "image", "choice"])
    table.to_csv(tmp_path / "project-1-at-2024.csv", index=False)
    layout = read(tmp_path)
    assert labels(layout) == {f"{5 - i}.jpg": "ab"[i % 2] for i in range(1, 5)}
    assert any("which Label Studio puts there" in note for note in layout.notes)
    # Without the files that it names, it must not fall back on the numbers.
    table["image"] = [f"elsewhere-{i}.jpg" for i in range(4)]
    table.to_csv(tmp_path / "project-1-at-2024.csv", index=False)
    assert "4 of 4 rows find no file, such as 'elsewhere-0.jpg'" in refuse(tmp_path)


def test_numbers_are_names_where_nothing_else_finds_a_file(tmp_path):
    touch(tmp_path, *(f"{i:04d}.jpg" for i in range(1, 5)))
    rows = "".join(f"{i},IMG_{i + 3}.jpg,{'ab'[i % 2]}\n" for i in range(1, 5))
    layout = read(write(tmp_path, "metadata.csv", f"image_id,original,label\n{rows}"))
    assert list(labels(layout).values()) == list("baba")
    assert any("image_id, a guess: its numbers are names" in note for note in layout.notes)


@pytest.mark.parametrize(
    ("file", "row"),
    [
        ("a b/ä 1.jpg", "a%20b/%C3%A4%201.jpg"),
        ("a b/ä 1.jpg", "https://host.org/x/a%20b/%C3%A4%201.jpg?raw=true&size=1.5/2"),
        ("a b/1.jpg", "s3://bucket/a b/1.jpg"),
        ("a b/100%.jpg", "a b/100%.jpg"),
    ],
)
def test_rows_as_addresses(tmp_path, file, row):
    touch(tmp_path, file, "z.jpg")
    table = pd.DataFrame({"path": [row, "z.jpg"], "label": ["a", "b"]})
    table.to_csv(tmp_path / "metadata.csv", index=False)
    assert labels(read(tmp_path)) == {file: "a", "z.jpg": "b"}


@pytest.mark.parametrize("numbers", [range(1, 5), (7, 3, 11, 0)], ids=["R", "a part of a table"])
def test_numbers_of_rows_that_begin_or_jump_anywhere(tmp_path, numbers):
    touch(tmp_path, *(f"{i}.jpg" for i in range(1, 5)))
    table = pd.DataFrame({"file": [f"{i}.jpg" for i in range(1, 5)], "kind": list("abab")})
    table.index = pd.Index(list(numbers))
    table.to_csv(tmp_path / "once.csv")
    assert list(labels(read(tmp_path)).values()) == list("abab")
    pd.read_csv(tmp_path / "once.csv").to_csv(tmp_path / "metadata.csv")  # saved once more
    layout = read(tmp_path, label_column="kind")
    assert list(labels(layout).values()) == list("abab")
    assert layout.slices == []


def test_numbers_beside_one_other_column_may_be_names(tmp_path):
    touch(tmp_path, *(f"{i}.jpg" for i in range(1, 5)))
    pd.Series(list("abab"), pd.Index([4, 3, 2, 1])).to_csv(tmp_path / "metadata.csv")
    assert "has a column without a name" in refuse(tmp_path)
