"""Models that somebody deleted or renamed, or copied a tag to: whose ledger is it then?"""

from __future__ import annotations

import pytest

from benchmarks._registry import World
from components.common.cli import run_room
from components.common.errors import DarkroomError
from components.promote import people
from components.promote.registry.ledger import HEAD
from tests.promote.conftest import aliases
from tests.promote.registry.hands import call, client, fails, obey, read


@pytest.mark.slow
def test_what_was_taken_back_of_a_deleted_model_is_no_mark_on_a_new_one(
    two_champions: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """Deleted and begun anew, the numbers of versions begin again: they mean other models."""
    call("rollback", "--reason", "complaints about boots")
    two_champions.registry.client.delete_registered_model("darkroom")
    obey(fails(capsys, "history"))
    two_champions.promote(0.8)
    two_champions.promote(0.9)  # version 2 again
    assert aliases()["champion"] == "2"
    call("rollback", "--reason", "complaints about hats")
    two_champions.promote(0.9)
    with pytest.raises(DarkroomError, match=r"took it back .* \(complaints about hats\)"):
        people.roll_back(two_champions.registry, "2", "Ada", "x")


def test_model_that_was_renamed_while_another_took_its_name(
    two_champions: World, capsys: pytest.CaptureFixture[str]
) -> None:
    hands, before = client(), len(read().entries)
    hands.rename_registered_model("darkroom", "other")
    hands.create_registered_model("darkroom")
    for command in ("history", "repair"):
        text = fails(capsys, command)
        assert "was renamed to other in MLflow, and another took its name" in text
        assert "deleted in MLflow" not in text
    with pytest.raises(DarkroomError, match="another took its name"):
        two_champions.promote(0.9)
    hands.delete_registered_model("darkroom")
    obey(text)
    assert (aliases()["champion"], len(read().entries)) == ("2", before + 1)


def test_tag_that_was_copied_to_another_model_does_not_give_it_the_ledger(
    two_champions: World, capsys: pytest.CaptureFixture[str]
) -> None:
    hands, before = client(), len(read().entries)
    hands.create_registered_model("other")
    hands.set_registered_model_tag("other", HEAD, hands.get_registered_model("darkroom").tags[HEAD])
    for command in ("history", "repair"):
        capsys.readouterr()
        with pytest.raises(SystemExit):
            run_room("promote", [command, "--name", "other"])
        assert "names the ledger of darkroom: it was copied" in capsys.readouterr().err
    call("history")
    two_champions.promote(0.9)
    assert (aliases()["champion"], len(read().entries)) == ("3", before + 2)
