"""A real MLflow server that asks for a login: who it was stands in the ledger, beside the claim."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from components.common.errors import DarkroomError
from components.common.settings.spec import Mlflow
from components.common.tracking.recording import start_recorded_run
from components.common.tracking.server import import_mlflow
from components.promote import run
from components.promote.registry.ledger import Ledger
from components.promote.spec import Inputs, Outputs, Params, Rule
from tests.promote.servers import start_mlflow

pytestmark = pytest.mark.e2e
USER, PASSWORD, ADMIN = "ada", "ada-has-a-p4ssword", "the-admin-has-a-p4ssword"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a server with one user beside its admin."""
    pytest.importorskip("flask_wtf", reason="needs the extra `dev`: MLflow's logins want Flask-WTF")
    folder = tmp_path_factory.mktemp("logins")
    settings = folder / "auth.ini"
    settings.write_text(
        "[mlflow]\ndefault_permission = READ\nadmin_username = admin\n"
        "auth_cache_ttl_seconds = 60\n"  # or each request hashes the password again
        f"database_uri = sqlite:///{folder / 'users.db'}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    own = {
        "MLFLOW_AUTH_CONFIG_PATH": str(settings),
        "MLFLOW_AUTH_ADMIN_PASSWORD": ADMIN,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "of this test alone",
    }
    database = f"sqlite:///{folder / 'mlflow.db'}"
    server, port = start_mlflow(
        folder, dict(os.environ) | own, database, str(folder / "runs"), "--app-name", "basic-auth"
    )
    with server, pytest.MonkeyPatch.context() as patch:
        address = f"http://127.0.0.1:{port}"
        patch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
        patch.setenv("MLFLOW_TRACKING_PASSWORD", ADMIN)
        from mlflow.server import get_app_client

        get_app_client("basic-auth", address).create_user(USER, PASSWORD)
        yield address


@pytest.fixture
def login(
    address: str, mlflow_store: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], None]:
    """Return a function that logs this process in, with a password."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.setenv("DARKROOM_WHO", "Somebody Else")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", USER)
    return lambda password: monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", password)


@pytest.mark.slow
def test_the_ledger_holds_the_login_of_mlflow_beside_the_name_that_was_given(
    login: Callable[[str], None],
    lay_out: Callable[..., Inputs],
    mlflow_store: Path,
    quick_server: None,
) -> None:
    login(PASSWORD)
    inputs, names = lay_out(0), Mlflow(experiment="logins", registered_model="logins")
    with start_recorded_run(names, inputs.run):
        pass
    params = Params(rules=[Rule("accuracy", at_least=0.1)], served_images=4, mlflow=names)
    run.run(inputs, Outputs(mlflow_store / "verdict.json"), params)
    book = Ledger(import_mlflow(), "logins").read()
    assert [entry.action for entry in book.entries] == ["challenge", "promote"]
    for entry in book.entries:
        assert entry.who == "Somebody Else"  # a claim
        assert entry.evidence["account"]["mlflow_user"] == USER  # what the server checked
        assert PASSWORD not in entry.to_text()


def test_a_wrong_password_is_refused_in_words_without_it(login: Callable[[str], None]) -> None:
    login("wr0ng-p4ssword")
    with pytest.raises(DarkroomError, match=r"MLflow at http://127.0.0.1:\d+ cannot be used") as it:
        import_mlflow()
    assert "401" in str(it.value)
    assert "wr0ng" not in str(it.value)
