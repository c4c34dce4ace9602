"""The files of a project as a release leaves them: what later versions must run on with.

python -m tests.e2e.release tests/e2e/releases/0.1.0.tar.xz   # with the code of that release
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from tests.faults.project import NETWORK, PHOTOS, make_project, read_stages, start

ROOT = Path(__file__).parents[2]
ROOMS = ("validate", "preprocess", "train", "evaluate", "promote")


def make(folder: Path) -> None:
    """Run all rooms on a hundred digits with a network of some thousand numbers."""
    make_project(folder)
    for room in ROOMS:
        code = start(read_stages()[room], folder).wait()
        log = folder.with_name(f"{folder.name}.log").read_text(encoding="utf-8")
        assert code == 0, log


def pack(folder: Path, archive: Path) -> None:
    """Pack what later versions read; the pages are for people, and large."""
    wanted = ("params.yaml", PHOTOS, NETWORK, "data", "models", "reports", "mlflow.db", "mlruns")
    with tarfile.open(archive, "w:xz", preset=9) as tar:
        for name in wanted:
            tar.add(folder / name, name, filter=leave_pages)


def leave_pages(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if "data_docs/" in info.name or info.name.endswith(".html"):
        return None
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info


def main() -> None:
    archive = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as around:
        os.environ["PYTHONPATH"] = str(ROOT)
        make(Path(around) / "project")
        pack(Path(around) / "project", archive)
    words = ["git", "-C", str(ROOT), "log", "-1", "--format=%h %ad", "--date=short"]
    code = subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()
    print(f"{archive}: {archive.stat().st_size:,} bytes, made by {code or 'code without git'}")


if __name__ == "__main__":
    main()
