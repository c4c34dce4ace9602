"""What persons decide: against the champion they saw, back to former ones alone, two by two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks._registry import World
from components.common.errors import DarkroomError
from components.promote import people
from components.promote.registry.account import fold_name
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


@pytest.mark.parametrize("command", ["approve", "rollback"])
def test_one_spelling_of_a_version_or_none(
    two_champions: World, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """MLflow reads 02 as 2; the seals of the ledger go by the spelling."""
    two_champions.promote(0.5)
    by = ["--by", "Ada"] if command == "approve" else []
    before = len(read().entries)
    for spelling in ("03", "\u0663", "v3", "challenger", "9" * 30, "3.0"):
        text = fails(capsys, command, spelling, *by, "--reason", "x")
        assert "is no version: it is a whole number, as `history` shows it" in text
        with pytest.raises(DarkroomError, match="has no version"):
            people.approve(two_champions.registry, spelling, "Ada", "x", against_verdict=True)
    assert (aliases()["champion"], len(read().entries)) == ("2", before)


REFUSED = [
    ("\u200b", "x", "--by: say who answers for it"),
    (" \n", "x", "--by: say who answers for it"),
    ("...", "x", "--by: say who answers for it"),
    ("\udcff", "x", "--by: say who answers for it"),
    ("Ada", "\u200b \u2060", "--reason: say why"),
    ("Ada \x1b[31m", "x", "--by: holds a control sign ('\\x1b')"),
    ("Ada\u202eecarG", "x", "--by: holds a control sign ('\\u202e')"),
    ("A" * 201, "x", "--by: has 201 characters, 200 are legal"),
    ("Ada", "bell\x07", "--reason: holds a control sign"),
    ("Ada", "caf\udce9", "--reason: holds a byte that is no UTF-8"),
    ("Ada", "x" * 2001, "--reason: has 2,001 characters, 2,000 are legal"),
    ("Ada", "see http://geheim@host", "--reason: the address http://host holds a user"),
]


def test_name_and_reason_are_refused_before_anything_is_asked(
    two_champions: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    two_champions.promote(0.5)
    monkeypatch.setattr(people.Registry, "check_served", lambda *_: pytest.fail("was asked"))
    before = len(read().entries)
    for who, why, words in REFUSED:
        text = fails(capsys, "approve", "3", "--by", who, "--reason", why, "--against-verdict")
        assert words in text
        assert "champion is version" not in text
        if "--reason" in words:
            assert words in fails(capsys, "rollback", "--reason", why)
            assert words in fails(capsys, "repair", "--reason", why)
        elif "say who" not in words:
            with monkeypatch.context() as patch:
                patch.setenv("DARKROOM_WHO", who)
                told = fails(capsys, "rollback", "--reason", "x")
            assert words.replace("--by", "DARKROOM_WHO") in told
    assert len(read().entries) == before


def test_one_person_under_two_spellings_is_one_person(two_champions: World) -> None:
    two_champions.promote(0.5)

    def approve(who: str) -> str:
        people.approve(
            two_champions.registry, "3", who, "looked", approvals=2, against_verdict=True
        )
        return aliases()["champion"]

    for who in (
        "J\u00fcrgen M\u00fcller",
        "J\u00fcrgen Mu\u0308ller",  # as macOS spells it
        " j\u00fcrgen  M\u00dcLLER ",
        "J\u00fcrgen\u200bM\u00fcller",
        "\uff2a\u00fcrgen-M\u00fcller.",
    ):
        assert approve(who) == "2"
    assert approve("\u0915\u093f") == "3"


def test_names_that_differ_in_a_vowel_are_two() -> None:
    assert fold_name("\u0915\u093f") != fold_name("\u0915\u0941")
    assert fold_name("\U0001f600") != ""


def test_what_stands_in_the_ledger_is_one_line_and_only_shown(
    two_champions: World, capsys: pytest.CaptureFixture[str]
) -> None:
    two_champions.registry.client.set_model_version_tag(
        "darkroom", "1", "darkroom.note", "a\x1b]0;x\x07\nb"
    )
    call("rollback", "--reason", "<b>boots</b> |\n\n`a`\tb")
    call("history")
    text = capsys.readouterr().out
    assert ": <b>boots</b> | `a` b\n" in text
    assert "a\\x1b]0;x\\x07\\nb" in text
    assert "\x1b" not in text
