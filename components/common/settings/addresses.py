"""Addresses in settings: what may stand in them, and how a person sees them."""

from __future__ import annotations

import re
import urllib.parse

from components.common.errors import DarkroomError

SCHEMES = ("http", "https", "s3", "gs", "hf")
# Names of parameters whose values let somebody in: of presigned addresses, of APIs.
_SECRET = re.compile(
    r"token|secret|passw|signature|credential|api_?key|access_?key|accessid|^(sig|auth|pwd|rlkey)$",
    re.IGNORECASE,
)
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
        if _SECRET.search(name) or (name.lower() == "key" and _LOOKS_LIKE_KEY.fullmatch(value)):
            return f"a secret in its parameter `{name}`"
    return ""


def _hf_rest(source: str) -> str:
    rest = source.partition("://")[2].partition("?")[0]
    first, slash, others = rest.partition("/")
    return first.rpartition("@")[2] + slash + others
