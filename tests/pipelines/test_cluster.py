"""submit, schedule and upload against a server that speaks KFP's published API."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines import cluster
from pipelines.cli import main
from pipelines.cluster import connection
from tests.pipelines.conftest import IMAGE, PARAMS
from tests.pipelines.server import Kfp

pytestmark = pytest.mark.usefixtures("kfp")


def test_submit_sends_the_pipeline_and_prints_the_address(
    kfp: Kfp, host: str, call: Callable[..., Any]
) -> None:
    code, out, _ = call("submit", "--name", "tonight", "--set", "train.finetune.epochs=3")
    assert (code, out.splitlines()[-1]) == (0, f"{host}/#/runs/details/r1")
    (experiment,) = kfp.bodies("POST", "/experiments")
    assert experiment["display_name"] == "darkroom"
    (run,) = kfp.bodies("POST", "/runs")
    assert (run["display_name"], run["experiment_id"]) == ("tonight", "e1")
    assert run["runtime_config"]["parameters"]["train"]["finetune"]["epochs"] == 3
    spec = run["pipeline_spec"]["pipeline_spec"]
    images = {one["container"]["image"] for one in spec["deploymentSpec"]["executors"].values()}
    assert images == {IMAGE}
    assert run["pipeline_spec"]["platform_spec"]["platforms"]["kubernetes"]


def test_a_second_submission_takes_the_experiment_that_is_there(
    kfp: Kfp, call: Callable[..., Any]
) -> None:
    assert call("submit")[0] == call("submit")[0] == 0
    assert len(kfp.experiments) == 1


def test_wait_shows_progress_and_succeeds(kfp: Kfp, call: Callable[..., Any]) -> None:
    kfp.fail_reads = 2  # the server restarts meanwhile
    code, out, _ = call("submit", "--wait")
    assert code == 0
    assert "validate: running" in out
    assert "validate: done" in out
    assert "the run succeeded" in out


@pytest.mark.parametrize("state", ["FAILED", "CANCELED"])
def test_wait_fails_when_the_run_fails(kfp: Kfp, call: Callable[..., Any], state: str) -> None:
    kfp.states = ["RUNNING", state]
    code, _, err = call("submit", "--wait")
    assert code == 1
    wanted = {"FAILED": "the run failed in validate (task validate failed)"}
    assert wanted.get(state, "the run was terminated") in err
    assert "/#/runs/details/r1" in err
    assert "python -m pipelines retry r1 --wait" in err


def test_wait_gives_up_after_its_time(kfp: Kfp, call: Callable[..., Any]) -> None:
    kfp.states = ["RUNNING"]
    code, _, err = call("submit", "--wait", "--timeout", "0.05")
    assert code == 1
    assert "has not ended after 0.05 s; it goes on" in err


def test_a_mutable_tag_is_refused_before_anything_is_sent(
    kfp: Kfp, call: Callable[..., Any]
) -> None:
    code, _, err = call("submit", image="darkroom:latest")
    assert code == 1
    assert "--allow-mutable-tag" in err
    assert not kfp.bodies("POST", "/runs")
    code, out, _ = call("submit", "--allow-mutable-tag", image="darkroom:latest")
    assert code == 0
    assert "warning: darkroom:latest is named by a tag" in out


@pytest.mark.parametrize("image", ["registry/darkroom@sha256:abc", "registry/darkroom@md5:1"])
def test_half_a_digest_is_refused_whatever_is_allowed(
    kfp: Kfp, call: Callable[..., Any], image: str
) -> None:
    code, _, err = call("submit", "--allow-mutable-tag", image=image)
    assert code == 1
    assert "has no whole digest" in err
    assert not kfp.bodies("POST", "/runs")


def test_a_wrong_key_is_refused_before_anything_is_sent(kfp: Kfp, call: Callable[..., Any]) -> None:
    code, _, err = call("submit", "--set", "train.epochs=3")
    assert code == 1
    assert "train.epochs" in err
    assert not kfp.asked


def test_a_token_is_sent_and_an_expired_one_is_explained(
    kfp: Kfp, call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    kfp.token = "good"
    monkeypatch.setenv("KFP_TOKEN", "good")
    assert call("submit")[0] == 0
    code, _, err = call("submit", "--token", "old")
    assert code == 1
    assert "does not accept the token" in err
    assert err.count("\n") == 1


def test_a_token_that_expires_while_waiting_is_explained_at_once(
    kfp: Kfp, call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    kfp.token, kfp.states = "good", ["RUNNING"]
    send = cluster.submit

    def submit(*words: Any) -> Any:
        run = send(*words)
        kfp.token = "renewed"
        return run

    monkeypatch.setattr(cluster, "submit", submit)
    code, _, err = call("submit", "--wait", "--token", "good")
    assert code == 1
    assert "does not accept the token" in err


def test_a_pods_own_token_is_used_and_read_again(
    kfp: Kfp, call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("from-the-kubelet\n")
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(file))
    kfp.token = "from-the-kubelet"
    assert call("submit")[0] == 0


def test_inside_a_cluster_the_address_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    asked = []

    def ask(host: str, token: str, limits: Any) -> bool:
        asked.append(host)
        return False

    monkeypatch.setattr(connection, "ask_health", ask)
    cluster.connect("", "kubeflow", "darkroom", "")
    assert asked == ["http://ml-pipeline.kubeflow.svc.cluster.local:8888"]


def test_where_users_are_kept_apart_the_namespace_is_sent(
    kfp: Kfp, call: Callable[..., Any]
) -> None:
    kfp.multi_user = True
    assert call("submit", "--namespace", "team-a")[0] == 0
    assert kfp.bodies("POST", "/experiments")[0]["namespace"] == "team-a"


def test_a_server_that_does_not_answer_in_time(
    kfp: Kfp, call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = cluster.connect
    monkeypatch.setattr(cluster, "connect", lambda **words: original(**words, limits=(0.2, 0.3)))
    kfp.delay_seconds = 2
    code, _, err = call("submit")
    assert code == 1
    assert "does not answer in time" in err
    kfp.delay_seconds = 0
    create = Kfp.answer

    def slow(self: Kfp, method: str, path: str, *rest: Any) -> Any:
        if path == "/runs":
            import time

            time.sleep(2)
        return create(self, method, path, *rest)

    monkeypatch.setattr(Kfp, "answer", slow)
    code, _, err = call("submit")
    assert code == 1
    assert "does not answer in time" in err


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("http://127.0.0.1:9", "cannot be reached"),
        ("http://no-such-host.invalid", "cannot be reached"),
        ("kfp.local", "must begin with http"),
        ("", "no address of KFP"),
        ("http://[::1", "is no address (Invalid IPv6 URL)"),
        ("http://127.0.0.1:99999", "is no address (Port out of range"),
        ("http://me:word@127.0.0.1", "holds a user or password"),
    ],
)
def test_an_address_that_leads_nowhere(
    host: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["upload", "--params", str(PARAMS), "--host", host, "--version", "1"])
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1


def test_what_the_server_says_of_an_error_is_shown(
    kfp: Kfp, call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Kfp, method: str, path: str, *rest: Any) -> Any:
        return (200, {}) if path == "/healthz" else (500, {"message": "disk full\non node 3"})

    monkeypatch.setattr(Kfp, "answer", refuse)
    code, _, err = call("submit")
    assert code == 1
    assert "answered 500: disk full on node 3" in err


def test_schedule_makes_replaces_disables_and_enables(
    kfp: Kfp, host: str, call: Callable[..., Any]
) -> None:
    code, out, _ = call("schedule", "--cron", "0 0 3 * * *", "--name", "nightly")
    assert code == 0
    assert f"{host}/#/recurringrun/details/s1" in out
    (sent,) = kfp.bodies("POST", "/recurringruns")
    assert sent["trigger"]["cron_schedule"]["cron"] == "0 0 3 * * *"
    assert (sent["mode"], sent["max_concurrency"], sent["no_catchup"]) == ("ENABLE", 1, True)
    assert sent["runtime_config"]["parameters"]["mlflow"]["experiment"] == "darkroom"

    call("schedule", "--cron", "0 0 4 * * *", "--name", "nightly")
    assert [one["status"] for one in kfp.schedules] == ["ENABLED", "DISABLED"]
    assert call("schedule", "--disable", "--name", "nightly")[0] == 0
    assert {one["status"] for one in kfp.schedules} == {"DISABLED"}
    assert call("schedule", "--enable", "--name", "nightly")[0] == 0
    assert [one["status"] for one in kfp.schedules] == ["ENABLED", "DISABLED"]
    code, _, err = call("schedule", "--disable", "--name", "weekly")
    assert code == 1
    assert "no schedule of the name weekly" in err


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        (["schedule", "--cron", ""], "--cron"),  # it stopped the schedule of that name
        (["predict", "--source", "s3://a/b", "--output", "/x", "--cron", ""], "--cron"),  # it sent
        (["upload", "--version", ""], "--version"),
        (["retry", ""], "RUN"),
        (["submit", "--wait", "--timeout", "nan"], "--timeout"),
        (["clean", "--keep", "-1"], "--keep"),
        (["clean", "--volume", ""], "--volume"),
    ],
)
def test_an_empty_word_or_a_number_out_of_range_is_refused_before_anything(
    words: list[str], flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main([*words, "--params", str(PARAMS), "--host", "http://127.0.0.1:9"])
    assert end.value.code == 2
    assert f"error: argument {flag}: " in capsys.readouterr().err


@pytest.mark.parametrize("cron", ["0 3 * * *", "every night", "0 0 3 * * ;"])
def test_a_wrong_cron_expression_is_refused(kfp: Kfp, call: Callable[..., Any], cron: str) -> None:
    code, _, err = call("schedule", "--cron", cron)
    assert code == 1
    assert "six fields" in err
    assert not kfp.bodies("POST", "/recurringruns")


def test_upload_makes_the_pipeline_once_and_then_versions_of_it(
    kfp: Kfp, host: str, call: Callable[..., Any]
) -> None:
    code, out, _ = call("upload", "--version", "1a2b3c")
    assert code == 0
    assert f"{host}/#/pipelines/details/p1/version/v1" in out
    assert call("upload", "--version", "4d5e6f")[0] == 0
    assert len(kfp.pipelines) == 1
    (first,) = kfp.bodies("POST", "/pipelines/upload")
    assert "schemaVersion: 2.1.0" in first
    assert len(kfp.bodies("POST", "/pipelines/upload_version")) == 2
    code, _, err = call("upload", "--version", "4d5e6f")
    assert code == 1
    assert "pipeline darkroom has a version 4d5e6f already" in err
    assert f"{host}/#/pipelines/details/p1" in err


def test_where_users_are_kept_apart_a_second_upload_adds_a_version_to_the_namespaces_own(
    kfp: Kfp, call: Callable[..., Any]
) -> None:
    kfp.multi_user = True
    for version in ("1", "2"):
        assert call("upload", "--namespace", "team-a", "--version", version)[0] == 0
    assert [one["namespace"] for one in kfp.pipelines] == ["team-a"]
    assert call("upload", "--namespace", "team-b", "--version", "3")[0] == 0
    assert [one["namespace"] for one in kfp.pipelines] == ["team-a", "team-b"]
    assert call("schedule", "--namespace", "team-a", "--cron", "0 0 3 * * *")[0] == 0
    assert kfp.bodies("POST", "/experiments")[0]["namespace"] == "team-a"
