"""Lineage, read from real git repositories and real DVC projects."""

from __future__ import annotations

import logging
import subprocess
from pathlib import Path

import pytest

from components.common.artifacts.model import ModelCard
from components.common.errors import DarkroomError
from components.common.images.pixels import ImageForm
from components.promote.registry.lineage import (
    compute_params_digest,
    find_lineage,
    read_dvc_digest,
    read_git,
)

CARD = ModelCard(
    class_names=["a", "b"],
    form=ImageForm(32, "crop", "#ffffff"),
    backbone="tiny",
    weights="none",
    temperature=1.0,
    phase="probe",
    digests={"manifest": "m" * 64, "test": "t" * 64},
    params={"train.seed": 1},
)


def git(folder: Path, *words: str) -> str:
    own = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", "-C", str(folder), *own, *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    place = tmp_path / "repository"
    place.mkdir()
    git(place, "init", "-q")
    (place / "code.py").write_text("pass\n")
    (place / "dvc.lock").write_text("schema: '2.0'\n")
    git(place, "add", ".")
    git(place, "commit", "-q", "-m", "first")
    return place


def test_git_commit_and_whether_the_tree_is_clean(repository: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    assert read_git(repository) == {"git_commit": commit, "git_clean": "true"}
    # dvc.lock changes with every `dvc repro`.
    (repository / "dvc.lock").write_text("schema: '2.0'\nstages: {}\n")
    assert read_git(repository)["git_clean"] == "true"
    (repository / "new.py").write_text("pass\n")
    assert read_git(repository)["git_clean"] == "false"
    (repository / "new.py").unlink()
    (repository / "code.py").write_text("raise\n")
    (repository / "sub").mkdir()
    # Asked from below, changes elsewhere in the repository count as well.
    assert read_git(repository / "sub") == {"git_commit": commit, "git_clean": "false"}


def test_outside_of_git_nothing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repository: Path
) -> None:
    assert read_git(tmp_path) == {}
    monkeypatch.setenv("PATH", str(tmp_path))  # no git there
    assert read_git(repository) == {}


def test_repository_without_a_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    assert read_git(tmp_path) == {}


def test_dvc_digest_is_the_one_that_dvc_computes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dvc.repo import Repo

    monkeypatch.chdir(tmp_path)
    # Where another test imported DVC, its handler writes to that test's output, which is closed.
    monkeypatch.setattr(logging.getLogger("dvc"), "handlers", [])
    with Repo.init(tmp_path, no_scm=True) as repo:
        images = tmp_path / "mine"
        (images / "cat").mkdir(parents=True)
        (images / "cat/1.txt").write_text("one")
        repo.add(str(images))
        first = read_dvc_digest(Path("mine"), tmp_path)
        assert first.endswith(".dir")
        assert first in (tmp_path / "mine.dvc").read_text()
        assert read_dvc_digest(images, tmp_path) == first

        stage = {
            "cmd": "python -c \"open('out', 'w').write('x')\"",
            "deps": ["mine"],
            "outs": ["out"],
        }
        repo.run(name="read", **stage)
        assert read_dvc_digest(Path("./mine"), tmp_path) == first
        # Images that were added but not yet read are not where the model comes from.
        (images / "cat/2.txt").write_text("two")
        repo.add(str(images))
        assert first not in (tmp_path / "mine.dvc").read_text()
        assert read_dvc_digest(Path("mine"), tmp_path) == first
        repo.reproduce()
        assert read_dvc_digest(Path("mine"), tmp_path) not in (first, "")
        assert (
            read_dvc_digest(Path("out"), tmp_path) == "9dd4e461268c8034f5c8564e155c67a6"
        )  # md5 of x


def test_without_dvc_nothing_is_said(tmp_path: Path) -> None:
    assert read_dvc_digest(Path("data/images"), tmp_path) == ""
    (tmp_path / "dvc.lock").write_text("stages:\n  ingest: {outs: [{path: other, md5: x}]}\n")
    assert read_dvc_digest(Path("data/images"), tmp_path) == ""


def test_damaged_lock_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "dvc.lock").write_text("stages: [")
    with pytest.raises(DarkroomError, match=r"dvc.lock: not readable .*restore it"):
        read_dvc_digest(Path("data/images"), tmp_path)


def test_lineage_as_a_whole(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_IMAGE_DIGEST", "sha256:abc")
    (repository / "dvc.lock").write_text(
        "stages:\n  ingest:\n    outs: [{path: data/images, md5: 0123.dir}]\n"
    )
    found = find_lineage(CARD, Path("data/images"), repository)
    assert found == {
        "manifest_digest": "m" * 64,
        "test_digest": "t" * 64,
        "params_digest": compute_params_digest(CARD.params),
        "git_commit": git(repository, "rev-parse", "HEAD"),
        "git_clean": "true",
        "images_dvc": "0123.dir",
        "container_digest": "sha256:abc",
    }


def test_params_digest_ignores_order_and_sees_values() -> None:
    assert compute_params_digest({"a": 1, "b": 2}) == compute_params_digest({"b": 2, "a": 1})
    assert compute_params_digest({"a": 1}) != compute_params_digest({"a": 2})


def test_outside_of_a_repository_the_image_knows_its_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setenv("DARKROOM_GIT_COMMIT", "4" * 40)
    assert read_git(tmp_path) == {"git_commit": "4" * 40}
    monkeypatch.setenv("DARKROOM_GIT_COMMIT", "unknown")
    assert read_git(tmp_path) == {}
