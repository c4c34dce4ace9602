"""What stands between a client and an S3 store, and does to its answers what a network does."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

EXPIRED = (
    b"<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"
)


class Proxy(ThreadingHTTPServer):
    """Passes requests on; `fault(path, number)` says what becomes of an object's n-th answer.

    Empty: nothing. `500`; `cut`: half of its bytes, slowly, then the line breaks; `alter`: another
    first byte; `alter unseen`: without the store's own checksum; `expired`: the login has ended.
    """

    daemon_threads = True

    def __init__(self, behind: str, fault: Callable[[str, int], str]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.behind, self.fault = behind, fault
        self.tries: Counter[str] = Counter()  # requests of each object
        self.sent: Counter[str] = Counter()  # bytes of each object
        self.address = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a client that went away


class Handler(BaseHTTPRequestHandler):
    server: Proxy
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server = self.server
        wanted = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection")}
        request = urllib.request.Request(f"{server.behind}{self.path}", headers=wanted)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                body, headers, status = answer.read(), answer.headers, answer.status
        except urllib.error.HTTPError as error:
            body, headers, status = error.read(), error.headers, error.code
        path = self.path.split("?")[0]
        word, is_object = "", "list-type" not in self.path and path.count("/") > 1
        if is_object:
            server.tries[path] += 1
            word = server.fault(path, server.tries[path])
        if word == "500":
            body, status, headers = b"", 500, {}
        elif word == "expired":
            body, status, headers = EXPIRED, 403, {}
        elif word.startswith("alter"):
            body = bytes([body[0] ^ 1]) + body[1:]
        self.send_response(status)
        left_out = ("connection", "date", "server", "content-length")
        if word == "alter unseen":
            left_out += ("x-amz-checksum-crc32", "x-amz-checksum-crc64nvme")
        for name, value in headers.items():
            if name.lower() not in left_out:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if word == "cut":
            for byte in range(0, len(body) // 2, 64):
                self.wfile.write(body[byte : byte + 64])
                time.sleep(0.01)
            self.close_connection = True
            return
        if is_object and status in (200, 206):
            server.sent[path] += len(body)
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def standing_between(behind: str, fault: Callable[[str, int], str]) -> Iterator[Proxy]:
    """Yield a running proxy."""
    proxy = Proxy(behind, fault)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    yield proxy
    proxy.shutdown()
    proxy.server_close()
