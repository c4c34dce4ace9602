"""The ledger on a real MLflow: who moved what and why, two at once, crashes, tampering."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from benchmarks._registry import World
from components.common.cli import run_room
from components.common.errors import DarkroomError
from components.common.tracking.server import import_mlflow
from components.promote.registry import registry
from components.promote.registry.book import (
    NO_HASH,
    Book,
    Entry,
    compute_hash,
    parse_book,
)
from components.promote.registry.ledger import Ledger
from components.promote.registry.moves import Move, Mover, OvertakenError
from components.promote.registry.registry import Registry
from components.promote.spec import Rule
from tests.promote.conftest import Promote, aliases

ROOT = Path(registry.__file__).parents[3]
EASY = [Rule("accuracy", at_least=0.1)]


def read() -> Book:
    return Ledger(import_mlflow(), "darkroom").read()


def moves(alias: str = "champion") -> list[tuple[str, str | None, str]]:
    return [(e.action, e.before, e.after) for e in read().entries if e.alias == alias]


def call(*words: str) -> None:
    run_room("promote", [*words, "--name", "darkroom"])


def make_entries(count: int) -> dict[str, str]:
    params, previous = {}, NO_HASH
    for number in range(1, count + 1):
        text = Entry(
            number, "2026-01-01", "promote", "champion", None, str(number), "a", "b", {}, previous
        ).to_text()
        params[f"entry-{number:06d}"] = text
        previous = compute_hash(text)
    return params


def test_every_move_is_written_with_its_reasons(promote: Promote) -> None:
    promote(0, rules=EASY)
    promote(1, rules=EASY)
    assert moves() == [("promote", None, "1"), ("promote", "1", "2")]
    assert moves("challenger") == [("challenge", None, "1"), ("challenge", "1", "2")]
    book = read()
    last = book.entries[-1]
    assert last.who
    assert last.why == "every rule holds, and it replaces version 1"
    assert last.evidence["verdict"] == "promoted"
    assert last.evidence["figures"]["accuracy"] == 0.9
    assert "accuracy at least 0.1: passed" in last.evidence["rules"]
    assert (book.breaks, len(book.done)) == ([], 4)
    assert last.time.endswith("+00:00")


def test_person_approves_with_name_and_reason(
    promote: Promote, capsys: pytest.CaptureFixture[str]
) -> None:
    assert promote(0, rules=EASY, mode="approve")["verdict"] == "awaiting_approval"
    assert aliases() == {"challenger": "1"}
    with pytest.raises(SystemExit):  # no name, no reason
        call("approve")
    call("approve", "--by", "Ada Lovelace", "--reason", "looked at the\nworst mistakes")
    assert aliases() == {"challenger": "1", "champion": "1"}
    entry = read().entries[-1]
    assert (entry.action, entry.who, entry.why) == (
        "approve", "Ada Lovelace", "looked at the worst mistakes",
    )  # fmt: skip
    assert "the served model answers 4 test images as measured" in entry.evidence["served"]
    capsys.readouterr()
    promote(1, rules=[Rule("accuracy", at_least=0.99)])
    with pytest.raises(SystemExit):
        call("approve", "2", "--by", "Ada", "--reason", "because")
    assert "To approve it all the same, say --against-verdict" in capsys.readouterr().err
    call("approve", "2", "--by", "Ada", "--reason", "because", "--against-verdict")
    assert aliases()["champion"] == "2"
    assert read().entries[-1].evidence["verdict"] == "rejected"


def test_rollback_goes_back_step_by_step_and_the_rules_respect_it(promote: Promote) -> None:
    for model in range(3):
        promote(model, rules=EASY)
    call("rollback", "--reason", "complaints")
    assert aliases()["champion"] == "2"
    # The gate does not bring back what a person took away.
    verdict = promote(2, rules=EASY)
    assert verdict["verdict"] == "rejected"
    assert "(complaints); only a person brings it back" in verdict["words"]
    with pytest.raises(SystemExit):  # no reason
        call("rollback")
    call("rollback", "--reason", "more complaints")
    assert aliases()["champion"] == "1"
    for version in ([], ["3"], ["17"]):  # none before it; taken back; not there
        with pytest.raises(SystemExit):
            call("rollback", *version, "--reason", "no way back")
    assert aliases()["champion"] == "1"
    call("approve", "3", "--by", "Ada", "--reason", "mended")
    assert aliases()["champion"] == "3"
    assert read().entries[-1].who == "Ada"
    assert promote(2, rules=EASY)["verdict"] == "promoted"


def test_crash_between_ledger_and_alias_is_healed(
    promote: Promote, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    promote(0, rules=EASY)
    move = Registry.set_alias

    def break_down(self: Registry, alias: str, version: str) -> None:
        if alias == "champion":
            raise ConnectionError("power cut")
        move(self, alias, version)

    with monkeypatch.context() as patch:
        patch.setattr(Registry, "set_alias", break_down)
        with pytest.raises(ConnectionError):
            promote(1, rules=EASY)
    assert aliases()["champion"] == "1"  # the old one serves
    capsys.readouterr()
    call("history")
    assert "alias not moved yet" in capsys.readouterr().out
    promote(1, rules=EASY, same_run=True)
    assert aliases()["champion"] == "2"
    assert moves() == [("promote", None, "1"), ("promote", "1", "2")]


@pytest.mark.slow
def test_two_at_once_one_wins_and_the_other_is_told(promote: Promote) -> None:
    for model in range(3):
        promote(model, rules=EASY)
    found = Registry(import_mlflow(), "darkroom")
    count, barrier, won, told = 6, threading.Barrier(6), [], []

    def challenge(number: int) -> None:
        mover = Mover(found, f"racer {number}")
        barrier.wait()
        try:
            mover.move(Move("promote", "champion", "3", str(number % 2 + 1), "a race"))
            won.append(f"racer {number}")
        except OvertakenError as overtaken:
            told.append(overtaken.version)

    racers = [threading.Thread(target=challenge, args=(number,)) for number in range(count)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    book = read()
    assert book.breaks == []
    assert len(won) == 1
    assert len(told) == count - 1
    last = book.entries[-1]
    assert (last.who, last.before) == (won[0], "3")
    assert aliases()["champion"] == last.after
    assert [entry.number for entry in book.entries] == list(range(1, len(book.entries) + 1))


def test_loser_of_a_race_is_judged_against_the_winner(
    promote: Promote, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    promote(0, rules=EASY)
    promote(1, rules=[Rule("accuracy", at_least=0.99)])  # version 2, rejected
    move = Mover.move

    def be_slow(self: Mover, step: Move) -> Entry:
        if step.action == "promote":
            monkeypatch.setattr(Mover, "move", move)
            Mover(self.registry, "faster").move(Move("promote", "champion", "1", "2", "faster"))
        return move(self, step)

    monkeypatch.setattr(Mover, "move", be_slow)
    verdict = promote(2, rules=EASY)
    assert "another promotion was faster: version 2 is champion now" in capsys.readouterr().out
    assert verdict["champion_before"] == "2"
    assert moves()[1:] == [("promote", "1", "2"), ("promote", "2", "3")]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE params SET value = replace(value, '0.9', '0.8')", "does not follow entry"),
        ("UPDATE params SET value = 'x' WHERE key = 'entry-000001'", "entry 1 is not readable"),
        ("DELETE FROM params WHERE key = 'entry-000002'", "entry 2 is missing"),
        ("DELETE FROM params WHERE key = 'entry-000004'", "entry 4 is not the one that was"),
    ],
)
def test_change_in_the_database_is_seen(
    change: str,
    words: str,
    promote: Promote,
    mlflow_store: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    promote(0, rules=EASY)
    promote(1, rules=EASY)
    with sqlite3.connect(mlflow_store / "mlflow.db") as database:
        database.execute(f"{change}{' AND' if 'WHERE' in change else ' WHERE'} key LIKE 'entry-%'")
    database.close()
    assert words in " ".join(read().breaks)
    with pytest.raises(SystemExit):
        call("history")
    assert "the ledger is broken" in capsys.readouterr().out
    with pytest.raises(DarkroomError, match="the ledger is broken"):
        promote(2, rules=EASY)
    assert aliases()["champion"] == "2"


def test_person_may_accept_a_broken_ledger(promote: Promote, mlflow_store: Path) -> None:
    promote(0, rules=EASY)
    promote(1, rules=EASY)
    with sqlite3.connect(mlflow_store / "mlflow.db") as database:
        database.execute("UPDATE params SET value = 'x' WHERE key = 'entry-000001'")
    database.close()
    words = ("approve", "1", "--by", "Ada", "--reason", "the restore lost an entry")
    with pytest.raises(SystemExit):
        call(*words)
    call(*words, "--accept-broken-ledger")
    assert read().breaks == []
    assert "entry 1 is not readable" in read().entries[-1].evidence["accepted_breaks"]
    assert promote(2, rules=EASY)["verdict"] == "promoted"


def test_ledger_survives_the_loss_of_local_files(promote: Promote, mlflow_store: Path) -> None:
    promote(0, rules=EASY)
    for file in mlflow_store.glob("*.json"):
        file.unlink()
    assert moves() == [("promote", None, "1")]


def test_history_walks_from_alias_to_origins_and_back(
    promote: Promote, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DARKROOM_IMAGE_DIGEST", "sha256:" + "c" * 64)
    verdict = promote(0, rules=EASY)
    monkeypatch.delenv("DARKROOM_IMAGE_DIGEST")
    promote(1, rules=EASY)
    capsys.readouterr()

    def ask(query: str) -> Any:
        call("history", query, "--json")
        return json.loads(capsys.readouterr().out)

    found = ask("champion")["versions"]
    assert [version["version"] for version in found] == ["2"]
    origins = ask("1")["versions"][0]["origins"]
    assert origins["run_id"] == verdict["run_id"]
    assert origins["metrics.accuracy"] == "0.9"
    for origin in ("container_digest", "model_digest", "run_id"):
        assert [v["version"] for v in ask(origins[origin][:16])["versions"]] == ["1"]
    assert {v["version"] for v in ask(origins["splits_digest"])["versions"]} == {"1", "2"}
    with pytest.raises(SystemExit):
        call("history", "nothing-like-it")


def test_history_asks_no_more_often_where_there_are_more_versions(
    two_champions: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []
    store = import_mlflow().tracking._model_registry.utils._get_store()
    for name in [one for one in dir(type(store)) if one.startswith(("get_", "search_"))]:
        real = getattr(type(store), name)
        monkeypatch.setattr(
            type(store), name, lambda *a, _real=real, **k: asked.append(_real) or _real(*a, **k)
        )
    call("history")
    few = len(asked)
    for accuracy in (0.9, 0.9, 0.9):
        two_champions.promote(accuracy)
    asked.clear()
    call("history")
    assert len(asked) == few > 0
    assert capsys.readouterr().out.count("version 5") >= 1


@pytest.mark.parametrize("count", [0, 1, 5])
def test_book_is_parsed_and_checked(count: int) -> None:
    params = make_entries(count)
    book = parse_book(params)
    assert (len(book.entries), book.breaks) == (count, [])
    if count > 1:
        params["entry-000002"] = params["entry-000002"].replace('"b"', '"c"')
        assert parse_book(params).breaks == ["entry 3 does not follow entry 2 as it is now"]


def test_command_line_answers_at_once_and_names_what_is_missing(tmp_path: Path) -> None:
    def type_in(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "components.promote", *words],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )

    assert "the ledger, and where each version comes from" in type_in("history", "--help").stdout
    assert "--verdict" in type_in("--help").stdout
    done = type_in("history", "--name", "darkroom")
    assert done.returncode == 1
    assert "mlflow.db: no MLflow database here" in done.stderr
    assert not (tmp_path / "mlflow.db").exists()
