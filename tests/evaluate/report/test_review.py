"""The page of suspects: what is on it, in which order; in a real browser: keys, files, storage."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from components.common.artifacts.manifest import read_manifest, write_manifest
from components.common.images.uris import encode_image
from components.evaluate.checks.suspects import (
    ALIKE,
    DOUBTED,
    MISTAKEN,
    TWO_LABELS,
    Decision,
    Suspect,
    find_suspects,
    list_decisions,
)
from components.evaluate.report import review
from components.evaluate.report.review import Review, render_review
from components.evaluate.run import run
from components.evaluate.spec import Params
from components.promote.gate.evidence import parse_evidence
from components.validate.layouts.corrections import apply_corrections, read_corrections
from tests.browser import CHROMIUM, Tab, wait
from tests.evaluate.conftest import Room, predictions_of

PARAMS = Params(resamples=100, robustness_images=8, latency_runs=1)
# What people call things, and what would do harm in a page or a spreadsheet.
HOSTILE = [
    '=HYPERLINK("http://x")',
    "</script><img src=x onerror=document.title=1>",
    '\'-+@ "quoted", comma; semicolon',
    "日本 ü\tta\r\nb",
    "@SUM(A1)",
]
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH")


def make_manifest(*rows: tuple[str, str, str, str]) -> pd.DataFrame:
    """Return rows of a manifest: path, label, sha256, picture."""
    table = pd.DataFrame(rows, columns=["path", "label", "sha256", "picture"])
    return table.assign(status="ok", reason="", label_before="", thumbnail="")


def test_the_likeliest_wrong_come_first_and_what_was_decided_does_not_come_again() -> None:
    manifest = make_manifest(
        ("a/1", "a", "s1", "s1"),
        ("b/1", "b", "s1", "s1"),  # the same bytes
        ("a/2", "a", "s2", "s2"),
        ("b/3", "b", "s3", "s2"),  # a changed copy
        ("a/4", "a", "s4", "s4"),
        ("a/5", "a", "s5", "s5"),
        ("a/6", "a", "s6", "s6"),
    )
    manifest.loc[5, "label_before"] = "a"
    issues = [
        {"path": p, "split": "train", "label": "a", "suggested": "b", "score": s, "sha256": ""}
        for p, s in (("a/4", 0.02), ("a/5", 0.01), ("a/2", 0.3))
    ]
    logits = np.log([[0.1, 0.9], [0.8, 0.2]])
    test = predictions_of([0, 0], logits, ["a", "b"], ["a/6", "a/7"], ["s6", "s7"])
    found = find_suspects(issues, test, manifest, {"a/4": "val", "b/3": "train"})
    assert [(one.sha256, one.why) for one in found] == [
        ("s1", TWO_LABELS),
        ("s4", DOUBTED),
        ("s6", MISTAKEN),
        ("s2", ALIKE),
        ("s3", ALIKE),
    ]
    assert found[0].files == [("a/1", "a"), ("b/1", "b")]
    assert [found[i].split for i in (0, 1, 2, 4)] == ["", "val", "test", "train"]
    assert found[2].own_score == pytest.approx(0.1)
    assert found[3].likely == "b"


def test_decisions_of_the_manifest_go_into_the_next_file() -> None:
    manifest = make_manifest(*((f"{i}", "a", f"s{i}", f"s{i}") for i in range(4)))
    manifest.loc[[0, 1, 2], "label_before"] = ["a", "b", "a"]
    manifest.loc[2, ["status", "reason"]] = ["quarantined", "dropped: a person took it out"]
    assert list_decisions(manifest) == [
        Decision("s0", "0", "a", "keep", ""),
        Decision("s1", "1", "b", "change", "a"),
        Decision("s2", "2", "a", "drop", ""),
    ]


def read_data(page: str) -> dict[str, Any]:
    found = re.search(r'id="data">(.*?)</script>', page)
    assert found is not None
    return json.loads(found[1])


@pytest.mark.parametrize(
    ("names", "keys"),
    [
        (["ant", "bee", "cat"], ["1 ant", "2 bee", "3 cat"]),
        ([*"0123456789"], [f"{digit} {digit}" for digit in "0123456789"]),
        ([*"37"], ["3 3", "7 7"]),
        ([*"abcdefghijkz"], ["1 a", "2 b", "3 c", "4 d", "5 e", "6 f", "7 g", "8 h", "9 i", "0 k"]),
    ],
)
def test_a_key_chooses_a_class_and_digits_choose_their_own(
    names: list[str], keys: list[str]
) -> None:
    made = make_review(1)  # of twelve classes, the one in question is among the ten
    doubted = replace(made.suspects[0], likely=names[-2], files=[("x", names[0])])
    found = read_data(render_review(replace(made, suspects=[doubted], class_names=names)))
    assert [" ".join(pair) for pair in found["keys"]] == keys


def mend(manifest: pd.DataFrame, path: str, label: str) -> None:
    row = manifest.index[manifest["path"] == path][0]
    manifest.loc[row, ["label_before", "label"]] = [label, manifest.loc[row, "label"]]


def test_the_stage_writes_the_page_and_the_next_report_says_what_was_mended(
    room: Room, capsys: pytest.CaptureFixture[str]
) -> None:
    run(room.inputs, room.outputs, PARAMS)
    first = json.loads(room.outputs.metrics.read_text())
    page = room.outputs.labels.read_text()
    found = read_data(page)
    assert len(found["items"]) == first["mistakes"] + 1
    assert {one["why"] for one in found["items"]} == {DOUBTED, MISTAKEN}
    chances = [1 - one["own"] for one in found["items"]]
    assert chances == sorted(chances, reverse=True)
    assert "corrections" not in first

    # A person finds that a test photo that was named wrongly was labelled wrongly.
    manifest = read_manifest(room.inputs.manifest)
    predictions = pd.read_parquet(room.outputs.predictions)
    wrong = predictions[~predictions["correct"]].iloc[0]
    right = predictions[predictions["correct"]].iloc[-1]
    probed = manifest.index[manifest["path"] == "digit-1/0001.png"]
    manifest.loc[probed, "label_before"] = manifest.loc[probed, "label"]
    mend(manifest, right["path"], "8" if right["label"] != "8" else "1")
    write_manifest(room.inputs.manifest, manifest)
    capsys.readouterr()
    for _ in range(2):  # a second evaluation under the same corrections remembers what was before
        run(room.inputs, room.outputs, PARAMS)
        mended = json.loads(room.outputs.metrics.read_text())["corrections"]
        assert (mended["changed"], mended["dropped"], mended["kept"]) == (1, 0, 1)
        assert parse_evidence(json.loads(room.outputs.metrics.read_text()), "metrics.json")
        assert mended["changed_in"] == {"train": 0, "val": 0, "test": 1}
        images = len(predictions)
        old = (first["accuracy"] * images - 1) / images  # one answer more is wrong by the old label
        assert mended["accuracy_by_old_labels"] == pytest.approx(old)
        assert mended["before"]["accuracy"] == first["accuracy"]
    said = capsys.readouterr().out
    assert "A person looked at labels: 1 changed (1 in test)" in said
    assert f"Accuracy before: {first['accuracy']:.1%}" in room.outputs.report.read_text()
    later = read_data(room.outputs.labels.read_text())
    assert sorted(row[3] for row in later["earlier"]) == ["change", "keep"]
    # What a person has kept is doubted no longer, neither here nor in the report.
    assert "digit-1/0001.png" not in json.dumps(later["items"])
    report = room.outputs.report.read_text()
    suspects = report[report.index('id="suspects"') : report.index('id="training"')]
    assert "digit-1/0001.png" not in suspects
    assert "1 changed" in suspects
    assert wrong["path"] in json.dumps(later["items"])


def test_a_page_of_many_photos_stays_small(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(review, "MOST_PICTURES_BYTES", 8_000)
    run(room.inputs, room.outputs, PARAMS)
    page = room.outputs.labels.read_text()
    found = read_data(page)["items"]
    assert 0 < sum(len(one["picture"]) for one in found) <= 8_000
    assert "more are not shown" in page


def make_review(count: int, files: Any = None) -> Review:
    """Return suspects under hostile names, each its own picture."""
    random = np.random.default_rng(0)
    suspects, pictures = [], {}
    for i in range(count):
        digest = f"{i:064x}"
        label, likely = HOSTILE[i % 5], HOSTILE[(i + 1) % 5]
        path = f"{label}/<b>{i}.jpg"
        split = "train" if i % 3 else "test"
        one = Suspect(digest, DOUBTED, [(path, label)], split, likely, 0.01, 0.9, 0.99)
        suspects.append(one)
        image = Image.fromarray(random.integers(0, 256, (6, 6, 3), np.uint8)).resize((96, 96))
        pictures[digest] = encode_image(image, "JPEG", quality=76)
    earlier = [Decision("f" * 64, "=old.jpg", HOSTILE[0], "change", HOSTILE[1])]
    return Review(suspects, {}, earlier, pictures, sorted(HOSTILE), "<i>experiment")


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Any]:
    """Return a function that opens a page, with a folder for what it saves."""
    tabs = []

    def open_(text: str, *flags: str) -> Tab:
        page = tmp_path / "labels.html"
        page.write_text(text)
        tab = Tab(page.as_uri(), tmp_path, *flags)
        tabs.append(tab)
        tab.do(
            "Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path / "saved")
        )
        # The tab's first page is an empty one, and before it has painted Chromium drops keys.
        wait(lambda: ensure(bool(tab.ask("document.getElementById('counts')?.textContent"))))
        tab.ask("addEventListener('keydown', () => { document.body.dataset.awake = 1; })")

        def wake() -> None:
            tab.press("Shift")
            ensure(bool(tab.ask("document.body.dataset.awake")))

        wait(wake)
        return tab

    yield open_
    for tab in tabs:
        tab.close()


def ensure(holds: bool) -> None:
    assert holds


def read_saved(folder: Path) -> tuple[Path, list[dict[str, str]]]:
    file = folder / "saved" / "corrections.csv"
    wait(lambda: file.stat().st_size)
    with file.open(newline="", encoding="utf-8") as stream:
        return file, list(csv.DictReader(stream))


@pytest.mark.browser
@needs_browser
def test_a_person_mends_labels_by_keyboard_and_validate_applies_them(
    opened: Any, tmp_path: Path
) -> None:
    made = make_review(8)
    twice = replace(
        made.suspects[7],
        why=TWO_LABELS,
        files=[("one.jpg", HOSTILE[0]), ("two.jpg", HOSTILE[4])],
        likely="",
    )
    made = replace(made, suspects=[*made.suspects[:7], twice])
    tab = opened(render_review(made))
    assert tab.complaints == []
    names = sorted(HOSTILE)
    tab.press("Enter")  # 0 is kept
    tab.press(" ")  # 1 is what it looks like
    tab.press("d")  # 2 is dropped
    tab.press(str(names.index(HOSTILE[4]) + 1))  # 3 gets a class by its number
    tab.press("c", *"SUM", "Enter")  # 4 is what it is filed as, found by its name: kept
    tab.press("j", "j", "k", "d", "u")  # 6 dropped, and that undone
    tab.press("ArrowRight", "Enter")  # 7 has two labels: keep says nothing
    assert "choose the right one" in tab.ask("document.getElementById('status').textContent")
    tab.press(str(names.index(HOSTILE[0]) + 1))
    counts = "document.getElementById('counts')?.textContent"
    assert "6 of 8 photos: 3 changed, 1 dropped, 2 kept · 8 changes not saved" in tab.ask(counts)
    tab.press("s")
    status = tab.ask("document.getElementById('status').textContent")
    assert "Saved corrections.csv among your downloads: 3 changed, 1 dropped, 2 kept" in status
    assert "saved at" in tab.ask(counts)
    file, rows = read_saved(tmp_path)

    # No cell is a formula; what they say is what validate reads.
    assert not [cell for row in rows for cell in row.values() if cell[:1] in set("=+-@\t\r")]
    told = read_corrections(str(file))
    outcomes = [(int(o.sha256, 16), o.label, o.outcome) for o in told[:-1]]
    assert outcomes == [
        (0, HOSTILE[0], ("keep", HOSTILE[0])),
        (1, HOSTILE[1], ("keep", HOSTILE[2])),
        (2, HOSTILE[2], ("drop", "")),
        (3, HOSTILE[3], ("keep", HOSTILE[4])),
        (4, HOSTILE[4], ("keep", HOSTILE[4])),
        (7, HOSTILE[0], ("keep", HOSTILE[0])),
        (7, HOSTILE[4], ("keep", HOSTILE[0])),
    ]
    assert asdict(told[-1]) == asdict(made.decisions[0])  # of an earlier page
    files = [(path, label, s.sha256, "") for s in made.suspects for path, label in s.files]
    manifest, applied = apply_corrections(make_manifest(*files), told, "corrections.csv")
    assert (len(applied.changed), len(applied.dropped), len(applied.kept)) == (3, 1, 3)
    assert len(applied.no_image) == 1
    assert manifest["label"].tolist()[-2:] == [HOSTILE[0]] * 2

    # The same browser goes on where it was; another one from the saved file.
    def reload(words: str) -> None:
        tab.do("Page.reload")
        wait(lambda: ensure(words in str(tab.ask(counts))))

    reload("6 of 8 photos: 3 changed, 1 dropped, 2 kept")
    tab.ask("localStorage.clear()")
    reload("0 of 8 photos")
    tab.choose(file, field="#load")
    wait(lambda: ensure("6 of 8 photos: 3 changed, 1 dropped, 2 kept" in tab.ask(counts)))
    file.unlink()
    tab.ask("document.getElementById('save').click()")
    assert [list(row.values())[:5] for row in read_saved(tmp_path)[1]] == [
        list(row.values())[:5] for row in rows
    ]
    assert tab.ask("document.title").endswith("<i>experiment · Darkroom")
    assert tab.complaints == []


LOOK = """(() => {
  const faults = [], all = what => [...document.querySelectorAll(what)];
  for (const one of all("body *:not(.sheet li *)"))
    if (one.getBoundingClientRect().right > innerWidth + 1 && !one.closest("dialog"))
      faults.push(`too wide: ${one.tagName} ${one.id} ${one.className}`);
  for (const one of all("button, input")) if (!(one.ariaLabel ?? one.textContent).trim()
    && !one.labels?.length) faults.push(`nameless: ${one.id}`);
  if (document.images.length && !document.getElementById("picture").naturalWidth)
    faults.push("no picture");
  const ids = all("[id]").map(one => one.id);
  if (ids.length !== new Set(ids).size) faults.push("an id twice");
  return [...faults, innerWidth].join("; ");
})()"""


@pytest.mark.browser
@needs_browser
def test_the_page_of_2000_photos_fits_a_phone_and_a_desk(opened: Any) -> None:
    page = render_review(make_review(2000))
    assert len(page) < 15_000_000
    tab = opened(page)
    # How long that takes, benchmarks/labels.py measures.
    assert wait(lambda: tab.ask("performance.getEntriesByType('navigation')[0].loadEventEnd")) > 0
    for scheme, ground in (("light", "rgb(255, 255, 255)"), ("dark", "rgb(20, 23, 28)")):
        theme = {"name": "prefers-color-scheme", "value": scheme}
        tab.do("Emulation.setEmulatedMedia", features=[theme])
        assert tab.ask("getComputedStyle(document.body).backgroundColor") == ground
        for width in (390, 1400):
            size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
            tab.do("Emulation.setDeviceMetricsOverride", **size)
            assert tab.ask(LOOK) == str(width)
    assert tab.complaints == []


def test_without_suspects_the_page_says_so() -> None:
    page = render_review(Review([], {}, [], {}, ["a", "b"], "x"))
    assert "No label looks wrong" in page
    assert read_data(page)["items"] == []
    assert "default-src &#39;none&#39;" in page
