"""Tables and lists that are not read, or hold less than one hopes: what is said of them."""

import pytest

from .test_folders import read, refuse
from .test_layout import touch
from .test_tables import write


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
