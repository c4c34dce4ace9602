"""MLflow, or its store of artifacts, does not answer: what that is, and how a person hears it."""

from __future__ import annotations

import re
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from components.common.errors import DarkroomError

LOCKED = "database is locked"
# What a person can do about a database, by what it says; MLflow's own advice is for another case.
_MENDED = {
    LOCKED: "another program writes into it: let it end, or end it, and run again",
    "readonly database": "it may not be written to: change its permissions and its folder's",
    "out-of-date database schema": (
        "it was made by another MLflow than the one that is installed here. Was it older, "
        "make a copy and run `mlflow db upgrade` with this address; was it newer, install that one"
    ),
}
# Packages whose errors mean that a store of artifacts does not answer, or refuses.
STORES = ("botocore", "boto3", "requests", "urllib3", "s3transfer")


class MlflowAwayError(DarkroomError):
    """Nothing answers at the address of MLflow; the message says what to do about it."""

    def __init__(self, where: str, reason: str) -> None:
        self.finding = f"MLflow at {where} cannot be used ({reason})"
        super().__init__(
            f"{self.finding}; start it, or set MLFLOW_TRACKING_URI to another, or unset it to use "
            "mlflow.db here"
        )


def retry(action: Callable[[], Any], pauses: tuple[float, ...] = (1.0, 4.0)) -> None:
    """Do what sends files to a store of artifacts; where the line breaks, wait and do it again.

    Args:
        action: changes nothing when it is done twice.
        pauses: seconds before each further try.
    """
    for pause in (*pauses, None):
        try:
            action()
            return
        except Exception as error:
            lost = _is_of_store(error) or isinstance(error, (ConnectionError, TimeoutError))
            if pause is None or not lost:
                raise
            print(f"  the store of artifacts: {name_error(error)}; once more", file=sys.stderr)
            time.sleep(pause)


def hide_password(uri: str) -> str:
    """Return an address without the user and password that it may hold."""
    parts = urllib.parse.urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if parts.netloc else uri


@contextmanager
def explain_failures(first_contact: bool = False) -> Iterator[None]:
    """Turn what a person can mend about the MLflow server into a DarkroomError.

    Args:
        first_contact: nothing but the address was asked for, so any complaint is about that.

    Raises:
        MlflowAwayError: if the server or the database does not answer.
        DarkroomError: if it refuses.
    """
    import mlflow
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, ImportError) as error:
        of_database = _find_database_error(error)
        if not (first_contact or _is_remote(error) or of_database):
            raise
        where = mlflow.get_tracking_uri()
        reason = str(of_database.orig if isinstance(of_database, DBAPIError) else error)
        if mended := next((how for words, how in _MENDED.items() if words in reason), ""):
            said = _hide_in(reason.strip().split(". ")[0].split("\n")[0], where)
            raise DarkroomError(
                f"MLflow at {hide_password(where)} cannot be used ({said}): {mended}"
            ) from None
        # Of a chain of exceptions in one line the innermost says what happened.
        core = re.findall(r"\[Errno -?\d+\] [^\"')]+|[Rr]ead timed out", reason)
        reason = core[-1] if core else _hide_in(reason.strip().split("\n")[0], where)
        away = MlflowAwayError(hide_password(where), reason)
        raise (away if is_away(error) else DarkroomError(str(away))) from None
    except Exception as error:
        if not _is_of_store(error):
            raise
        raise DarkroomError(
            f"the store of artifacts of MLflow cannot be used ({name_error(error)}); see that it "
            "runs and that its keys are in the environment, then run again"
        ) from None


def _find_database_error(error: BaseException) -> BaseException | None:
    """Return the error of the database that MLflow's own comes from; None if there is none."""
    from sqlalchemy.exc import DBAPIError

    return next((one for one in (error, error.__cause__) if isinstance(one, DBAPIError)), None)


def is_away(error: BaseException) -> bool:
    """Whether an exception says that no server answered, however often it was asked."""
    from sqlalchemy.exc import OperationalError

    if isinstance(error, OperationalError):
        return "sqlite" not in type(error.orig).__module__
    words = ("failed with exception", "failed with timeout exception")
    return _is_remote(error) and any(word in str(error) for word in words)


def is_lost(error: Exception) -> bool:
    """Whether an exception says that a server that was there does not answer, or refuses now."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import ConnectionError as NoConnection
    from requests.exceptions import Timeout
    from sqlalchemy.exc import OperationalError

    if isinstance(error, (NoConnection, Timeout, OperationalError)):
        return True
    words = ("API request to", "Max retries exceeded", "Connection refused", LOCKED)
    return isinstance(error, MlflowException) and any(word in str(error) for word in words)


def _is_remote(error: BaseException) -> bool:
    """Whether these are words of MLflow's client for a request without an answer, or refused."""
    from mlflow.exceptions import MlflowException

    return isinstance(error, MlflowException) and "API request to" in str(error)


def _is_of_store(error: BaseException) -> bool:
    return type(error).__module__.split(".")[0] in STORES or _is_remote(error)


def name_error(error: BaseException) -> str:
    """Return what broke in a line, without addresses, which may hold a signature."""
    text = re.sub(r"https?://\S+", "…", str(error).strip().split("\n")[0])
    return f"{type(error).__name__}: {text[:200]}"


def _hide_in(text: str, uri: str) -> str:
    parts = urllib.parse.urlsplit(uri)
    secrets = (parts.netloc.rpartition("@")[0] + "@" if "@" in parts.netloc else "", parts.password)
    for secret in secrets:
        text = text.replace(secret, "") if secret else text
    return text
