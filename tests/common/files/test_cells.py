"""No cell of a table for people begins as a formula, and what was written is read as it was."""

from __future__ import annotations

import csv
import dataclasses
import importlib
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.common.artifacts.curve import CLASS, CurvePoint, read_curve, write_curve
from components.common.artifacts.label_issues import (
    LabelIssue,
    read_label_issues,
    write_label_issues,
)
from components.common.files.cells import shield_path, shield_text, unshield_text
from components.evaluate.report import plots
from components.predict.answers import open_output

FORMULAS = (
    '=HYPERLINK("http://x")',
    "+1",
    "-1+1",
    "@SUM(A1)",
    "\tx",
    "\r=x",
    "'=x",
    "＝1+1",
    "\n=1",
    "cat",
)
SIGNS = "=+-@\t\r\n＝＋－＠"
texts = st.text() | st.builds(
    "{}{}{}".format, st.text("'", max_size=2), st.sampled_from(SIGNS), st.text()
)


def begins_as_formula(cell: str) -> bool:
    return cell[:1] in set(SIGNS)


@given(texts)
def test_a_shielded_text_is_no_formula_and_comes_back(text: str) -> None:
    assert not begins_as_formula(shield_text(text))
    assert unshield_text(shield_text(text)) == text
    assert text == "-" or not begins_as_formula(
        shield_path(text)
    )  # that alone is a sign, no formula


def read_cells(file: Path) -> list[str]:
    with file.open(encoding="utf-8", newline="") as stream:
        return [cell for row in csv.reader(stream) for cell in row]


def test_label_issues(tmp_path: Path) -> None:
    issues = [LabelIssue(f"{t}/1.png", "val", t, t, 0.1, 0.9, "0" * 64) for t in FORMULAS]
    write_label_issues(tmp_path / "issues.csv", issues)
    assert not [c for c in read_cells(tmp_path / "issues.csv") if begins_as_formula(c)]
    rows = read_label_issues(tmp_path / "issues.csv")
    assert [(r["path"], r["label"], r["suggested"]) for r in rows] == [
        (i.path, i.label, i.suggested) for i in issues
    ]


def test_predictions(tmp_path: Path) -> None:
    rest = {"probability": 0.5, "unsure": False}
    with open_output(str(tmp_path / "p.csv"), ["sets"]) as write:
        write([{"path": f, "label": f, "reason": f, "sets": [f], **rest} for f in FORMULAS])
    assert not [c for c in read_cells(tmp_path / "p.csv") if begins_as_formula(c)]


def test_quarantine(
    make_digits: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    images = make_digits()
    for name in ("=cmd()", "cat"):
        (images / name).mkdir()
        (images / name / "=1+1.png").write_text("no picture")
    room, spec = (
        importlib.import_module(f"components.validate.{part}") for part in ("run", "spec")
    )
    names = [field.name for field in dataclasses.fields(spec.Outputs)]
    outputs = spec.Outputs(**{name: tmp_path / "out" / name for name in names})
    from components.common.errors import DarkroomError

    with pytest.raises(DarkroomError):  # two classes of which no image can be read
        room.run(spec.Inputs(images=images), outputs, spec.Params())
    cells = read_cells(outputs.quarantine)
    assert "./=cmd()/=1+1.png" in cells
    assert "'=cmd()" in cells
    assert not [cell for cell in cells if begins_as_formula(cell)]


def test_names_in_tables_of_figures_are_no_formulas(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "=HYPERLINK(0)"
    point = CurvePoint(CLASS, name, "measured", 8, 0, 0.5, 0.4, 0.6, 0.0, 0.0, 0.0)
    write_curve(tmp_path / "curve.csv", [point])
    assert f",'{name}," in (tmp_path / "curve.csv").read_text()
    assert read_curve(tmp_path / "curve.csv") == [point]
    table = pd.DataFrame({"class": [name, "cat"], "images": [3, -1]})
    monkeypatch.setattr(plots, "create_tables", lambda *_: {"classes": table})
    plots.write_plots(tmp_path, None, {})  # type: ignore[arg-type]
    assert (tmp_path / "classes.csv").read_text() == f"class,images\n'{name},3\ncat,-1\n"
