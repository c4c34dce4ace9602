"""SIGTERM as an exception: a machine that is taken away says so, and what runs ends in order."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

KILLED = "KILLED"  # status of a run that somebody ended


class TerminatedError(SystemExit):
    """SIGTERM came; nobody who catches errors catches it, and the process ends as one that died."""

    def __init__(self) -> None:
        super().__init__(128 + signal.SIGTERM)


def _end_as_usual() -> None:
    """Let a forked child end at once when SIGTERM comes: what is to be put in order is not its."""
    handler = signal.getsignal(signal.SIGTERM)
    if getattr(handler, "__module__", "") == __name__:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


os.register_at_fork(after_in_child=_end_as_usual)


@contextmanager
def raising_on_sigterm() -> Iterator[None]:
    """Raise TerminatedError inside the body when SIGTERM comes.

    Kubernetes, a scheduler or `kill` sends it and then waits, 30 seconds as a rule, which is enough
    to say that the run was ended. A second SIGTERM ends the process at once. Only the main thread
    hears signals: in any other nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise TerminatedError

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def find_status(error: BaseException) -> str:
    """Return the status with which MLflow shows a run that an exception ended."""
    return KILLED if isinstance(error, (TerminatedError, KeyboardInterrupt)) else "FAILED"
