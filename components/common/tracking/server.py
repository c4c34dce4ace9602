"""Where MLflow is, and the first word with it."""

from __future__ import annotations

import http.client
import logging
import os
import sqlite3
import sys
import urllib.error
import urllib.request
import warnings
from contextlib import closing
from pathlib import Path
from typing import Any

from components.common.errors import DarkroomError
from components.common.files.writing import locking, writing
from components.common.settings.addresses import check_address, refuse_credentials
from components.common.terminal import say
from components.common.tracking.databases import find_database, name_database
from components.common.tracking.failures import explain_failures, hide_password
from components.common.tracking.relocation import follow_folder, name_root

URI, DEFAULT_URI = "MLFLOW_TRACKING_URI", "sqlite:///mlflow.db"
ROOT = "_MLFLOW_SERVER_ARTIFACT_ROOT"  # where MLflow keeps files whose database it opens itself
PULLED = "models/model.keras"  # the model of dvc.yaml, which `dvc pull` brings
# Set only where the environment says nothing: a stage prints its own findings, and sends none away.
QUIET = {
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # MLflow waits 4, 8, 16 … seconds between its tries: about a minute in all, not its four.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "5",
}


def import_mlflow(create: bool = True) -> Any:
    """Import MLflow, quiet, set on MLFLOW_TRACKING_URI or else on mlflow.db in the present folder.

    Args:
        create: make a database that is not there yet, where the address is that of an sqlite file.

    Raises:
        MlflowAwayError: if nothing answers there.
        DarkroomError: if it refuses, or is no MLflow.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    # Its migrations of a new database would print some fifty lines.
    logging.getLogger("alembic").setLevel(logging.ERROR)
    # What its store raises it prints as well, with a traceback: a full disk is one line here.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module="mlflow")
    import mlflow

    uri = find_uri()
    check_address(uri, URI)
    if (root := name_root(Path())).startswith("file:"):  # else it finds its place by itself
        os.environ[ROOT] = root
    file = find_database(uri, URI)
    if file is not None and file.exists():
        _check_database(file)
        follow_folder(file)
    elif file is not None:
        if not create:
            raise DarkroomError(f"{file}: no MLflow database here; {_describe_way(Path())}")
        _create_database(file)
    if file is not None and "%" in uri:
        uri = name_database(file)
    mlflow.set_tracking_uri(uri)
    if not is_answering(uri, seconds=5):  # MLflow itself tries for a minute, in silence
        address = hide_password(uri)
        print(f"  MLflow at {address} does not answer; trying again for a while", file=sys.stderr)
    with explain_failures(first_contact=True):
        mlflow.search_experiments(max_results=1)
    return mlflow


def _check_database(file: Path) -> None:
    """Refuse what is no database, and that of something else: MLflow would make its tables in it.

    Raises:
        DarkroomError: before MLflow is asked, which tries a folder for minutes.
    """
    advice = f"set {URI} to another, or unset it to use mlflow.db here"
    if not file.is_file():
        raise DarkroomError(f"{file}: is no file, so no database of MLflow; {advice}")
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as found:
            tables = {name for (name,) in found.execute("SELECT name FROM sqlite_master")}
    except sqlite3.Error:
        return  # MLflow meets it as well, and is explained
    if tables and "experiments" not in tables:
        raise DarkroomError(
            f"{file}: a database of something else, without experiments; nothing was touched: "
            f"{advice}"
        )


def _create_database(file: Path) -> None:
    """Make MLflow's database under another name and move it into place; of two, the first does.

    Two that make one at once fail in its migrations, and of a killed one a part would be taken for
    the whole.
    """
    with locking(file.parent):
        if file.exists():
            return
        say(f"creating {file}, the database of MLflow: once, and about ten seconds")
        from mlflow.store.tracking import DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        with writing(file, edits=True) as temporary, explain_failures(first_contact=True):
            # It writes the place of its own experiment into SQL as it is: a path may hold quotes.
            place = Path(DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH).absolute().as_uri()
            store = SqlAlchemyStore(name_database(temporary), place)
            store.engine.dispose()


def _describe_way(folder: Path) -> str:
    """Return how to get to a registry where there is none: a pulled model is there already."""
    either = "set MLFLOW_TRACKING_URI to that of your team, or"
    if not (folder / PULLED).is_file():
        return f"{either} run the pipeline first: dvc repro"
    return (
        f"{either} register {PULLED}, judged by the rules on its evaluation: "
        "dvc repro --force --single-item promote. It can be asked without a registry: "
        f"python -m components.predict --model {PULLED} PATH…"
    )


def find_uri() -> str:
    """Return the address of MLflow, from the environment or the default; it holds no password."""
    found = os.environ.get(URI, "").strip() or DEFAULT_URI
    refuse_credentials(found, URI, is_whole=True)
    return found


def describe_uri(mlflow: Any) -> str:
    """Return where MLflow is, without a password."""
    return hide_password(mlflow.get_tracking_uri())


def is_begun() -> bool:
    """Whether there is a database where MLflow is to be, or a server, which has its own."""
    file = find_database(find_uri(), URI)
    return file is None or file.exists()


def find_user(mlflow: Any) -> str:
    """Return the user under whom a server of MLflow knows us, empty where it asks for none."""
    if not mlflow.get_tracking_uri().startswith(("http://", "https://")):
        return ""
    from mlflow.utils.credentials import read_mlflow_creds

    return str(read_mlflow_creds().username or "")


def is_answering(uri: str, seconds: float) -> bool:
    """Whether the server at an address answers in time; what is no server always does."""
    if not uri.startswith(("http://", "https://")):
        return True
    try:
        address = f"{hide_password(uri)}/health"
        urllib.request.urlopen(address, timeout=seconds).close()  # noqa: S310 - http or https
    except urllib.error.HTTPError:
        return True  # it answers; what it thinks of us is seen next
    except (OSError, ValueError, http.client.HTTPException):
        return False
    return True
