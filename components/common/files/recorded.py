"""What DVC recorded as an output of the pipeline, in dvc.lock of now or of an earlier commit."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

LOCK = "dvc.lock"


def is_output_of_dvc(target: Path, writer: str, names: list[str] | None = None) -> bool:
    """Whether DVC recorded just these bytes as an output at this path.

    Args:
        target: file or folder.
        writer: the room or command whose output it must be: "train", "predict suggest"; empty: any.
        names: of a folder, all that is in it.
    """
    place = Path(os.path.abspath(target))  # noqa: PTH100 - links stay: DVC names them so
    root = next((up for up in place.parents if (up / LOCK).is_file()), None)
    if root is None or (names and not all((target / name).is_file() for name in names)):
        return False
    if names is None:
        digest = _compute_md5(target)
    else:
        # As dvc-data writes a folder: the files by path, each with its digest.
        files = [{"md5": _compute_md5(target / n), "relpath": n} for n in sorted(names)]
        digest = hashlib.md5(json.dumps(files, sort_keys=True).encode()).hexdigest() + ".dir"  # noqa: S324
    path = place.relative_to(root).as_posix()
    return any(_has_output(text, path, digest, writer) for text in _list_locks(root, digest))


def _list_locks(root: Path, digest: str) -> Iterator[str]:
    """Yield dvc.lock as it is, then as it was in each commit that brought or removed a digest."""
    yield (root / LOCK).read_text(encoding="utf-8")
    commits = _git(root, "log", "--all", "--format=%H", f"-S{digest}", "--", LOCK).split()
    for commit in commits:
        for version in (commit, f"{commit}^"):
            yield _git(root, "show", f"{version}:./{LOCK}")


def _git(root: Path, *words: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603
            ["git", *words],  # noqa: S607 - the one on the PATH
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return ""
    return done.stdout if not done.returncode else ""


def _has_output(lock: str, path: str, digest: str, writer: str) -> bool:
    if digest not in lock:
        return False
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    runs = re.compile(rf"\bcomponents\.{writer}\b" if writer else "")
    try:
        stages = YAML(typ="safe").load(lock)["stages"].values()
        return any(
            out["path"] == path and out["md5"] == digest and runs.search(str(stage["cmd"]))
            for stage in stages
            for out in stage.get("outs", [])
        )
    except (YAMLError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False


def _compute_md5(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "md5").hexdigest()
