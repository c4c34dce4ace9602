"""Answers that are none of KFP's: a login page, half of one, another service; and odd states."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pipelines.cli import main
from pipelines.cluster import watching
from pipelines.cluster.actions import NOT_ENDED
from tests.pipelines.conftest import IMAGE, PARAMS
from tests.pipelines.server import Kfp

PAGE = b"<!DOCTYPE html><html><body>Log in</body></html>"
STRANGE = {
    "page": (200, PAGE),
    "nothing": (200, b""),
    "half": (200, b'{"run_id": "r1", "state": "RUNN'),
    "list": (200, b"[]"),
    "null": (200, b"null"),
    "bytes": (200, b'{"state": "\xff"}'),
    "empty": (200, b"{}"),
    "fields": (200, b'{"experiments": 5, "pipelines": 5, "recurringRuns": 5, "runs": 5}'),
}
ACTIONS = (
    ("submit",),
    ("upload", "--version", "1"),
    ("schedule", "--cron", "0 0 3 * * *"),
    ("schedule", "--disable"),
    ("clean", "--volume", "/no/volume"),
)


@pytest.fixture
def stranger(kfp: Kfp) -> Iterator[Callable[..., str]]:
    """Return a function that starts a server which answers one thing; it returns its address."""
    servers = []

    def start(answer: tuple[int, bytes], health: bytes = b"", breaks_off: bool = False) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                is_health = health and self.path.endswith("/healthz")
                status, data = (200, health) if is_health else answer
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data) + 9 * breaks_off))
                self.end_headers()
                self.wfile.write(data)

            do_POST = do_GET  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def run(capsys: pytest.CaptureFixture[str], host: str, action: str, *words: str) -> tuple[int, str]:
    given = ["--params", str(PARAMS), "--host", host, "--set", f"kubeflow.image={IMAGE}"]
    try:
        main([action, *words, *given])
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    return code, capsys.readouterr().err


@pytest.mark.parametrize("kind", [kind for kind in STRANGE if kind not in ("empty", "fields")])
def test_what_is_no_kfp_is_told_at_the_first_look(
    stranger: Callable[..., str], capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    code, err = run(capsys, stranger(STRANGE[kind]), "submit")
    assert code == 1
    assert "answers, but not as KFP's API does" in err
    assert "KFP_TOKEN" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("kind", STRANGE)
def test_a_login_page_behind_a_healthy_server_starts_no_run(
    stranger: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """`submit` printed the address of a run called None, and ended well."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    host = stranger(STRANGE[kind], health=b'{"multi_user": false}')
    nothing_there = ("--disable", "clean") if kind == "empty" else ()
    for words in ACTIONS:
        if set(words) & set(nothing_there):
            continue  # a server without schedules and runs answers so
        code, err = run(capsys, host, *words)
        assert (code, err.count("\n")) == (1, 1), words
        assert "answers, but not as KFP's API does" in err


def test_an_answer_that_breaks_off_is_one_line(
    stranger: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    for health in (b"", b"{}"):
        host = stranger((200, b'{"multi'), health, breaks_off=True)
        code, err = run(capsys, host, "submit")
        assert (code, err.count("\n")) == (1, 1)
        assert "reached (" in err


def test_a_server_that_goes_away_is_not_called_slow(
    kfp: Kfp, host: str, call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines import cluster

    connect = cluster.connect

    def go_away(**words: Any) -> Any:
        found = connect(**words)
        found.client._run_api.api_client.configuration.host = "http://127.0.0.1:9"
        return found

    monkeypatch.setattr(cluster, "connect", go_away)
    code, _, err = call("submit")
    assert code == 1
    assert "is no longer reached" in err
    assert "refused" in err


def test_while_waiting_a_strange_answer_is_borne_for_a_while(
    kfp: Kfp, call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, strange = Kfp.answer, [3]

    def answer(self: Kfp, method: str, path: str, *rest: Any) -> Any:
        if (method, path) == ("GET", "/runs/r1") and strange[0]:
            strange[0] -= 1
            return 200, ["a proxy that restarts"]
        return whole(self, method, path, *rest)

    monkeypatch.setattr(Kfp, "answer", answer)
    code, out, _ = call("submit", "--wait")
    assert (code, strange[0]) == (0, 0)
    assert "the run succeeded" in out
    strange[0] = watching.PATIENCE + 1
    code, _, err = call("submit", "--wait")
    assert code == 1
    assert "not as KFP's API does: with ['a proxy that restarts']" in err


@pytest.mark.parametrize("state", [*NOT_ENDED, "FAILED", "CANCELED"])
def test_only_what_has_ended_badly_is_retried(
    kfp: Kfp, call: Callable[..., Any], state: str
) -> None:
    kfp.states = [state]
    code, _, err = call("retry", "r7")
    assert code == (1 if state in NOT_ENDED else 0)
    assert len(kfp.bodies("POST", "/runs/r7:retry")) == 1 - code
    if code:
        assert f"run r7 {NOT_ENDED[state]}: http" in err


@pytest.mark.parametrize(
    ("word", "run_id"),
    [
        ("53b19289-aa", "53b19289-aa"),
        ("http://kfp/#/runs/details/53b19289-aa/", "53b19289-aa"),
        ("https://kf/_/pipeline/?ns=team-a#/runs/details/53b19289-aa?x=1", "53b19289-aa"),
        ("my run", ""),
        ("r1:retry", ""),
        ("/", ""),
        ("r\xfcn", ""),
    ],
)
def test_a_run_is_named_by_its_id_or_its_address(
    kfp: Kfp, call: Callable[..., Any], word: str, run_id: str
) -> None:
    kfp.states = ["FAILED"]
    code, out, err = call("retry", word)
    if run_id:
        assert (code, out.rpartition("/")[2].strip()) == (0, run_id)
    else:
        assert code == 2
        assert "give the run's id" in err
        assert not kfp.asked


def test_a_run_that_is_not_there_is_said_in_kfps_words(
    kfp: Kfp, call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Kfp.answer
    words = "Failed to get a run: Failed to fetch run nope: ResourceNotFoundError"

    def answer(self: Kfp, method: str, path: str, *rest: Any) -> Any:
        if path == "/runs/nope":  # as recorded
            return 404, {"code": 5, "message": words}
        return whole(self, method, path, *rest)

    monkeypatch.setattr(Kfp, "answer", answer)
    code, _, err = call("retry", "nope")
    assert code == 1
    assert f"answered 404: {words}" in err


def test_several_experiments_of_a_name_are_one_line(kfp: Kfp, call: Callable[..., Any]) -> None:
    kfp.experiments = [{"experiment_id": f"e{i}", "display_name": "darkroom"} for i in range(2)]
    code, _, err = call("schedule", "--disable")
    assert code == 1
    assert "Multiple experiments is found with name darkroom. Give another" in err


@pytest.mark.parametrize("token", ["two words", "a\nb", "s\xfc\xdf"])
def test_a_token_that_no_header_can_hold_is_not_shown(
    kfp: Kfp, call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("KFP_TOKEN", token)
    code, _, err = call("submit")
    assert code == 1
    assert "the token for KFP" in err
    assert token not in err
    assert not kfp.asked
    kfp.token = "good"
    monkeypatch.setenv("KFP_TOKEN", " good\n")  # as `$(cat file)` or a secret may hand it on
    assert call("submit")[0] == 0


def test_a_pods_token_that_cannot_be_read_is_one_line(
    kfp: Kfp, call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_bytes(b"\xff\xfe")
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(file))
    code, _, err = call("submit")
    assert code == 1
    assert f"{file}: the token for KFP cannot be read (it is no text)" in err
