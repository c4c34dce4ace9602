"""What persons decide: against the champion they saw, back to former ones alone, two by two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks._registry import World
from components.promote import people
from tests.promote.conftest import aliases
from tests.promote.registry.hands import call, fails, read


def test_decision_holds_against_the_champion_that_was_seen(
    two_champions: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A rollback gets in while the served model is asked; also one that leads back to before."""
    two_champions.promote(0.5)  # version 3, rejected
    ask = people.Registry.check_served

    def be_slow(self: Any, *arguments: Any) -> Any:
        monkeypatch.setattr(people.Registry, "check_served", ask)
        people.roll_back(two_champions.registry, None, "Grace", "complaints about boots")
        people.approve(two_champions.registry, "2", "Grace", "a mistake", against_verdict=True)
        return ask(self, *arguments)

    monkeypatch.setattr(people.Registry, "check_served", be_slow)
    text = fails(capsys, "approve", "3", "--by", "Ada", "--reason", "x", "--against-verdict")
    assert "champion is version 2, since" in text
    assert "another was faster: approve by Grace (a mistake); version 2 is champion now" in text
    assert aliases()["champion"] == "2"
    assert "--champion 1: the champion is version 2 now" in fails(
        capsys, "rollback", "--reason", "x", "--champion", "1"
    )
    call("rollback", "--reason", "x", "--champion", "2")
    assert aliases()["champion"] == "1"


def test_rollback_goes_to_former_champions_alone(
    two_champions: World, capsys: pytest.CaptureFixture[str]
) -> None:
    two_champions.promote(0.5)
    text = fails(capsys, "rollback", "3", "--reason", "x")
    assert "version 3: it never was champion (verdict: rejected)" in text
    assert "a former champion (1)" in text
    assert "approve 3 --name darkroom --by NAME --reason TEXT" in text
    call("rollback", "--reason", "complaints")
    secret = "see https://me:geheim@host/ticket"
    assert "geheim" not in fails(capsys, "approve", "2", "--by", "Ada", "--reason", secret)
    assert all("geheim" not in entry.to_text() for entry in read().entries)
    text = fails(capsys, "rollback", "2", "--reason", "x")
    assert "took it back" in text
    assert "(complaints)" in text
    assert aliases()["champion"] == "1"


def test_two_persons_approve_and_one_alone_does_not(
    two_champions: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    two_champions.promote(0.5)

    def approve(who: str) -> None:
        people.approve(
            two_champions.registry, "3", who, "looked", approvals=2, against_verdict=True
        )

    for who in ("Ada", "ada"):
        approve(who)
        assert aliases()["champion"] == "2"
    assert "1 of 2; it becomes champion when another person does" in capsys.readouterr().out
    call("rollback", "--reason", "x")  # what was agreed was against another champion
    approve("Grace")
    assert aliases()["champion"] == "1"
    approve("Ada")
    last = read().entries[-1]
    assert (aliases()["champion"], last.who, last.evidence["approved_with"]) == (
        "3", "Ada", ["Grace"],
    )  # fmt: skip
    call("history")
