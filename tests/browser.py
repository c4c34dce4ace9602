"""A page in a real browser, asked through its debugging protocol."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.request
from itertools import count
from pathlib import Path
from typing import Any

import websocket

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
FLAGS = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking"
FLAGS += " --disable-component-update --disable-sync --remote-debugging-port=0"
FLAGS += " --remote-allow-origins=* --window-size=900,900"


class Tab:
    """A page in a browser, asked through its debugging protocol."""

    def __init__(self, address: str, folder: Path, *flags: str) -> None:
        profile = folder / "profile"
        (profile / "DevToolsActivePort").unlink(missing_ok=True)  # of an earlier visit
        self.process = subprocess.Popen(
            [str(CHROMIUM), *FLAGS.split(), *flags, f"--user-data-dir={profile}", address],
            stderr=subprocess.DEVNULL,
        )
        port = wait(lambda: (profile / "DevToolsActivePort").read_text().split()[0])
        self._socket = websocket.create_connection(
            wait(lambda: find_page(port, address)), timeout=60
        )
        self._ids = count(1)
        self.complaints: list[str] = []
        self.do("Log.enable")

    def do(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._ids)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv())
            entry = message.get("params", {}).get("entry", {})
            if entry.get("level") == "error":
                self.complaints.append(entry["text"])
            if message.get("id") == number:
                assert "error" not in message, message
                found: dict[str, Any] = message["result"]
                return found

    def press(self, *keys: str) -> None:
        """Press keys as a person does: `a`, `Enter`, `ArrowLeft`."""
        for key in keys:
            text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
            what = {"key": key} | ({"text": text} if text else {})
            self.do("Input.dispatchKeyEvent", type="keyDown", **what)
            self.do("Input.dispatchKeyEvent", type="keyUp", key=key)

    def ask(self, script: str) -> Any:
        """Return the value of an expression in the page."""
        return self.do("Runtime.evaluate", expression=script)["result"].get("value")

    def choose(self, *files: Path, field: str = "#files") -> None:
        """Put files into a field for files."""
        root = self.do("DOM.getDocument")["root"]["nodeId"]
        node = self.do("DOM.querySelector", nodeId=root, selector=field)["nodeId"]
        self.do("DOM.setFileInputFiles", nodeId=node, files=[str(file) for file in files])

    def close(self) -> None:
        self._socket.close()
        self.process.terminate()
        self.process.wait(30)


def wait(find: Any, seconds: float = 60) -> Any:
    """Return what is found, as soon as it is."""
    end = time.monotonic() + seconds
    while True:
        try:
            return find()
        except (OSError, AssertionError, LookupError):
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def check_loaded(tab: Tab) -> None:
    """The page itself, not the empty one before it."""
    assert tab.ask("document.readyState === 'complete' && document.body.innerText.length")


def find_page(port: str, address: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=10) as answer:
        pages = [one for one in json.load(answer) if one["url"].startswith(address)]
    return str(pages[0]["webSocketDebuggerUrl"])
