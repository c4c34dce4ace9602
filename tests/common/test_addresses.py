"""Credentials in any address are refused, and told where they belong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from components.common.errors import DarkroomError
from components.common.settings.addresses import find_credentials, refuse_credentials
from components.common.tracking.server import find_uri, import_mlflow
from pipelines.cluster.connection import connect

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("https://user:geheim@host/x", "MLFLOW_TRACKING_USERNAME"),
        ("HTTP://geheim@host", "MLFLOW_TRACKING_USERNAME"),
        ("git+https://user:geheim@host/a.git", "DARKROOM_GIT_TOKEN"),
        ("ssh://git:geheim@host/a.git", "ssh-agent"),
        ("s3://KEY:geheim@bucket/x", "AWS_ACCESS_KEY_ID"),
        ("postgresql+psycopg2://me:geheim@host/mlflow", "PGPASSWORD"),
        ("mysql+pymysql://me:geheim@host/mlflow", "read_default_file"),
        ("ftp://me:geheim@host", "out of the address"),
        ("see https://user:geheim@host for more", "MLFLOW_TRACKING_USERNAME"),
        ("https://host/x?token=geheim", "netrc"),
        ("postgresql://host/mlflow?user=me&password=geheim", "PGPASSWORD"),
        ("mysql+pymysql://host/mlflow?passwd=geheim", "read_default_file"),
        ("mssql+pyodbc:///?odbc_connect=DRIVER%3DX%3BUID%3Dme%3BPWD%3Dgeheim", "parameter `PWD`"),
        ("wasbs://c@account.host/x?sv=1&sig=geheim", "parameter `sig`"),
        ("https://host/x#access_token=geheim", "parameter `access_token`"),
        ("https://host/x;jsessiontoken=geheim", "parameter `jsessiontoken`"),
        ("https://me:geheim@host/x?token=geheim", "https://host/x holds a user"),
        ("see https://host/ticket?id=3&auth=geheim, it says why", "parameter `auth`"),
    ],
)
def test_credentials_are_refused_without_saying_them(address: str, place: str) -> None:
    with pytest.raises(DarkroomError, match=r"kubeflow\.host") as found:
        find_credentials({"kubeflow": {"host": address}})
    assert place in str(found.value)
    assert "geheim" not in str(found.value)


@pytest.mark.parametrize(
    "text",
    [
        "https://host:5000/a@b",
        "ssh://git@host/a.git",
        "git@host:a.git",
        "postgresql+psycopg2://me@host/mlflow",
        "hf://datasets/me/photos@main/data",
        "name@sha256:abc",
        "sqlite:////home/me@work/mlflow.db",
        "mlflow-artifacts:/1/x",
        "mysql+pymysql://host/mlflow?ssl_key=/etc/key.pem&read_default_file=~/.my.cnf",
        "postgresql://host/mlflow?user=me&passfile=/home/me/.pgpass",
        "https://host/issues?token=",
        "lost 3:2 @noon, see https://host/a?page=2#top; key=value",
    ],
)
def test_addresses_without_credentials_are_fine(text: str) -> None:
    refuse_credentials(text, "x")


@pytest.mark.parametrize(
    "address",
    ["me:geheim@host:5000", "//me:geheim@host", "https:/me:geheim@host/x", "https:me:geheim@h"],
)
def test_password_in_a_misspelt_address_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    for act in (find_uri, lambda: connect(address, "", "x", "")):
        with pytest.raises(DarkroomError, match="holds a user or password") as found:
            act()
        assert "geheim" not in str(found.value)


def test_address_of_mlflow_is_refused_in_the_first_second(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://user:geheim@host")
    with pytest.raises(DarkroomError, match="MLFLOW_TRACKING_URI: the address https://host holds"):
        import_mlflow()
    command = [sys.executable, "-m", "components.promote", "history"]
    command += ["--params", str(ROOT / "params.yaml")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "MLFLOW_TRACKING_URI" in done.stderr
    assert "geheim" not in done.stdout + done.stderr
