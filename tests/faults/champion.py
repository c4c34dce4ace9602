"""What the registry of a project says of its champion, read from the database itself."""

from __future__ import annotations

import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlparse

MODEL = "darkroom"
ALIAS = "select version from registered_model_aliases where name = ? and alias = 'champion'"
SOURCE = "select storage_location from model_versions where name = ? and version = ?"


def find_champion(place: Path) -> str:
    """Return the version that is champion; empty: there is none."""
    if not (place / "mlflow.db").exists():
        return ""
    with closing(sqlite3.connect(place / "mlflow.db")) as store:
        found = store.execute(ALIAS, (MODEL,)).fetchone()
    return str(found[0]) if found else ""


def check_champion(place: Path) -> None:
    """AssertionError if the champion is a version whose files are not all there and whole."""
    version = find_champion(place)
    if not version:
        return
    with closing(sqlite3.connect(place / "mlflow.db")) as store:
        found = store.execute(SOURCE, (MODEL, version)).fetchone()
    assert found, f"champion is version {version}, which does not exist"
    # The project may have been copied since.
    folder = place / "mlruns" / unquote(urlparse(str(found[0])).path).rpartition("/mlruns/")[2]
    models = list(folder.rglob("model.keras"))
    assert models, f"champion is version {version}, and {folder} holds no model"
    with zipfile.ZipFile(models[0]) as archive:
        assert archive.testzip() is None, f"champion is version {version}, whose model is damaged"
