"""Names that would write into a page do not, on any page, in a browser with its policies."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from PIL import Image
from ruamel.yaml import YAML

from tests.browser import CHROMIUM, Tab, check_loaded, wait
from tests.conftest import load_digits
from tests.faults.project import PHOTOS, make_project, read_stages, start

# Class names, a column's name and its values, and names of files.
CLASSES = (
    "</script><script>owned=1</script>",
    "\"><img src=x onerror='owned=2'>",
    "<svg onload=owned=3>&lt;{{7*7}}${7*7}",
    '=HYPERLINK("javascript:owned=4")--><!--\'',
)
COLUMN = "<style>*{display:none}</style><b onmouseover=owned=5>"
# A table takes a backslash for a slash. The rest of a sentence would run from right to left.
FILE = "<img src=x onerror=owned=6>&quot;' כלב {}\u202egnp\n.png"
PAGES = ("reports/report.html", "reports/labels.html", "reports/data_docs/index.html")
PER_CLASS = 26

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.browser]


def write_hostile(folder: Path) -> None:
    """Write digits with a table that gives them the names."""
    pixels, labels = load_digits()
    folder.mkdir(parents=True)
    rows = []
    for label, name in enumerate(CLASSES):
        for number, index in enumerate(
            [i for i, of in enumerate(labels) if of == label][:PER_CLASS]
        ):
            path = FILE.format(f"{label}-{number}")
            Image.fromarray(pixels[index]).resize((32, 32)).save(folder / path)
            rows.append((path, name, CLASSES[number % 2]))
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(("path", "label", COLUMN))
        table.writerows(rows)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH")
def test_names_run_nothing_and_hide_nothing(tmp_path: Path) -> None:
    project = tmp_path / "project"
    make_project(project)
    write_hostile(project / "hostile")
    yaml, file = YAML(), project / "params.yaml"
    params = yaml.load(file.read_text(encoding="utf-8"))
    params["data"]["source"] = "hostile"
    params["evaluate"]["min_slice_images"] = 5
    params["validate"]["min_slice_images"] = 60  # so that there is a finding about the column
    yaml.dump(params, file)
    stages = read_stages()
    for room in ("validate", "preprocess", "train", "evaluate", "promote", "suggest"):
        stage = stages[room]
        stage.words[:] = ["hostile" if word == PHOTOS else word for word in stage.words]
        assert start(stage, project).wait(300) == 0, Path(f"{project}.log").read_text()
    site = sorted((project / "reports/data_docs").rglob("*.html"))
    assert len(site) == 3  # ours, the expectations and their results
    pages = [*(project / name for name in PAGES), project / "suggestions.html", *site]
    for page in dict.fromkeys(pages):
        text = page.read_text(encoding="utf-8")
        assert 'http-equiv="Content-Security-Policy"' in text, page
        assert "<script>owned" not in text, page
        assert "<img src=x" not in text, page
        tab = Tab(page.as_uri(), tmp_path)
        try:
            wait(lambda tab=tab: check_loaded(tab))
            assert tab.ask("typeof owned") == "undefined", page
            assert tab.ask("getComputedStyle(document.body).display") != "none", page
            assert (
                tab.ask("document.querySelectorAll('[onerror],[onload],[onmouseover]').length") == 0
            )
            assert tab.complaints == [], page
            assert tab.ask("/[\\u202a-\\u202e]/.test(document.body.innerText)") is False, page
            turned = "[...document.querySelectorAll('bdi')].map(one => one.textContent).join()"
            assert set(tab.ask(turned).split(",")) <= {"", "כלב"}, page
        finally:
            tab.close()
    for name in PAGES[1:]:  # in JSON, which the page's script isolates; and in texts
        assert "כלב" in (project / name).read_text(encoding="utf-8") or "\\u05db" in (
            project / name
        ).read_text(encoding="utf-8")
    shown = (project / PAGES[0]).read_text(encoding="utf-8")
    assert "&lt;/script&gt;&lt;script&gt;owned=1" in shown
