"""The page in a real browser: photos are chosen and dropped, answers and reasons are shown."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn

from components.common.serving.classifier import Classifier
from components.predict.serve.app import Service, create_app
from components.predict.serve.champion import Champion
from components.predict.serve.explain import GRID, compute_falls
from components.predict.serve.page import create_routes
from components.predict.spec import Serve
from tests.browser import CHROMIUM, Tab, wait
from tests.predict.conftest import CLASSES
from tests.tiny_model import SIZE_PX, make_card, make_model

CARDS = """JSON.stringify([...document.querySelectorAll("article")].map(one => ({
  title: one.querySelector("h2")?.textContent, text: one.innerText,
  classes: [...one.querySelectorAll("dt")].map(name => name.textContent),
  picture: one.querySelector("img")?.naturalWidth, alt: one.querySelector("img")?.alt,
  dimmed: one.querySelector("canvas") && new Set(one.querySelector("canvas").getContext("2d")
    .getImageData(0, 0, 224, 224).data).size})))"""
DROP = """(() => {
  const bytes = Uint8Array.from(atob("%s"), letter => letter.charCodeAt(0));
  const dropped = new DataTransfer();
  dropped.items.add(new File([bytes], "dropped <b>.png", {type: "image/png"}));
  document.getElementById("drop").dispatchEvent(
    new DragEvent("drop", {bubbles: true, cancelable: true, dataTransfer: dropped}));
})()"""


# A model from elsewhere has any class names; two that would run something, and one quote.
HOSTILE = (
    "<img src=x onerror=document.title=1>",
    '"><script>document.title=2</script>',
    "]]>'&amp;",
)


@pytest.fixture
def address(model: Path) -> Iterator[str]:
    with serving(model) as found:
        yield found


@contextmanager
def serving(model: Path) -> Iterator[str]:
    champion = Champion(str(model), Serve())
    service = Service(champion, Serve())
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(create_app(service, create_routes(service)), log_level="error")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(30)
    champion.close()


def read_cards(tab: Tab, number: int) -> list[dict[str, Any]]:
    def read() -> list[dict[str, Any]]:
        cards: list[dict[str, Any]] = json.loads(tab.ask(CARDS))
        assert len([card for card in cards if card.get("title")]) == number, cards
        return cards

    return wait(read)


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH")
def test_a_person_drops_photos_and_sees_answers(
    address: str, model: Path, photos: Path, tmp_path: Path
) -> None:
    tab = Tab(address, tmp_path)
    try:
        wait(lambda: tab.choose(photos / "0.png", photos / "broken.jpg"))  # once it is there
        broken, good = read_cards(tab, 2)  # the newest first
        assert broken["title"] == "No answer"
        assert "not a readable image" in broken["text"]
        row = Classifier(model).classify([photos / "0.png"]).probabilities[0]
        order = [CLASSES[index] for index in np.argsort(-row)]
        assert good["title"].startswith(f"{order[0]}, {row.max():.0%}")
        assert good["classes"] == order
        assert (good["picture"], good["alt"]) == (SIZE_PX, "what the model saw of 0.png")
        assert good["dimmed"] > 10
        assert "0.png" in good["text"]
        assert "no threshold for being unsure" in good["text"]

        tab.ask(DROP % base64.b64encode((photos / "2.png").read_bytes()).decode())
        dropped = read_cards(tab, 3)[0]
        assert "dropped <b>.png" in dropped["text"]
        assert "version" in tab.ask("document.getElementById('model').textContent")

        for width in (360, 900):
            size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
            tab.do("Emulation.setDeviceMetricsOverride", **size)
            assert tab.ask("document.documentElement.scrollWidth <= innerWidth"), width
        assert tab.complaints == []  # nothing was asked of another address, nothing was missing
    finally:
        tab.close()


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH")
def test_names_are_shown_and_run_nothing(photos: Path, tmp_path: Path) -> None:
    model = make_model(tmp_path / "model.keras", make_card(HOSTILE))
    picture = tmp_path / "<b onclick=1>'\".png"
    picture.write_bytes((photos / "0.png").read_bytes())
    with serving(model) as address:
        tab = Tab(address, tmp_path)
        try:
            wait(lambda: tab.choose(picture))
            (card,) = read_cards(tab, 1)
            assert sorted(card["classes"]) == sorted(HOSTILE)
            assert card["title"].startswith(card["classes"][0])
            assert picture.name in card["text"]
            assert tab.ask("document.title") == "Darkroom"
            assert tab.complaints == []  # the page's policy had nothing to forbid either
        finally:
            tab.close()


def test_covering_what_decides_lowers_the_probability() -> None:
    """Against a network whose answer hangs on one corner alone."""

    class OneCorner:
        def infer(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            share = (pixels[:, :4, :4] == 255).mean(axis=(1, 2, 3))  # (images,)
            found = np.stack([share, 1 - share], axis=1)
            return found, np.log(found + 1e-9)

    pixels = np.full((36, 36, 3), 255, np.uint8)
    found = compute_falls(OneCorner(), pixels, 0)  # type: ignore[arg-type]
    assert found.shape == (GRID, GRID)
    assert found[0, 0] == 1  # every cover that reaches it hides the corner
    assert np.unravel_index(found.argmax(), found.shape) == (0, 0)
    assert found[2:, 2:].max() == 0
