"""Addresses in settings: what may stand in them, and how a person sees them."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Mapping
from typing import Any

from components.common.errors import DarkroomError

SCHEMES = ("http", "https", "s3", "gs", "hf")
# Names of parameters whose values let somebody in: of presigned addresses, of APIs.
_SECRET = re.compile(
    r"token|secret|passw|signature|credential|api_?key|access_?key|accessid|authorization"
    r"|^(sig|auth|pwd|rlkey|jwt|bearer)$",
    re.IGNORECASE,
)
_ANY = re.compile(r"(?P<place>(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://[^\s?#;]*)(?P<rest>[?#;]\S*)")
_BARE = re.compile(r"[^/?#\s]*:[^/?#\s]*@")  # user:password@host, whatever was to be before it
_ADDRESS = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<user>[^/?#\s]*)@(?P<rest>[^\s]*)")
_WEB = (
    "of MLflow, set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or "
    "MLFLOW_TRACKING_TOKEN; of git, DARKROOM_GIT_TOKEN; of Kubeflow, KFP_TOKEN; of downloads, "
    "~/.netrc"
)
# Where credentials belong, by scheme.
_PLACES = {
    "http": _WEB,
    "https": _WEB,
    "git": _WEB,
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS",
    "hf": "set HF_TOKEN",
    "ssh": "let ssh-agent or ~/.ssh/config hold the key",
    "postgresql": "set PGPASSWORD, or write ~/.pgpass",
    "postgres": "set PGPASSWORD, or write ~/.pgpass",
    "mysql": "write ~/.my.cnf and append ?read_default_file=~/.my.cnf",
}
_LOOKS_LIKE_KEY = re.compile(r"[A-Za-z0-9_-]{8,}")  # ?key=Abc123…, but not ?key=photos.zip


def is_address(source: str) -> bool:
    """Whether a source is an address that is fetched, not a path."""
    return source.lower().startswith(tuple(f"{scheme}://" for scheme in SCHEMES))


def refuse_secrets(source: str, setting: str) -> None:
    """Refuse an address with a password or token: settings go into git, dvc.lock and records.

    Raises:
        DarkroomError: without the secret in its words.
    """
    if not is_address(source):
        return
    found = _find_secret(source)
    if found:
        raise DarkroomError(
            f"{setting}: the address {hide_secrets(source)} holds {found}, and settings are "
            "written into dvc.lock and the records of runs. Leave it out: for http(s) put it into "
            "~/.netrc, for s3:// into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, for gs:// into "
            "GOOGLE_APPLICATION_CREDENTIALS, for hf:// into HF_TOKEN; or download it by hand and "
            "name the file"
        )
    check_address(source, setting)


def refuse_credentials(text: str, setting: str, *, is_whole: bool = False) -> None:
    """Refuse any address with a user and password or a token in it, whatever its scheme.

    A user alone is one where a key or a file holds the password: ssh://git@host, a database.

    Args:
        text: a setting; it need not be an address, or may hold several.
        setting: its name, for the message.
        is_whole: it is one address, also where its scheme was forgotten or misspelt.

    Raises:
        DarkroomError: without the secret in its words, with the place where it belongs.
    """
    _refuse_users(text, setting)
    _refuse_parameters(text, setting)
    if is_whole and "://" not in text and _BARE.search(text):
        host = text.rpartition("@")[2]
        raise DarkroomError(
            f"{setting}: the address of {host} holds a user or password, and addresses are written "
            f"into records and logs. Leave it out, and begin with https://: {_WEB}"
        )


def _refuse_users(text: str, setting: str) -> None:
    for found in _ADDRESS.finditer(text):
        scheme, user, rest = found["scheme"].lower(), found["user"], found["rest"]
        is_web = scheme.split("+")[-1] in ("http", "https", "s3", "gs", "hf", "ftp")
        # Of s3://key:secret@bucket a browser would make a user; of http://token@host, a login.
        if user and (":" in user or is_web):
            place = re.split(r"[?#;]", rest)[0]
            raise DarkroomError(
                f"{setting}: the address {scheme}://{place} holds a user or password, and "
                "addresses are written into records and logs. Leave it out: "
                f"{_describe_place(scheme)}"
            )


def _refuse_parameters(text: str, setting: str) -> None:
    """Refuse what stands behind the place: of SQLAlchemy and ODBC passwords, of links tokens."""
    for found in _ANY.finditer(text):
        rest = urllib.parse.unquote(urllib.parse.unquote(found["rest"]))
        for part in re.split(r"[?#&;]", rest):
            name, is_set, value = part.partition("=")
            if name.lower() == "odbc_connect":  # its value is a list of the same kind
                name, _, value = value.partition("=")
            if is_set and value and _is_secret(name, value):
                raise DarkroomError(
                    f"{setting}: the address {found['place']} holds a secret in its parameter "
                    f"`{name}`, and addresses are written into records and logs. Leave it out: "
                    f"{_describe_place(found['scheme'].lower())}"
                )


def find_credentials(values: Any, name: str = "") -> None:
    """Refuse credentials in any text of settings, wherever it stands in lists and keys.

    Args:
        values: a setting, or a list or mapping of settings.
        name: dotted key of it.

    Raises:
        DarkroomError: naming the key.
    """
    if isinstance(values, str):
        _refuse_users(values, name)
        refuse_secrets(values, name)
        _refuse_parameters(values, name)
    elif isinstance(values, Mapping):
        for key, value in values.items():
            refuse_credentials(str(key), f"a key of {name}")
            find_credentials(value, f"{name}.{key}" if name else str(key))
    elif isinstance(values, (list, tuple)):
        for position, value in enumerate(values):
            find_credentials(value, f"{name}[{position}]")


def check_address(address: str, setting: str) -> None:
    """Raise DarkroomError if an address cannot be taken apart into host, port and path."""
    try:
        parts = urllib.parse.urlsplit(address)
        if parts.scheme in ("http", "https"):  # of a bucket it may be an ARN, full of colons
            _ = parts.port  # a wrong one is found where it is asked for
    except ValueError as error:
        raise DarkroomError(
            f"{setting}: {hide_secrets(address)} is no address ({error}); look for a slip in it"
        ) from None


def _describe_place(scheme: str) -> str:
    kind = scheme.split("+", maxsplit=1)[0]
    return _PLACES.get(kind, "put it where the program that opens it looks, out of the address")


def hide_secrets(source: str) -> str:
    """Return a path as it is, an address without password and query, which may hold a token."""
    if not is_address(source):
        return source
    try:
        parts = urllib.parse.urlsplit(source)
    except ValueError:
        return re.sub(r"//[^/]*@", "//", source.partition("?")[0])
    if parts.scheme == "hf":  # its @ stands before a revision
        return f"{parts.scheme}://{_hf_rest(source)}"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _find_secret(source: str) -> str:
    """Return what kind of secret an address holds, empty if none."""
    try:
        parts = urllib.parse.urlsplit(source)
        query = urllib.parse.parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        return "a user or password" if "@" in source.partition("?")[0] else ""
    if "@" in parts.netloc:
        return "a user or password"
    for name, value in query:
        if _is_secret(name, value):
            return f"a secret in its parameter `{name}`"
    return ""


def _is_secret(name: str, value: str) -> bool:
    is_key = name.lower() == "key" and _LOOKS_LIKE_KEY.fullmatch(value)
    return bool(_SECRET.search(name) or is_key)


def _hf_rest(source: str) -> str:
    rest = source.partition("://")[2].partition("?")[0]
    first, slash, others = rest.partition("/")
    return first.rpartition("@")[2] + slash + others
