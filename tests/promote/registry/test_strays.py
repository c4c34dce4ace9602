"""Whatever one can click in MLflow's page: found, named, healed by the command that is given."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from sqlalchemy import event
from sqlalchemy.pool import Pool

from benchmarks._registry import World
from benchmarks.registry import simulate
from components.common.errors import DarkroomError
from components.common.tracking.server import import_mlflow
from components.common.tracking.tags import VERDICT
from components.promote.registry.ledger import HEAD
from components.promote.spec import Rule
from tests.promote.conftest import Promote, aliases
from tests.promote.registry.hands import call, client, fails, obey, read

ROOT = Path(__file__).parents[3]
EASY = [Rule("accuracy", at_least=0.1)]
Click = Callable[[Any], object]


def ledger_run() -> str:
    return read().run_id


def ledger_experiment() -> str:
    return str(client().get_run(ledger_run()).info.experiment_id)


def count_chains() -> int:
    """The runs of all experiments, deleted ones too, that hold entries of a ledger."""
    every = import_mlflow().entities.ViewType.ALL
    places = [e.experiment_id for e in client().search_experiments(view_type=every)]
    runs = client().search_runs(places, run_view_type=every)
    return sum("entry-000001" in run.data.params for run in runs)


CLICKS: dict[str, tuple[Click, str]] = {
    "the run of the ledger deleted": (
        lambda c: c.delete_run(ledger_run()),
        "its run .* was deleted in MLflow",
    ),
    "its experiment deleted": (
        lambda c: c.delete_experiment(ledger_experiment()),
        "its experiment darkroom ledger was deleted in MLflow",
    ),
    "its experiment renamed": (
        lambda c: c.rename_experiment(ledger_experiment(), "old things"),
        "its experiment is called old things",
    ),
    "the tag of the ledger removed": (
        lambda c: c.delete_registered_model_tag("darkroom", HEAD),
        "tag darkroom.ledger was removed",
    ),
    "the tag of the ledger edited": (
        lambda c: c.set_registered_model_tag("darkroom", HEAD, "nothing"),
        "tag darkroom.ledger was edited",
    ),
    "the hash in it edited": (
        lambda c: c.set_registered_model_tag("darkroom", HEAD, f"{ledger_run()}:4:{'0' * 64}"),
        "tag darkroom.ledger was edited",
    ),
    "run and tag at once": (
        lambda c: (
            c.delete_run(ledger_run()),
            c.delete_registered_model_tag("darkroom", HEAD),
        ),
        "was deleted in MLflow",
    ),
    "the verdict edited": (
        lambda c: c.set_model_version_tag("darkroom", "1", "darkroom.verdict", "splendid"),
        r"tags of version 1 were edited in MLflow \(darkroom.verdict\)",
    ),
    "the digest removed": (
        lambda c: c.delete_model_version_tag("darkroom", "2", "darkroom.model_digest"),
        "tags of version 2 were edited",
    ),
    "champion moved by hand": (
        lambda c: c.set_registered_model_alias("darkroom", "champion", "1"),
        "champion was moved by hand to version 1; the ledger says 2",
    ),
    "champion removed": (
        lambda c: c.delete_registered_model_alias("darkroom", "champion"),
        "champion was removed by hand from version 2",
    ),
    "challenger moved by hand": (
        lambda c: c.set_registered_model_alias("darkroom", "challenger", "1"),
        "challenger was moved by hand to version 1",
    ),
    "the model renamed": (
        lambda c: c.rename_registered_model("darkroom", "light room"),
        "darkroom was renamed in MLflow: its ledger belongs to light room",
    ),
}
# What nothing hinges on until the stage itself sets it anew.
HARMLESS = ("the verdict edited", "the digest removed", "challenger moved by hand")


@pytest.mark.parametrize("what", CLICKS)
def test_click_is_found_named_and_healed(
    what: str, two_champions: World, capsys: pytest.CaptureFixture[str]
) -> None:
    click, words = CLICKS[what]
    click(client())
    text = fails(capsys, "history")
    assert re.search(words, " ".join(text.split())), text
    if what not in HARMLESS:
        with pytest.raises(DarkroomError, match=r"components\.promote repair"):
            two_champions.promote(0.9)
        assert count_chains() == 1
    obey(text)
    call("history")
    assert aliases() == {"challenger": "2", "champion": "2"}
    two_champions.promote(0.9)
    assert aliases() == {"challenger": "3", "champion": "3"}
    book = read()
    assert (book.breaks, book.wounds, count_chains()) == ([], [], 1)
    assert [e.number for e in book.entries] == list(range(1, len(book.entries) + 1))


def test_deleted_champion_is_not_replaced_unseen(
    two_champions: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else the next challenger would have nobody to beat."""
    client().delete_model_version("darkroom", "2")
    with pytest.raises(
        DarkroomError, match=r"champion, version 2, was deleted in MLflow.*rollback"
    ):
        two_champions.promote(0.9)
    text = fails(capsys, "history")
    assert "rollback --name darkroom --reason TEXT (to version 1)" in text
    assert "was deleted" in fails(capsys, "repair")  # it does not decide that
    obey(text, "rollback")
    assert aliases()["champion"] == "1"
    call("history")
    two_champions.promote(0.9)
    assert read().entries[-1].before == "1"


def test_only_champion_that_was_deleted_and_all_versions_with_the_model(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.promote(0.9)
    client().delete_model_version("darkroom", "1")
    with pytest.raises(DarkroomError, match=r"components\.promote repair"):
        world.promote(0.7)
    obey(fails(capsys, "history"))
    world.promote(0.7)
    assert aliases()["champion"] == "2"
    client().delete_registered_model("darkroom")
    with pytest.raises(
        DarkroomError, match="darkroom was deleted in MLflow, with all its versions"
    ):
        world.promote(0.7)
    obey(fails(capsys, "history"))
    world.promote(0.7)
    assert aliases()["champion"] == "1"
    # Version 1 is another model now: there is no way back to that of before.
    assert "no champion before this one" in fails(capsys, "rollback", "--reason", "x")
    assert count_chains() == 1
    call("history")


def test_hand_that_moved_the_alias_may_answer_for_it(
    two_champions: World, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = YAML(typ="safe").load(ROOT / "params.yaml")
    settings["promote"]["rules"] = [{"metric": "accuracy", "at_least": 0.6}]
    YAML().dump(settings, two_champions.folder / "params.yaml")
    client().set_registered_model_alias("darkroom", "champion", "1")
    text = fails(capsys, "history")
    obey(text, "approve")
    book = read()
    last = book.entries[-1]
    assert (last.action, last.before, last.after, last.who) == ("approve", "2", "1", "Ada")
    assert "moved by hand to version 1" in last.evidence["found"]
    assert aliases()["champion"] == "1"
    call("history")


def check_that_a_person_decides(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """A champion that the ledger does not know is told, stops all, and goes by the command."""
    text = fails(capsys, "history")
    assert "champion was moved by hand to version 1; the ledger knows none" in text
    with pytest.raises(DarkroomError, match="moved by hand"):
        world.promote(0.9)
    obey(text)
    assert "champion" not in aliases()
    call("history")


def register_elsewhere(world: World) -> None:
    """As after a first run that broke off, or in a registry that is older than Darkroom."""
    client().create_registered_model("darkroom")
    client().create_model_version("darkroom", str(world.folder / "somebodys"))
    client().set_registered_model_alias("darkroom", "champion", "1")


def test_champion_set_by_hand_before_the_ledger_began(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    register_elsewhere(world)
    check_that_a_person_decides(world, capsys)
    world.promote(0.9)
    assert aliases()["champion"] == "2"


def test_champion_from_elsewhere_that_a_person_answers_for_is_incomparable(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    register_elsewhere(world)
    words = ["approve", "1", "--by", "Ada", "--reason", "it has served for years"]
    assert "the gate never judged it" in fails(capsys, *words)
    call(*words, "--against-verdict")
    world.promote(0.9)
    assert aliases() == {"challenger": "2", "champion": "1"}
    assert client().get_model_version("darkroom", "2").tags[VERDICT] == "incomparable"
    call("history")


def test_champion_set_by_hand_where_the_rules_made_none(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.promote(0.5)
    client().set_registered_model_alias("darkroom", "champion", "1")
    check_that_a_person_decides(world, capsys)


def test_edited_tags_do_not_talk_a_person_past_the_rules(
    promote: Promote, capsys: pytest.CaptureFixture[str]
) -> None:
    promote(0, rules=EASY)
    promote(1, rules=[Rule("accuracy", at_least=0.99)], data="failed")
    for key, value in {"verdict": "promoted", "data": "passed", "verdict_words": "fine"}.items():
        client().set_model_version_tag("darkroom", "2", f"darkroom.{key}", value)
    text = fails(capsys, "approve", "2", "--by", "Ada", "--reason", "x")
    assert "the verdict on the data is failed" in text
    assert "accuracy 0.9 is not at least 0.99" in text
    call("approve", "2", "--by", "Ada", "--reason", "x", "--against-verdict")
    evidence = read().entries[-1].evidence
    assert evidence["verdict"] == "rejected"
    assert any("at least 0.99" in words for words in evidence["fails"])
    assert set(evidence["account"]) == {"login", "host"}


def test_second_ledger_of_earlier_times_is_told_and_goes_on_as_one(
    two_champions: World, mlflow_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As Darkroom made one where the first was deleted."""
    first = read()
    other = client().create_run(ledger_experiment())
    text = first.entries[0].to_text()
    client().log_param(other.info.run_id, "entry-000001", text)
    found = fails(capsys, "history")
    assert f"there are 2 ledgers; run {first.run_id} goes on, run {other.info.run_id}" in found
    obey(found)
    call("history")
    two_champions.promote(0.9)
    assert (read().run_id, aliases()["champion"]) == (first.run_id, "3")


def test_ledger_that_is_gone_for_good_begins_anew_with_a_name(
    two_champions: World, mlflow_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with sqlite3.connect(mlflow_store / "mlflow.db") as database:
        database.execute("DELETE FROM params WHERE key LIKE 'entry-%' OR key LIKE 'done-%'")
    database.close()
    text = fails(capsys, "history")
    assert "the ledger is broken" in text
    assert "moved by hand" not in text
    assert "approve 2 --name darkroom --accept-broken-ledger --by NAME --reason TEXT" in text
    with pytest.raises(DarkroomError, match="the ledger is broken"):
        two_champions.promote(0.9)
    obey(text)
    book = read()
    assert (book.breaks, book.entries[0].who) == ([], "Ada")
    assert "gone for good" in book.entries[0].evidence["accepted_breaks"][0]


def test_database_that_others_write_into_is_said_so_and_nothing_is_half_done(
    two_champions: World, capsys: pytest.CaptureFixture[str]
) -> None:
    def be_impatient(connection: Any, *_: Any) -> None:
        connection.execute("PRAGMA busy_timeout = 50")  # MLflow waits 20 s

    event.listen(Pool, "checkout", be_impatient)
    before = aliases(), len(read().entries)
    other = sqlite3.connect(two_champions.folder / "mlflow.db", isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")  # a program in the middle of a long write
        for command in (["rollback"], ["approve", "1", "--by", "Ada", "--against-verdict"]):
            text = fails(capsys, *command, "--reason", "x")
            assert "(database is locked): another program writes into it: let it end" in text
            assert "start it" not in text
        call("history")
    finally:
        other.close()
        event.remove(Pool, "checkout", be_impatient)
    assert (aliases(), len(read().entries)) == before


@pytest.mark.slow
def test_random_hands_never_get_around_the_rules(mlflow_store: Path) -> None:
    found = simulate(mlflow_store, 4)
    assert sum(one["times"] for one in found.values()) == 40
