"""Every command that README and docs give to be copied is run, in a newcomer's project."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from PIL import Image
from ruamel.yaml import YAML

from tests.conftest import load_digits
from tests.e2e.project import (
    ROOT,
    SIZE_PX,
    clone,
    create_environment,
    hurry,
    write_photos,
)
from tests.e2e.shown import BEGIN, ELSEWHERE, STEPS, Step, list_lines
from tests.faults.commands import SPACE
from tests.promote.servers import find_port, running
from tests.train.networks.tiny_vit import AUGREG, write_timm

SECONDS = 600  # that a step may take


def test_each_line_of_the_pages_is_run_here_or_somewhere() -> None:
    shown = set(list_lines())
    known = {step.line for step in (*BEGIN, *STEPS)} | set(ELSEWHERE)
    assert shown - known == set(), "run it in tests/e2e/shown.py, or say there where it is run"
    assert known - shown == set(), "no page shows it any more"
    for where in ELSEWHERE.values():
        for file in re.findall(r"tests/\S+\.py", where):
            assert (ROOT / file).is_file(), where


class Shell:
    """A person's shell: its folder, what was exported there, and a server that runs beside."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.exported: list[str] = []
        self.server = ExitStack()
        self.port = 0
        self.environment = create_environment() | {
            "HOME": str(folder.parent),
            # What git and DVC show stays on the terminal.
            "GIT_PAGER": "cat",
            "DVC_PAGER": "cat",
        }

    def run(self, step: Step) -> None:
        """Run a line; AssertionError with all that it printed where it fails or says too little."""
        if step.serves:
            self._serve(step)
            return
        command = step.command.replace("PORT", str(self.port))
        script = "\n".join(["set -e -o pipefail", *self.exported, command])
        log = self.folder.parent / "said.log"  # a pipe would wait for what it leaves running
        with log.open("wb") as said_there:
            done = subprocess.run(
                ["bash", "-c", script],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=said_there,
                stderr=subprocess.STDOUT,
                timeout=SECONDS,
                check=False,
            )
        said = log.read_text(errors="replace")
        assert done.returncode == 0, f"{command}\n{said[-4000:]}"
        assert step.says in said, f"{command}\n{said[-4000:]}"
        assert "Traceback" not in said, f"{command}\n{said[-4000:]}"
        if step.line.startswith("export "):
            self.exported.append(step.line)

    def _serve(self, step: Step) -> None:
        self.server.close()
        self.port = find_port()
        command, address = (
            words.replace("PORT", str(self.port)) for words in (step.command, step.serves)
        )
        words = ["bash", "-c", f"cd {shlex.quote(str(self.folder))} && {command}"]
        log = self.folder.parent / "server.log"
        self.server.enter_context(running(words, address, log, self.environment))


def make_origin(folder: Path) -> None:
    """Make the repository that a newcomer clones, with nobody's dvc.lock."""
    tree = folder / "tree"
    clone(tree)
    for words in (
        ["git", "init", "--quiet", "--initial-branch", "main"],
        ["git", "add", "--all"],
        ["git", "-c", "user.name=F", "-c", "user.email=f@x.org", "commit", "-qm", "all"],
    ):
        subprocess.run(words, cwd=tree, check=True)
    subprocess.run(["git", "clone", "-q", "--bare", "tree", "origin.git"], cwd=folder, check=True)
    shutil.rmtree(tree)


def furnish(project: Path) -> None:
    """Let the environment of these tests be the project's, and lay down what pages speak of."""
    (project / ".venv").symlink_to(sys.prefix)
    for lock in (project / "requirements").glob("*.lock"):
        os.utime(lock, (0, 0))  # what is installed is newer
    for words in (["user.name", "Ada Lovelace"], ["user.email", "ada@example.com"]):
        subprocess.run(["git", "config", *words], cwd=project, check=True)
    photos = project.parent / "photos"
    with Image.open(photos / "digit-1" / "000.png") as image:
        image.convert("RGB").save(project / "photo.jpg")
    for name in ("folder", "photos"):
        shutil.copytree(photos / "digit-2", project / name)
    (project / "new-photos").mkdir()
    for number, pixels in enumerate(load_digits()[0][-20:]):  # those before are in the project
        image = Image.fromarray(pixels).resize((SIZE_PX, SIZE_PX))
        image.save(project / "new-photos" / f"{number:03d}.png")
    (project / "list.txt").write_text("photos/000.png\n")
    (project / "yesterday").touch()
    os.utime(project / "yesterday", (0, 0))
    (project / "search.yaml").write_text(SPACE)


def settle(project: Path) -> None:
    """Change what `make init` wrote so that a run takes seconds and each version is approved."""
    hurry(project)
    write_timm(project / "vit", AUGREG)
    yaml, file = YAML(), project / "params.yaml"
    params = yaml.load(file.read_text(encoding="utf-8"))
    params["preprocess"]["size_px"] = 32
    params["train"] |= {"recipe": "fixed", "backbone": "vit"}
    params["mlflow"]["registered_model"] = "darkroom"
    params["promote"]["rules"] = [{"metric": "accuracy", "at_least": 0.05}]
    yaml.dump(params, file)


def commit(project: Path, *names: str) -> None:
    """Commit files, as pages tell without a line to be copied."""
    for words in (["add", *names], ["commit", "--quiet", "--message", "mine"]):
        subprocess.run(["git", *words], cwd=project, check=True)


@pytest.mark.e2e
@pytest.mark.slow
def test_a_newcomer_copies_every_line(tmp_path: Path) -> None:
    if not (Path(sys.prefix) / "dev.stamp").exists():
        pytest.skip("make did not make this environment, so it would make another")
    make_origin(tmp_path)
    write_photos(tmp_path / "photos")
    for step in BEGIN:
        Shell(tmp_path).run(step)
    project = tmp_path / "darkroom"
    furnish(project)
    shell = Shell(project)
    with shell.server:
        for step in STEPS:
            shell.run(step)
            print(step.line, flush=True)
            if step.line.startswith("make init"):
                settle(project)
                commit(project, "params.yaml", "vit")
            elif step.line == "make run":
                commit(project, "dvc.lock")
