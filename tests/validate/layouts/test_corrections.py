"""A person's corrections: joined by bytes, applied once, and what cannot be applied is said."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from components.common.errors import DarkroomError
from components.common.settings.spec import NO_CORRECTIONS, Data
from components.validate.layouts.corrections import (
    apply_corrections,
    parse_corrections,
    read_corrections,
)
from components.validate.run import run
from components.validate.spec import Inputs, Outputs, Params
from tests.conftest import load_digits

HEAD = "sha256,path,label,action,new_label,decided_at\n"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Ten real digits of each of two classes; one of them lies in the other class as well."""
    from PIL import Image

    pixels, labels = load_digits()
    for label in (3, 5):
        folder = tmp_path / "images" / f"={label}, 'x'"
        folder.mkdir(parents=True)
        for number, index in enumerate((labels == label).nonzero()[0][:12]):
            Image.fromarray(pixels[index]).resize((32, 32)).save(folder / f"{number:02d}.png")
    shutil.copy(tmp_path / "images/=3, 'x'/00.png", tmp_path / "images/=5, 'x'/copy.png")
    return tmp_path / "images"


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def validate(images: Path, rows: str) -> tuple[pd.DataFrame, dict, Outputs]:
    folder = images.parent
    named = folder / "corrections.csv"
    named.write_text(HEAD + rows)
    outputs = Outputs(
        folder / "manifest.parquet",
        folder / "validation.json",
        folder / "quarantine.csv",
        folder / "data_docs",
    )
    run(Inputs(images), outputs, replace(Params(), data=Data(corrections=str(named))))
    table = pd.read_parquet(outputs.manifest).set_index("path")
    return table, json.loads(outputs.validation.read_text()), outputs


def test_labels_change_images_drop_and_the_rest_is_said(images: Path) -> None:
    three, five = "=3, 'x'", "=5, 'x'"
    place = {name: images / name for name in (f"{three}/01.png", f"{three}/02.png")}
    moved, dropped = (digest(file) for file in place.values())
    kept, outdated, torn, nobody = (
        digest(images / f"{five}/{number:02d}.png") for number in (1, 2, 3, 4)
    )
    before = {file: file.read_bytes() for file in images.rglob("*.png")}
    quoted = {name: f'"\'{name}"' for name in (three, five)}  # as the page writes it
    rows = [
        f"{moved},x,{quoted[three]},change,{quoted[five]},2026-01-01",
        f"{dropped},x,{quoted[three]},drop,,",
        f"{kept},x,{quoted[five]},keep,,",
        f"{outdated},x,elsewhere,drop,,",
        f"{torn},x,{quoted[five]},drop,,",
        f"{torn},x,{quoted[five]},keep,,",
        f"{'0' * 64},gone.png,{quoted[five]},drop,,",
        f"{nobody},x,{quoted[five]},change,\"=5, 'y'\",",
        # The same bytes under two labels: one decision, a row for each file.
        f"{digest(images / three / '00.png')},x,{quoted[three]},keep,,",
        f"{digest(images / three / '00.png')},x,{quoted[five]},change,{quoted[three]},",
    ]
    table, verdict, outputs = validate(images, "\n".join(rows))
    assert {file: file.read_bytes() for file in images.rglob("*.png")} == before

    assert table.loc[f"{three}/01.png", ["label", "label_before"]].tolist() == [five, three]
    assert table.loc[f"{three}/02.png", "status"] == "quarantined"
    assert table.loc[f"{three}/02.png", "reason"].startswith("dropped: ")
    assert table.loc[f"{five}/01.png", ["label", "label_before"]].tolist() == [five, five]
    for number in (2, 3, 4, 5):
        name = f"{five}/{number:02d}.png"
        assert table.loc[name, ["label", "label_before", "status"]].tolist() == [five, "", "ok"]
    assert set(table.loc[[f"{three}/00.png", f"{five}/copy.png"], "label"]) == {three}

    counts = {key: value for key, value in verdict["corrections"].items() if key != "file"}
    assert counts == {
        "kept": 2,
        "changed": 2,
        "dropped": 1,
        "no_image": 1,
        "conflicting": 1,
        "label_moved": 1,
        "unknown_class": 1,
    }
    found = {one["kind"]: one for one in verdict["findings"]}
    assert "2 labels changed, 1 image dropped, 2 looked at" in found["corrected"]["message"]
    assert "did you mean `=5, 'x'`" in found["correction to no class"]["message"]
    assert "under several labels" not in json.dumps(verdict["findings"])
    docs = (outputs.data_docs / "index.html").read_text()
    assert "2 labels changed" in docs
    assert "gone.png" in json.dumps(found["correction without image"])

    # Once the folders say what the corrections say, they change nothing any more.
    shutil.move(images / three / "01.png", images / five / "moved.png")
    again, verdict, _ = validate(images, "\n".join(rows))
    assert again.loc[f"{five}/moved.png", "label"] == five
    assert verdict["corrections"]["label_moved"] == 1


def test_a_picture_under_two_labels_gets_a_thumbnail(images: Path) -> None:
    table, verdict, _ = validate(images, "")
    pictured = table.index[table["thumbnail"].str.startswith("data:image/jpeg;base64,")]
    assert sorted(pictured) == ["=3, 'x'/00.png", "=5, 'x'/copy.png"]
    assert verdict["corrections"]["changed"] == 0


def test_none_are_asked_for_where_nothing_is_named(tmp_path: Path, monkeypatch) -> None:
    shipped = Path(NO_CORRECTIONS).read_text()
    assert parse_corrections(shipped, "it") == []
    assert shipped == HEAD
    nothing = pd.DataFrame({"label": ["a"]})
    assert apply_corrections(nothing, [], NO_CORRECTIONS)[1].as_json()["file"] == ""
    monkeypatch.chdir(tmp_path)  # the default stands for none wherever a room runs
    assert read_corrections("") == read_corrections(NO_CORRECTIONS) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path,label\nx,y\n", ["lacks the column sha256, action"]),
        (HEAD + "12,x,a,keep,,\n", ["line 2", "64 hexadecimal", "'12'"]),
        (HEAD + "{0},x,a,kepp,,\n", ["line 2", "keep, change, drop", "'kepp'"]),
        (HEAD + "\n{0},x,a,change, ,\n", ["line 3", "new_label"]),
        (HEAD + '{0},x,"a,keep,,\n', ["not a CSV table"]),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, words: list[str]) -> None:
    with pytest.raises(DarkroomError) as caught:
        parse_corrections(text.format("0" * 64), "mine.csv")
    for word in ["mine.csv", *words]:
        assert word in str(caught.value)


def test_a_spreadsheet_may_save_it_in_its_own_way(tmp_path: Path) -> None:
    file = tmp_path / "corrections.csv"
    file.write_bytes(
        b"\xef\xbb\xbfsha256;path;label;action;new_label\r\n"
        + b"A" * 64
        + b";x;'-a;Change;'=b;\r\n;;;;\r\n"
    )
    (row,) = read_corrections(str(file))
    assert (row.sha256, row.label, row.outcome) == ("a" * 64, "-a", ("keep", "=b"))
    with pytest.raises(DarkroomError, match="no such file"):
        read_corrections(str(tmp_path / "gone.csv"))
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DarkroomError, match="UTF-8"):
        read_corrections(str(file))
