"""The report in a real browser: nothing is cut off, it answers clicks and keys, it reads well."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from components.evaluate.report import report
from components.evaluate.report.templating import TEMPLATES, hash_source
from components.evaluate.run import run
from components.evaluate.spec import Params
from tests.evaluate.conftest import Room

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
FLAGS = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking"
FLAGS += " --disable-component-update --disable-sync --virtual-time-budget=3000 --dump-dom"
DARK = "--blink-settings=preferredColorScheme=0"
PARAMS = Params(resamples=100, robustness_images=8, latency_runs=1)
# Chromium's window is never narrower than 500 px, so the page is shown in a frame; it tells its
# findings to the page around, whose DOM the browser prints.
FRAME = """<body><iframe src="{name}" style="border:0;width:{width}px;height:900px"></iframe>
<script>addEventListener("message", event => document.body.dataset.found = event.data);</script>"""
PROBE = """<script>addEventListener("load", () => {
  const all = what => [...document.querySelectorAll(what)];
  const faults = [];
  const check = (holds, words) => holds || faults.push(words);
  for (const one of all("main *, header *, footer *"))
    if (one.getBoundingClientRect().right > innerWidth && !one.closest(".scroll, nav, svg"))
      faults.push(`too wide: ${one.tagName} ${one.className}`);

  // What a screen reader reads.
  const name = one => (one.ariaLabel ?? one.textContent).trim();
  const titles = all("h1, h2, h3").filter(one => !one.closest("dialog"));
  const levels = titles.map(one => +one.tagName[1]);
  check(levels[0] === 1 && levels.filter(level => level === 1).length === 1, "not one h1 first");
  check(levels.every((level, i) => i === 0 || level <= levels[i - 1] + 1), "a level left out");
  check(document.documentElement.lang && document.title && all("main").length === 1, "landmarks");
  for (const one of all("button, summary, nav a")) check(name(one), "a control without a name");
  for (const one of all("svg")) check(one.role === "img" && one.ariaLabel, "a nameless figure");
  for (const one of all("table")) check(one.caption && one.tHead, "a headless table");
  for (const one of all("input, select")) check(one.labels.length, "a field without label");
  for (const one of all("section, footer, dialog, [role=region]"))
    check(one.ariaLabel || document.getElementById(one.getAttribute("aria-labelledby")), one.id);
  for (const one of all("nav a")) check(document.querySelector(one.hash), `no ${one.hash}`);
  for (const one of document.images)
    check(one.hasAttribute("alt") && one.complete && one.naturalWidth, `broken: ${one.src}`);
  const ids = all("[id]").map(one => one.id);
  check(ids.length === new Set(ids).size, "an id twice");

  // What keys and clicks do.
  const dialog = document.querySelector("dialog");
  const look = (what, act) => {
    act();
    check(dialog.open && dialog.querySelector("img")?.alt, `${what} shows no photo`);
    check(dialog.querySelector("h2").textContent.includes("of the class"), `${what}: no title`);
    dialog.querySelector("button").click();
    check(!dialog.open, `${what}: it does not close`);
  };
  for (const button of [...all("[data-cell]"), document.querySelector(".chooser button")])
    if (button) {
      button.focus({focusVisible: true});
      check(getComputedStyle(button).outlineStyle !== "none", "a focus that is not seen");
      look(button.className || name(button), () => button.click());
      check(document.activeElement === button, "focus is lost");
    }
  const map = document.querySelector(".map");
  if (map) {
    const [left, top, width, height] = map.dataset.box.split(" ").map(Number);
    const svg = map.querySelector("svg"), side = svg.getBoundingClientRect();
    const step = 1 / map.dataset.classes, at = 1.5 * step;  // the second class, named rightly
    look("a spot", () => svg.dispatchEvent(new MouseEvent("click", {
      clientX: side.left + side.width * (left + width * at),
      clientY: side.top + side.height * (top + height * at)})));
    check(dialog.querySelector("h2").textContent.startsWith("3, named rightly"), "another spot");
  }
  check(all("[data-cell]").length, "no button to click");
  parent.postMessage(faults.join("; ") || "no fault", "*");
});</script></body>"""


def look_at(page: Path, width: int, *flags: str) -> str:
    """Return what the probe finds in a page of a width."""
    frame = page.with_name("frame.html")
    frame.write_text(FRAME.format(name=page.name, width=width))
    profile = f"--user-data-dir={page.parent / 'profile'}"
    done = subprocess.run(
        [str(CHROMIUM), *FLAGS.split(), profile, "--window-size=1500,1000", *flags, frame.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found = re.search(r'data-found="([^"]*)"', done.stdout)
    assert found is not None
    return found[1]


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH")
@pytest.mark.parametrize("table_up_to", [40, 2], ids=["table", "map"])
def test_the_report_fits_and_answers(
    room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table_up_to: int
) -> None:
    monkeypatch.setattr(report, "MAX_TABLE_CLASSES", table_up_to)
    run(room.inputs, room.outputs, PARAMS)
    page = room.outputs.report.read_text()
    assert ("data-box" in page) == (table_up_to == 2)
    copy = tmp_path / "probe.html"
    own = hash_source(PROBE.partition("<script>")[2].partition("</script>")[0])
    copy.write_text(page.replace("script-src ", f"script-src '{own}' ").replace("</body>", PROBE))
    for width in (390, 820, 1400):
        assert look_at(copy, width) == "no fault", f"at {width} px"
    assert look_at(copy, 390, DARK) == "no fault"


def test_text_stands_out_from_the_page_in_light_and_dark() -> None:
    """WCAG 2.2, 1.4.3: a contrast of 4.5 to 1 for text; https://www.w3.org/TR/WCAG22."""
    style = (TEMPLATES / "style.css").read_text()
    themes = [
        dict(re.findall(r"--([\w-]+): (#\w{6});", block))
        for block in re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    ]
    assert len(themes) == 2
    for colours in themes:
        texts = ("ink", "soft", "blue", "orange", "red", "amber", "green")
        for text, ground in itertools.product(texts, ("page", "panel")):
            assert compute_contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
        for badge in ("soft", "green", "amber", "red", "blue"):
            assert compute_contrast(colours["badge-ink"], colours[badge]) >= 4.5, badge


def compute_contrast(one: str, other: str) -> float:
    """Return the contrast of two colours as WCAG defines it, 1 to 21."""

    def compute_luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((compute_luminance(one), compute_luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)
