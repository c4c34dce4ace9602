"""What the project is built of is named to the bit: actions by commit, packages by hash."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ACTION = re.compile(r"uses: *(\S+)@(\S+)(?: *# *(\S+))?")


@pytest.mark.parametrize(
    "file", sorted((ROOT / ".github/workflows").glob("*")), ids=lambda f: f.name
)
def test_actions_are_pinned_by_commit_and_say_their_version(file: Path) -> None:
    found = ACTION.findall(file.read_text(encoding="utf-8"))
    assert found
    for action, commit, version in found:
        assert re.fullmatch("[0-9a-f]{40}", commit), f"{action}@{commit} may move"
        assert re.fullmatch(r"v\d+\.\d+\.\d+", version), f"{action}: which version is {commit}?"


@pytest.mark.parametrize(
    "lock", sorted((ROOT / "requirements").glob("*.lock")), ids=lambda f: f.name
)
def test_every_package_is_pinned_by_hash_and_no_address_is_named(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    assert "://" not in text, "an address of an index"
    entries = re.split(r"\n(?=[a-z0-9])", text.replace("\\\n", ""))
    packages = [entry for entry in entries if not entry.startswith("#")]
    assert packages
    for entry in packages:
        assert re.match(r"[a-zA-Z0-9._-]+(\[[a-z,-]+\])?==\S+", entry), entry[:80]
        assert "--hash=sha256:" in entry, entry[:80]
