"""What is said to install is what the project asks for, and make installs it, whatever happened."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from functools import partial
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_what_is_said_to_install_is_what_is_asked_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = {need for name in extras for need in extras[name]} | set(project["dependencies"])
    said = {}
    for folder, suffix in (("components", "*.py"), ("docs", "*.md")):
        for file in sorted((ROOT / folder).rglob(suffix)):
            text = file.read_text(encoding="utf-8")
            # The project is in no index: whoever took its name there would be installed instead.
            assert "install 'darkroom" not in text, file
            said |= dict.fromkeys(re.findall(r"'([\w.-]+>=[\d.]+[^']*)'", text), file)
            said |= dict.fromkeys(re.findall(r'"([\w.-]+>=\d+\.[\d.]+[^" ]*)"', text), file)
    assert len(said) >= 6
    assert {need: file for need, file in said.items() if need not in asked} == {}


def test_the_pages_name_the_pythons_that_the_project_takes() -> None:
    taken = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    first, behind = map(int, re.fullmatch(r">=3\.(\d+),<3\.(\d+)", taken).groups())
    said = f"Python 3.{first} to 3.{behind - 1}"
    for page in ("README.md", "Makefile"):
        assert said in (ROOT / page).read_text(encoding="utf-8"), page


@pytest.mark.parametrize(
    ("version", "is_taken"), [("3, 10", False), ("3, 11", True), ("3, 13", True), ("3, 14", False)]
)
def test_make_tells_which_python_it_needs_before_it_installs(
    tmp_path: Path, version: str, is_taken: bool
) -> None:
    python = tmp_path / "another python"
    write_python(python, version)
    said = set_up(tmp_path, f"PYTHON={python}")
    assert ("it would install now" if is_taken else "Darkroom needs Python 3.11 to 3.13") in said
    assert said.count("it would install now") == is_taken


def test_make_finds_a_python_that_fits(tmp_path: Path) -> None:
    for name, version in {"python3": "3, 9", "python3.13": "3, 13", "python3.12": "3, 12"}.items():
        write_python(tmp_path / "bin" / name, version)
    for name in ("python3.13", "python3.12"):
        said = set_up(tmp_path)
        assert f"it would install now: {tmp_path}/bin/{name} -m venv .venv" in said
        (tmp_path / "bin" / name).unlink()
    (tmp_path / "bin/python3.11").write_text("#!/bin/false")  # found nowhere else on PATH
    (tmp_path / "bin/python3.11").chmod(0o755)
    said = set_up(tmp_path)
    assert "python3 is another, or none" in said
    assert "make PYTHON=" in said


@pytest.mark.parametrize("words", ["init", "bench BENCH=trains"])
def test_what_is_missing_is_said_before_the_set_up(tmp_path: Path, words: str) -> None:
    done = subprocess.run(
        ["make", *words.split()], cwd=prepare(tmp_path), capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "make init SOURCE=~/photos" in done.stderr or "no benchmark trains" in done.stderr
    assert not (tmp_path / ".venv").exists()


def write_python(file: Path, version: str) -> None:
    """Write a program that answers as a Python of some version, and says what it would install."""
    write_program(
        file,
        f"#!{sys.executable}\n"
        "import sys\n"
        f"sys.version_info = ({version}, 0)\n"
        "if sys.argv[1] == '-c':\n"
        "    exec(sys.argv[2])\n"
        "sys.exit('it would install now: ' + ' '.join(sys.argv))\n",
    )


def write_program(file: Path, text: str) -> None:
    """Write a file that can be started."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(0o755)


def set_up(folder: Path, *words: str, output: bool = False) -> str:
    """Return what make setup says in a project of nothing but a Makefile and empty locks."""
    done = subprocess.run(
        ["make", "setup", *words],
        cwd=prepare(folder),
        env=find_programs(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout if output else done.stderr


def prepare(folder: Path) -> Path:
    """Return a project of nothing but a Makefile and empty locks."""
    shutil.copy(ROOT / "Makefile", folder)
    (folder / "requirements").mkdir(exist_ok=True)
    for lock in ("uv", "run"):
        (folder / f"requirements/{lock}.lock").touch()
    return folder


def find_programs(folder: Path) -> dict[str, str]:
    """Return an environment in which the programs of a folder come first."""
    return os.environ | {"PATH": f"{folder}/bin:{os.environ['PATH']}"}


# As Python, pip and uv in one: it makes an environment of itself, and where a file `wait` bids it,
# it stops with half a package installed.
INSTALLER = f"""#!{sys.executable}
import pathlib, shutil, sys, time
words = " ".join(sys.argv)
if "-c" in sys.argv:
    sys.exit()
site = pathlib.Path(".venv/site")
step = "venv" if "-m venv" in words else "uv" if "run.lock" in words else "pip"
if step == "venv":
    pathlib.Path(".venv/bin").mkdir(parents=True, exist_ok=True)
    for name in ("python", "uv"):
        shutil.copy(sys.argv[0], f".venv/bin/{{name}}")
    pathlib.Path(".venv/pyvenv.cfg").write_text("")
site.mkdir(exist_ok=True)
stop = pathlib.Path("stop")
if stop.exists() and stop.read_text() == step:
    (site / f"half-{{step}}").touch()
    time.sleep(60)
(site / step).touch()
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("step", ["venv", "pip", "uv"])
def test_a_set_up_that_was_killed_is_made_anew(tmp_path: Path, step: str, how: int) -> None:
    process = stop_within(tmp_path, step)
    # Who types make elsewhere meanwhile does not take it away.
    assert "interrupted" not in set_up(tmp_path, "--dry-run", output=True)
    os.killpg(process.pid, how)
    process.wait(30)
    (tmp_path / "stop").unlink()
    said = set_up(tmp_path, output=True)
    assert "the set-up of .venv was interrupted: it is made anew" in said
    found = {file.name for file in (tmp_path / ".venv/site").iterdir()}
    assert found == {"venv", "pip", "uv"}
    assert "interrupted" not in set_up(tmp_path, output=True)


def test_an_environment_of_somebody_is_gone_on_with_and_never_emptied(tmp_path: Path) -> None:
    own = tmp_path / ".venv/site/own"
    own.parent.mkdir(parents=True)
    own.touch()
    process = stop_within(tmp_path, "pip")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(30)
    (tmp_path / "stop").unlink()
    assert "interrupted" not in set_up(tmp_path, output=True)
    assert own.exists()


@pytest.mark.parametrize("found", ["a file", "of another Python", "of a Python that is gone"])
def test_what_cannot_become_the_environment_is_told(tmp_path: Path, found: str) -> None:
    if found == "a file":
        (tmp_path / ".venv").touch()
    else:
        (tmp_path / ".venv/bin").mkdir(parents=True)
        python = tmp_path / ".venv/bin/python"
        if "another" in found:
            write_python(python, "3, 10")
        else:
            python.symlink_to("/nowhere/python3")
    said = set_up(tmp_path, f"PYTHON={sys.executable}")
    told = "is a file, and the environment goes there: move it away"
    if found != "a file":
        told = "of a Python that is gone, or none of 3.11 to 3.13; make clean removes it"
    assert told in said
    assert not (tmp_path / ".venv/unfinished").exists()


def stop_within(folder: Path, step: str) -> subprocess.Popen[bytes]:
    """Start a set-up, and return it when it waits in a step, with half a package installed."""
    for name in ("python3", "python3.11", "python3.12", "python3.13"):
        write_program(folder / "bin" / name, INSTALLER)
    (folder / "stop").write_text(step)
    process = subprocess.Popen(
        ["make", "setup"],
        cwd=prepare(folder),
        env=find_programs(folder),
        start_new_session=True,
        # Tests that run in the background of a script inherit that Ctrl-C is ignored.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    end = time.monotonic() + 60
    while not (folder / f".venv/site/half-{step}").exists():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.01)
    return process
