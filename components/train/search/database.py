"""The SQLite file of studies: Optuna makes its tables in whatever database it is given."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from components.common.errors import DarkroomError

_TABLE = "studies"  # of Optuna


def has_studies(database: Path) -> bool:
    """Whether a file holds studies; none is there yet where it is missing or empty.

    Raises:
        DarkroomError: if it holds something else, such as MLflow's runs: Optuna would write its
            tables into that.
    """
    if not database.exists() or (database.is_file() and not database.stat().st_size):
        return False
    advice = "name a file of its own with --database, such as search.db"
    if not database.is_file():
        raise DarkroomError(f"{database}: is no file; {advice}")
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as found:
            tables = {name for (name,) in found.execute("SELECT name FROM sqlite_master")}
    except sqlite3.Error as error:
        raise DarkroomError(f"{database}: no database of studies ({error}); {advice}") from None
    if tables and _TABLE not in tables:
        raise DarkroomError(
            f"{database}: a database of something else, without studies; nothing was touched: "
            f"{advice}"
        )
    return bool(tables)


@contextmanager
def explain_database(database: Path) -> Iterator[None]:
    """Turn what SQLite, or Optuna about its version, says while a file is opened into one line."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import DBAPIError

    try:
        yield
    except (DBAPIError, StorageInternalError, RuntimeError) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        raise DarkroomError(
            f"{database}: cannot be used for studies ({cause}); mend that, or name another file "
            "with --database"
        ) from None
