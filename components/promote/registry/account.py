"""Who acts: the name that is given is a claim, so what the machine knows stands beside it."""

from __future__ import annotations

import os
import pwd
import socket
from typing import Any

from components.common.tracking.server import find_user

WHO = "DARKROOM_WHO"  # says who acts, where the login name does not: in CI, in a container


def name_person(given: str = "") -> str:
    """Return who acts: as given, as DARKROOM_WHO says, or the login name and machine."""
    named = given.strip() or os.environ.get(WHO, "").strip()
    if named:
        return " ".join(named.split())
    return f"{_name_login()}@{socket.gethostname()}"


def read_account(mlflow: Any) -> dict[str, str]:
    """Return login and host, and the user of MLflow where its server asks for one.

    The login is that of the process, not of an environment variable.

    Args:
        mlflow: the module, set on a server.
    """
    found = {"login": _name_login(), "host": socket.gethostname()}
    user = find_user(mlflow)
    return found | {"mlflow_user": user} if user else found


def _name_login() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user without a name
        return f"user {os.getuid()}"
