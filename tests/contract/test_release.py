"""`make release` in a repository of its own: version, changelog, commit, tag, or a line why not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci/release.py"
CHANGELOG = (
    "# Changelog\n\n## Unreleased\n\n### Added\n\n- A room.\n\n## 0.1.0 (2026-01-01)\n\n- All.\n"
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "0.1.0"\n')
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    for words in (
        ("init", "--quiet"),
        ("config", "user.email", "ada@example.com"),
        ("config", "user.name", "Ada"),
        ("add", "--all"),
        ("commit", "--quiet", "--message", "all"),
        ("tag", "v0.1.0"),
    ):
        git(tmp_path, *words)
    return tmp_path


def git(folder: Path, *words: str) -> str:
    return subprocess.run(
        ["git", *words], cwd=folder, capture_output=True, text=True, check=True
    ).stdout.strip()


def release(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", SCRIPT, *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_a_release_is_a_commit_and_a_tag(project: Path) -> None:
    done = release(project, "0.2.0")
    assert done.returncode == 0, done.stderr
    assert 'version = "0.2.0"' in (project / "pyproject.toml").read_text()
    text = (project / "CHANGELOG.md").read_text()
    assert text.index("## Unreleased") < text.index("## 0.2.0 (") < text.index("- A room.")
    assert git(project, "status", "--porcelain") == ""
    assert git(project, "describe") == "v0.2.0"
    assert release(project, "--notes").stdout == "### Added\n\n- A room.\n"
    assert "nothing stands under" in release(project, "0.3.0").stderr


@pytest.mark.parametrize(
    ("version", "words"),
    [("", "which version"), ("1.2", "three numbers"), ("0.1.0", "released already"),
     ("0.0.9", "below 0.1.0")],
)  # fmt: skip
def test_what_cannot_be_released_changes_nothing(project: Path, version: str, words: str) -> None:
    done = release(project, *filter(None, [version]))
    assert done.returncode == 1
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert git(project, "status", "--porcelain") == ""
    assert git(project, "rev-list", "--count", "HEAD") == "1"


def test_changes_that_are_not_committed_come_first(project: Path) -> None:
    (project / "pyproject.toml").write_text('[project]\nversion = "0.1.0"\n')
    assert "commit them first" in release(project, "0.2.0").stderr
    assert git(project, "tag") == "v0.1.0"
