"""Inspect files in processes that a file may cost no more than so much time and memory."""

from __future__ import annotations

import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe, Process
from pathlib import Path
from typing import Any

from components.common.artifacts.manifest import QUARANTINED
from components.common.host import end_with_parent
from components.validate.scan.picture import MEASURED, NOT_SEEN

Row = dict[str, Any]
Inspect = Callable[[str], Row]


@dataclass(frozen=True)
class Limits:
    """What one file may cost; a decoder that wants more is ended with its process."""

    seconds: float = 60  # of a core
    memory_mb: float = 2048  # beyond what the process has at its start


def confine(limits: Limits, parent: int) -> None:
    """Keep a worker quiet, its memory below a limit, and its life no longer than ours.

    What a store does wrong is still told; decoders' remarks on odd files are not, since what
    matters of them is in `reason`.
    """
    end_with_parent(parent)
    warnings.filterwarnings("ignore", module="PIL")
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    sys.stderr = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="replace", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff writes past Python
    status = Path("/proc/self/status")  # of Linux; elsewhere the limit is not kept
    if status.is_file():
        import resource

        words = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        most = int(words["VmData"].split()[0]) * 1024 + int(limits.memory_mb * 2**20)
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def inspect_in_time(inspect: Inspect, limits: Limits, file: str) -> Row:
    """Inspect a file, or end this process: a decoder in C hears of no other limit."""
    signal.setitimer(signal.ITIMER_PROF, limits.seconds)
    try:
        return inspect(file)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def inspect_apart(inspect: Inspect, limits: Limits, files: Sequence[str]) -> list[Row]:
    """Return the rows of files; one that ends its process is known by the rows before it."""
    rows: list[Row] = []
    while len(rows) < len(files):
        receiver, sender = Pipe(duplex=False)
        left = files[len(rows) :]
        process = Process(target=_send_rows, args=(inspect, limits, left, sender, os.getpid()))
        process.start()
        sender.close()
        with receiver, suppress(EOFError, OSError):  # it was ended, maybe within a row
            while len(rows) < len(files):
                if isinstance(found := receiver.recv(), Exception):
                    raise found  # a mistake of ours
                rows.append(found)
        process.join()
        if len(rows) < len(files):
            rows.append(_reject(process.exitcode, limits))
    return rows


def _send_rows(
    inspect: Inspect, limits: Limits, files: Sequence[str], sender: Any, parent: int
) -> None:
    confine(limits, parent)
    try:
        for file in files:
            sender.send(inspect_in_time(inspect, limits, file))
    except Exception as error:
        sender.send(error)


def _reject(code: int | None, limits: Limits) -> Row:
    """Return the row of a file that ended the process which decoded it."""
    reasons = {
        -signal.SIGPROF: f"too slow: more than {limits.seconds:g} s of a core to decode it, as "
        "validate.max_decode_seconds says",
        -signal.SIGKILL: "too large: the system ended the process that decoded it, as it does "
        "where memory runs out",
    }
    reason = reasons.get(code or 0, "damaged: it makes the decoder crash")
    return MEASURED | {"status": QUARANTINED, "reason": reason} | NOT_SEEN
