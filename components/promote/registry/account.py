"""Who acts: the name that is given is a claim, so what the machine knows stands beside it."""

from __future__ import annotations

import os
import pwd
import socket
import unicodedata
from typing import Any

from components.common.errors import DarkroomError
from components.common.settings.addresses import refuse_credentials
from components.common.tracking.server import find_user

WHO = "DARKROOM_WHO"  # says who acts, where the login name does not: in CI, in a container
MOST_NAME, MOST_REASON = 200, 2000  # characters; both have to fit into an entry with all the rest
# Of format characters, those that turn the direction of a line round: a name could read as another.
_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def read_words(text: str, setting: str, most: int, wanted: str = "") -> str:
    """Return a name or a reason as one line, as it stands in the ledger for good.

    Args:
        text: as it was given.
        setting: where, for the message.
        most: so many characters.
        wanted: what to say where there is no letter or digit in it; empty: it may be left out.

    Raises:
        DarkroomError: if nothing is said, it is too long, holds a password, or what makes a
            terminal show something else than is written.
    """
    words = " ".join(unicodedata.normalize("NFC", text).split())
    if wanted and not any(letter.isalnum() for letter in words):
        raise DarkroomError(f"{setting}: {wanted}")
    for letter in words:
        if unicodedata.category(letter) in ("Cc", "Cs") or letter in _TURNS:
            kind = "a byte that is no UTF-8" if "\ud800" <= letter <= "\udfff" else "a control sign"
            raise DarkroomError(f"{setting}: holds {kind} ({letter!a}); write it in plain letters")
    if len(words) > most:
        raise DarkroomError(f"{setting}: has {len(words):,} characters, {most:,} are legal")
    refuse_credentials(words, setting)
    return words


def fold_name(name: str) -> str:
    """Return what two spellings of one name have in common: not capitals, spaces, dots, forms."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return "".join(one for one in folded if unicodedata.category(one)[0] not in "ZPC") or folded


def name_person(given: str = "") -> str:
    """Return who acts: as given, as DARKROOM_WHO says, or the login name and machine.

    Raises:
        DarkroomError: if that is no name that a ledger can hold.
    """
    for setting, value in (("--by", given), (WHO, os.environ.get(WHO, ""))):
        if value.strip():
            return read_words(value, setting, MOST_NAME, "say who it is, in letters")
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
