"""Servers that misbehave as real ones do, in the way that each request is told."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Unsteady(ThreadingHTTPServer):
    """Serves one content by a script: a word a request, the last for all that follow.

    `whole`; `cut`: a third of what was asked, then the end; `stall`: a third, then nothing;
    `500`, `503`, `429`, `404` …; `change`: another content and version from here on, then whole;
    `unranged`: all of it, whatever was asked; `wrong`: a part of another version than was asked;
    `moved`: a redirect to the same.
    """

    daemon_threads = True

    def __init__(self, content: bytes, script: list[str], tag: str = "strong") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content, self.script, self.tag = content, script, tag
        self.asked: list[str] = []  # Range of each request
        self.logins: list[str] = []
        self.elsewhere = ""  # where `moved` leads; empty: to the same server
        self.released = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def next_word(self) -> str:
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    def version(self) -> str:
        return f'"{hashlib.md5(self.content).hexdigest()}"'

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a client that went away


class _Handler(BaseHTTPRequestHandler):
    server: Unsteady

    def do_GET(self) -> None:
        server = self.server
        word = server.next_word()
        server.asked.append(self.headers.get("Range") or "")
        server.logins.append(self.headers.get("Authorization") or "")
        if word == "change":
            server.content = bytes(reversed(server.content))
        if word == "moved":
            self.send_response(302)
            self.send_header(
                "Location", f"{server.elsewhere or server.address}/elsewhere?signature=geheim"
            )
            self.end_headers()
            return
        if word.isdecimal():
            self.send_response(int(word))
            self.send_header("Retry-After", "0")
            self.end_headers()
            return
        self._send(word)

    def _send(self, word: str) -> None:
        server = self.server
        content, version = server.content, server.version()
        asked = self.headers.get("Range")
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if word == "unranged" or (asked and self.headers.get("If-Range") not in (version, None)):
            start = 0
        if start >= len(content) > 0:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.end_headers()
            return
        body = content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if server.tag == "strong":
            self.send_header("ETag", '"another"' if word == "wrong" and start else version)
        elif server.tag == "weak":
            self.send_header("ETag", f"W/{version}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if word in ("cut", "stall"):
            self.wfile.write(body[: len(body) // 3])
            self.wfile.flush()
            if word == "stall":
                server.released.wait(10)
            return
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[None]:
    """Run a server in a thread."""
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        if isinstance(server, Unsteady):
            server.released.set()
        server.shutdown()
        server.server_close()
