"""The same photos and settings give the same bytes wherever they lie."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.project import PHOTOS, SITE, Line, compute_digests, start

# TensorFlow's kernels and BLAS are not asked: these rooms need neither.
SURROUNDINGS = {
    "another order, umask, language, time zone": {
        "LC_ALL": "tr_TR.UTF-8",
        "LANG": "tr_TR.UTF-8",
        "TZ": "Asia/Kolkata",
    },
    "one core, German": {"LC_ALL": "de_DE.UTF-8", "PYTHONHASHSEED": "7"},
    "one core, plain C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONHASHSEED": "8"},
}


def make_language(folder: Path, name: str) -> dict[str, str]:
    """Make a language that is not installed, as it is on few machines; return what names it."""
    if name == "C":
        return {}
    place = folder / "languages"
    place.mkdir()
    made = ["localedef", "-c", "-i", name.partition(".")[0], "-f", "UTF-8", str(place / name)]
    if not shutil.which("localedef") or subprocess.run(made, check=False).returncode:
        pytest.skip(f"there is no {name} here, nor what makes one")
    return {"LOCPATH": str(place), "DARKROOM_LANGUAGE": name}


def shuffle_files(folder: Path) -> None:
    """Make all photos anew, the last first, so that the folder lists them in another order."""
    files = sorted((f for f in folder.rglob("*") if f.is_file()), reverse=True)
    contents = [(file.relative_to(folder), file.read_bytes()) for file in files]
    shutil.rmtree(folder)
    for name, content in contents:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


@pytest.mark.slow
@pytest.mark.parametrize("name", SURROUNDINGS)
def test_digests_do_not_depend_on_surroundings(name: str, line: Line, tmp_path: Path) -> None:
    folder = line.copy("validate", tmp_path / "an other place ü")
    around = SURROUNDINGS[name] | make_language(tmp_path, SURROUNDINGS[name]["LC_ALL"])
    prefix: tuple[str, ...] = ()
    if name.startswith("another"):
        shuffle_files(folder / PHOTOS)
        prefix = ("sh", "-c", 'umask 077; exec "$@"', "sh")
    else:
        prefix = ("taskset", "-c", str(min(os.sched_getaffinity(0))))
        if not shutil.which("taskset"):
            pytest.skip("there is no taskset here")
    for room in ("validate", "preprocess"):
        stage = line.stages[room]
        process = start(stage, folder, prefix=prefix, **around)
        assert process.wait(120) == 0, Path(f"{folder}.log").read_text()
        assert compute_digests(folder, stage) == line.digests[room]


def test_the_guard_hears_who_asks(tmp_path: Path) -> None:
    ask = "import socket; socket.create_connection(('192.0.2.1', 80), 1)"  # an address for tests
    heard = tmp_path / "asked.txt"
    known = os.environ | {"PYTHONPATH": str(SITE), "DARKROOM_OFFLINE": str(heard)}
    done = subprocess.run(
        [sys.executable, "-c", ask], env=known, capture_output=True, text=True, check=False
    )
    assert "the network is cut: '192.0.2.1'" in done.stderr
    assert "192.0.2.1" in heard.read_text()
