"""Files and answers over http(s): parts of files, logins from ~/.netrc, no other scheme."""

from __future__ import annotations

import http.client
import io
import json
import netrc
import os
import re
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

from components.common.images.stores.transfer import (
    BusyError,
    ChangedError,
    Piece,
    RefusedError,
    Remote,
    describe,
    to_base64,
)
from components.common.settings.addresses import hide_secrets

TIMEOUT_SECONDS = 60.0  # without a byte from the server
# What may go away: overload, restarts of what stands behind. The others say something of the file.
PASSING = {408, 425, 429} | set(range(500, 600)) - {501, 505}
NEXT = re.compile(r'<([^>]+)>\s*;[^,]*rel="?next"?')  # RFC 8288


def find_web_file(address: str, timeout_seconds: float = TIMEOUT_SECONDS) -> Remote:
    """Return the file behind an http(s) address; nothing is asked yet."""
    name = hide_secrets(address)
    path = urllib.parse.unquote(name.rpartition("/")[2])
    return Remote(path, name, open_part(address, timeout_seconds))


def open_part(
    address: str,
    timeout_seconds: float = TIMEOUT_SECONDS,
    headers: Mapping[str, str] | None = None,
) -> Callable[[int, str], Piece]:
    """Return what opens a file from some byte on.

    Args:
        address: http or https.
        timeout_seconds: how long the server may be silent.
        headers: for this server alone, not for one that it sends us on to.
    """

    def open_it(start: int, mark: str) -> Piece:
        # If-Range: a server whose file is another by now sends all of it, not the rest.
        part = {"Range": f"bytes={start}-", "If-Range": mark} if start else {}
        try:
            answer = _ask(address, timeout_seconds, part, headers or {})
        except urllib.error.HTTPError as error:
            if error.code == 416 and start:
                return _read_416(error, start, mark)
            raise _judge(error) from None
        return _read_part(answer, start, mark)

    return open_it


def read_json(address: str, headers: Mapping[str, str]) -> tuple[Any, str]:
    """Return an answer in JSON, and the address of its next page; empty: there is none."""
    try:
        with _ask(address, TIMEOUT_SECONDS, {}, headers) as answer:
            found = NEXT.search(answer.headers.get("Link") or "")
            following = urllib.parse.urljoin(address, found[1]) if found else ""
            return json.load(answer), following
    except urllib.error.HTTPError as error:
        raise _judge(error) from None
    except (ValueError, RecursionError) as error:
        raise BusyError(f"its answer is no JSON: {error}") from None
    except http.client.HTTPException as error:
        raise ConnectionError(describe(error)) from None


def _ask(
    address: str, timeout_seconds: float, shown: Mapping[str, str], own: Mapping[str, str]
) -> Any:
    """Send a request, follow redirects; http and https alone."""
    opener = urllib.request.OpenerDirector()
    for handler in (  # not those for file, ftp and data, which a redirect could name
        urllib.request.ProxyHandler,
        urllib.request.UnknownHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        _Redirect,
        urllib.request.HTTPErrorProcessor,
    ):
        opener.add_handler(handler())
    try:
        request = urllib.request.Request(_quote(address))  # noqa: S310 - see the handlers
        if not request.host:
            raise ValueError("no host in it")
        for name, value in {"User-Agent": "darkroom", **shown}.items():
            request.add_header(name, value)
        for name, value in {**_read_login(request.host), **own}.items():
            request.add_unredirected_header(name, value)
        return opener.open(request, timeout=timeout_seconds)
    except urllib.error.HTTPError:
        raise
    except (ValueError, http.client.InvalidURL) as error:
        raise RefusedError(f"download failed ({error}); check the address") from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise RefusedError(
                f"its certificate cannot be trusted ({error.reason.verify_message}); check the "
                "address, or name your certificates in SSL_CERT_FILE"
            ) from None
        if "unknown url type" in str(error.reason):
            raise RefusedError(
                f"download failed ({error.reason}); only http and https are followed"
            ) from None
        raise


class _Redirect(urllib.request.HTTPRedirectHandler):
    """Takes a login along to another address of the same server, and to no other."""

    def redirect_request(self, req: Any, *others: Any) -> Any:
        new = super().redirect_request(req, *others)
        login = req.unredirected_hdrs.get("Authorization")
        if new is not None and login and (new.type, new.host) == (req.type, req.host):
            new.add_unredirected_header("Authorization", login)
        return new


def _quote(address: str) -> str:
    """Return an address in ASCII: umlauts and spaces in its path written as %C3%A4 and %20."""
    parts = urllib.parse.urlsplit(address)
    host = parts.netloc if parts.netloc.isascii() else parts.netloc.encode("idna").decode()
    safe = "%/:=&?~+!$,;'@()*[]"
    path, query = (urllib.parse.quote(text, safe=safe) for text in (parts.path, parts.query))
    return urllib.parse.urlunsplit((parts.scheme, host, path, query, ""))


def _read_login(host: str) -> dict[str, str]:
    """Return the login of a host in ~/.netrc, or the file that NETRC names, as curl sends it."""
    try:
        found = netrc.netrc(os.environ.get("NETRC")).hosts.get(host.rpartition(":")[0] or host)
    except (OSError, netrc.NetrcParseError):
        return {}
    if found is None:
        return {}
    return {"Authorization": f"Basic {to_base64(f'{found[0]}:{found[2]}')}"}


def _read_part(answer: Any, start: int, mark: str) -> Piece:
    headers = answer.headers
    tag = headers.get("ETag") or ""
    # A weak tag names a meaning, not bytes, and may not stand in If-Range (RFC 9110, 13.1.5).
    now = tag if tag.startswith('"') else headers.get("Last-Modified") or ""
    length = headers.get("Content-Length") or ""
    size = int(length) if length.isdecimal() else None
    if answer.status != 206:
        return Piece(_Whole(answer), 0, size, now)
    first, total = _read_range(headers.get("Content-Range") or "")
    if first != start or (now and now != mark):
        answer.close()
        raise ChangedError
    end = total if total is not None else size and start + size
    return Piece(_Whole(answer), start, end, mark)


def _read_range(text: str) -> tuple[int | None, int | None]:
    """Return the first byte and the total of `bytes 5-9/10`; None where it is not told."""
    found = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", text.strip())
    if not found:
        return None, None
    first, total = found.groups()
    return int(first) if first else None, int(total) if total.isdecimal() else None


def _read_416(error: urllib.error.HTTPError, start: int, mark: str) -> Piece:
    """Return nothing more where all bytes are here already; else the file has become shorter."""
    _, total = _read_range(error.headers.get("Content-Range") or "")
    error.close()
    if total != start:
        raise ChangedError from None
    return Piece(io.BytesIO(), start, start, mark)


class _Whole:
    """The body of an answer; that it ends too early is an error of the network like others."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def read(self, count: int) -> bytes:
        try:
            return bytes(self._answer.read(count))
        except http.client.HTTPException as error:
            raise ConnectionError(describe(error)) from None

    def close(self) -> None:
        self._answer.close()


def _judge(error: urllib.error.HTTPError) -> Exception:
    """Return what an answer of 300 and more means for the next try."""
    error.close()
    words = f"the server answered {error.code} {error.reason}"
    if error.code in PASSING:
        after = error.headers.get("Retry-After") or ""
        return BusyError(words, float(after) if after.isdecimal() else None)
    if error.code in (401, 403, 407):
        words += "; if it wants a login, put that into ~/.netrc"
    return RefusedError(f"{words}; check the address")
