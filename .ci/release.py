"""Make a release, `make release VERSION=0.2.0`; or print its notes, `.ci/release.py --notes`.

The version goes into pyproject.toml, what is unreleased in CHANGELOG.md gets its heading and date,
and both are committed and tagged. Nothing leaves the machine.
"""

from __future__ import annotations

import argparse
import datetime
import re
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

PROJECT, CHANGELOG = Path("pyproject.toml"), Path("CHANGELOG.md")
LINE = re.compile(r'^version = "(.+)"$', re.MULTILINE)
UNRELEASED = "## Unreleased"
HEADING = re.compile(r"^## (?:\[?)(\d+\.\d+\.\d+)\b.*$", re.MULTILINE)


def main() -> None:
    """Do what the words say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version", nargs="?", default="", help="such as 0.2.0")
    parser.add_argument("--notes", action="store_true", help="print the newest section")
    flags = parser.parse_args()
    text = CHANGELOG.read_text(encoding="utf-8")
    if flags.notes:
        print(read_section(text, text[match.start() :] if (match := HEADING.search(text)) else ""))
        return
    project = PROJECT.read_text(encoding="utf-8")
    check(flags.version, project, text)
    today = datetime.datetime.now(tz=datetime.UTC).date()
    heading = f"{UNRELEASED}\n\n## {flags.version} ({today})"
    CHANGELOG.write_text(text.replace(UNRELEASED, heading, 1), encoding="utf-8")
    PROJECT.write_text(LINE.sub(f'version = "{flags.version}"', project, count=1), encoding="utf-8")
    git("add", str(CHANGELOG), str(PROJECT))
    git("commit", "--quiet", "--message", f"chore: release {flags.version}")
    git("tag", "--annotate", f"v{flags.version}", "--message", f"Darkroom {flags.version}")
    print(f"v{flags.version} is committed and tagged here; next: git push --follow-tags")


def check(version: str, project: str, changelog: str) -> None:
    """End with a line where this cannot become a release."""
    found = LINE.search(project)
    if found is None:
        stop(f"{PROJECT}: has no line version = …")
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        stop(f"which version? three numbers: make release VERSION=0.2.0; got {version!r}")
    if f"v{version}" in git("tag").splitlines():
        stop(f"{version} is released already")
    if as_numbers(version) < as_numbers(found[1]):
        stop(f"{version} is below {found[1]}, the version in {PROJECT}")
    if UNRELEASED not in changelog:
        stop(f"{CHANGELOG}: has no heading {UNRELEASED!r}")
    if not read_section(changelog, changelog[changelog.index(UNRELEASED) :]):
        stop(f"{CHANGELOG}: nothing stands under {UNRELEASED!r}, so there is nothing to release")
    if changed := git("status", "--porcelain", "--untracked-files=no"):
        stop(f"these are changed and not committed; commit them first:\n{changed}")


def read_section(changelog: str, start: str) -> str:
    """Return the text of a section, from its heading to the next, without both."""
    return (
        re.split(r"^## ", start, flags=re.MULTILINE)[1].partition("\n")[2].strip() if start else ""
    )


def as_numbers(version: str) -> tuple[int, ...]:
    """Return a version so that versions can be compared."""
    return tuple(int(part) for part in version.split("."))


def git(*words: str) -> str:
    """Run git and return what it says."""
    done = subprocess.run(["git", *words], capture_output=True, text=True, check=False)  # noqa: S603, S607
    if done.returncode:
        stop(f"git {words[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


def stop(why: str) -> NoReturn:
    """End with one line."""
    sys.exit(f"release: {why}")


if __name__ == "__main__":
    main()
