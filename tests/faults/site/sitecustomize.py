"""A fault inside a room's process, at its nth touch of the project's folder.

On PYTHONPATH of a room that tests/faults starts, so Python imports it first. DARKROOM_FAULT says
`kind at folder`: which fault, at which touch (0: none, they are only counted into a file), and the
folder. A process that the room starts in turn is left alone.
"""

from __future__ import annotations

import os
import signal
import sys
import time


def prepare(kind: str, at: int, folder: str) -> None:
    """Count what this process opens, renames, makes and removes in a folder; act at the nth."""
    owner, seen = os.getpid(), 0
    now = time.time

    def act() -> None:
        if kind == "kill":
            os.kill(owner, signal.SIGKILL)
        elif kind == "term":
            os.kill(owner, signal.SIGTERM)
        elif kind == "clock":
            time.time = lambda: now() - 3600.0
        elif kind.startswith("changed:"):
            with open(os.path.join(folder, kind[8:]), "r+b") as stream:
                stream.write(b"as another program leaves it")
        elif kind.startswith("gone:"):
            os.rename(os.path.join(folder, kind[5:]), f"{folder}.gone")

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        if not (event == "open" or event.startswith("os.")) or not arguments:
            return
        path = arguments[0]
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        if not isinstance(path, str) or os.getpid() != owner:
            return
        if path.startswith("/") and not path.startswith(folder):
            return
        seen += 1
        if seen == at:
            act()

    sys.addaudithook(count)
    if not at:
        import atexit

        def tell() -> None:
            with open(f"{folder}.touches", "w") as stream:
                stream.write(str(seen))

        atexit.register(tell)


def cut_network() -> None:
    """Refuse all addresses but this machine's, in this process and those that it starts."""

    def refuse(event: str, arguments: tuple[object, ...]) -> None:
        if event == "socket.getaddrinfo":
            host = arguments[0]
        elif event in ("socket.connect", "socket.sendto"):
            address = arguments[1]
            host = address[0] if isinstance(address, tuple) else "localhost"
        else:
            return
        if host not in (None, "", "localhost", "127.0.0.1", "::1", b"localhost", b"127.0.0.1"):
            with open(os.environ["DARKROOM_OFFLINE"], "a") as stream:
                stream.write(f"{event} {host!r} by {' '.join(sys.orig_argv)}\n")
            raise OSError(f"the network is cut: {host!r}")

    sys.addaudithook(refuse)


if "DARKROOM_LANGUAGE" in os.environ:
    import locale

    # As a library may: then C writes a comma into its numbers, and knows an İ.
    locale.setlocale(locale.LC_ALL, os.environ["DARKROOM_LANGUAGE"])
if "DARKROOM_OFFLINE" in os.environ:
    cut_network()
if "DARKROOM_FAULT" in os.environ:
    said, number, place = os.environ.pop("DARKROOM_FAULT").split(" ", 2)
    prepare(said, int(number), place)
