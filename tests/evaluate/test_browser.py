"""The report in a real browser: nothing is cut off, a click on a cell shows its photos."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from components.evaluate.run import run
from components.evaluate.spec import Params
from tests.evaluate.conftest import Room

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
FLAGS = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking"
FLAGS += " --disable-component-update --disable-sync --virtual-time-budget=3000 --dump-dom"
# Run inside a copy of the page; its findings are read from the DOM that the browser prints.
PROBE = """<script>addEventListener("load", () => {
  const wide = [...document.querySelectorAll("main *, header *, footer *")].filter(
    one => one.getBoundingClientRect().right > innerWidth && !one.closest(".scroll, nav, svg"));
  const pictures = [...document.images];
  const button = document.querySelector("[data-cell]");
  button.click();
  const dialog = document.querySelector("dialog");
  const faults = [
    ...wide.map(one => `too wide: ${one.tagName} ${one.className}`),
    ...pictures.filter(one => !one.complete || !one.naturalWidth).map(one => `broken: ${one.alt}`),
    ...[...document.images].filter(one => !one.hasAttribute("alt")).map(one => "no alt"),
    dialog.open ? [] : ["a click on a cell opens nothing"],
    dialog.querySelector("img") ? [] : ["no photo behind the cell"],
    dialog.querySelector("h2").textContent === button.dataset.title ? [] : ["no title"],
  ].flat();
  document.body.dataset.found = faults.join("; ") || "no fault";
});</script></body>"""


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH")
def test_the_report_fits_and_answers_a_click(room: Room, tmp_path: Path) -> None:
    run(room.inputs, room.outputs, Params(resamples=100, robustness_images=8, latency_runs=1))
    page = room.outputs.report.read_text()
    copy = tmp_path / "probe.html"
    copy.write_text(page.replace("</body>", PROBE))
    for width in (820, 1400, 500):  # Chromium's window is never narrower than 500 px
        done = subprocess.run(
            [
                str(CHROMIUM),
                *FLAGS.split(),
                f"--user-data-dir={tmp_path / 'profile'}",
                f"--window-size={width},900",
                copy.as_uri(),
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        found = re.search(r'data-found="([^"]*)"', done.stdout)
        assert found is not None
        assert found[1] == "no fault", f"at {width} px: {found[1]}"
