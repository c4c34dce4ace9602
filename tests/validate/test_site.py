"""Great Expectations' own pages under our policy, in a browser: what they offer works."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.browser import CHROMIUM, Tab, check_loaded, wait
from tests.faults.project import PHOTOS, make_project, read_stages, start

pytestmark = [pytest.mark.browser, pytest.mark.slow]
HOSTILE = "<img src=x onerror=owned=1>"
ROWS = "[...document.querySelectorAll('tbody tr')].filter(one => one.offsetParent !== null"
FINE = f"{ROWS} && one.querySelector('.fa-check-circle')).length"
FAILED = f"{ROWS} && one.querySelector('.fa-times, .fa-exclamation-triangle')).length"
CHOOSE = "[...document.querySelectorAll('label')].find(one => /{}/.test(one.textContent)).click()"


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH")
def test_failed_only_and_show_all_work_without_a_script(tmp_path: Path) -> None:
    project = tmp_path / "project"
    make_project(project)
    photos = sorted((project / PHOTOS).iterdir())[0]
    photos.rename(photos.with_name(HOSTILE))
    yaml, file = YAML(), project / "params.yaml"
    params = yaml.load(file.read_text(encoding="utf-8"))
    params["validate"]["min_sharpness"] = 1e6  # so that there is something to find
    yaml.dump(params, file)
    stage = read_stages()["validate"]
    start(stage, project).wait(300)
    pages = list((project / "reports/data_docs/validations").rglob("*.html"))
    assert len(pages) == 1, Path(f"{project}.log").read_text()
    text = pages[0].read_text(encoding="utf-8")
    assert "onclick" not in text
    tab = Tab(pages[0].as_uri(), tmp_path)
    try:
        wait(lambda: check_loaded(tab))
        fine, failed = tab.ask(FINE), tab.ask(FAILED)
        assert fine > 5
        assert failed > 0
        tab.ask(CHOOSE.format("Failed Only"))
        assert tab.ask(FINE) == 0
        assert tab.ask(FAILED) == failed
        tab.ask(CHOOSE.format("Show All"))
        assert (tab.ask(FINE), tab.ask(FAILED)) == (fine, failed)
        assert tab.ask("typeof owned") == "undefined"
        assert tab.ask("document.querySelectorAll('[onerror],[onclick]').length") == 0
        assert tab.complaints == []
    finally:
        tab.close()
