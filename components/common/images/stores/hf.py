"""Files of dataset repositories on Hugging Face, by its web API: no client is needed.

`hf://datasets/OWNER/NAME`, with `@REVISION` and `/FOLDER` or `/FILE` behind, as its own libraries
write it; `hf://OWNER/NAME` means the same. HF_TOKEN opens private ones, HF_ENDPOINT names a mirror.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from components.common.errors import DarkroomError
from components.common.images.stores.listing import Entry, Listing
from components.common.images.stores.transfer import Remote, parse_digest, retry
from components.common.images.stores.web import TIMEOUT_SECONDS, open_part, read_json

ADDRESS = re.compile(
    r"hf://(?:datasets/)?(?P<repo>[\w.-]+/[\w.-]+)"
    r"(?:@(?P<revision>refs/(?:convert|pr)/[^/]+|[^/]+))?(?:/(?P<path>.*))?"
)


def list_files(source: str, setting: str) -> Listing:
    """Return the file that an address names, or those below it, as of one commit."""
    found = ADDRESS.fullmatch(source)
    if not found or re.match(r"hf://(models|spaces|buckets)/", source):
        raise DarkroomError(
            f"{setting}: {source} is no dataset; legal is hf://datasets/OWNER/NAME, with @REVISION "
            "and /FOLDER or /FILE behind where wanted"
        )
    repo, path = found["repo"], (found["path"] or "").strip("/")
    revision = found["revision"] or "main"
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    token = _read_token()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    api = f"{endpoint}/api/datasets/{repo}"

    def ask(address: str) -> tuple[Any, str]:
        try:
            return retry(lambda: read_json(address, headers), source)
        except DarkroomError as error:
            raise DarkroomError(
                f"{setting}: {error}. Is it {repo}, revision {revision}, path {path or '/'}? A "
                "private or gated one wants HF_TOKEN, and its conditions accepted on its page"
            ) from None

    # One commit, so that all files are of one state, however long they take.
    commit = str(ask(f"{api}/revision/{quote(revision, safe='')}")[0]["sha"])
    resolve = f"{endpoint}/datasets/{repo}/resolve/{commit}"
    describe = functools.partial(_describe, resolve, headers, source)
    tree = f"{api}/tree/{commit}"
    note = "" if revision == commit else f"{revision} is commit {commit}"
    if path:
        parent, _, last = path.rpartition("/")
        entry = next((e for e in _list(ask, tree, parent, False) if e["path"] == path), None)
        if entry is None:
            raise DarkroomError(f"{setting}: {source}: {repo} has no {path}; check {setting}")
        if entry["type"] == "file":
            return Listing([describe(entry, last)], is_file=True, note=note)
    prefix = f"{path}/" if path else ""
    files = [
        describe(entry, entry["path"].removeprefix(prefix))
        for entry in _list(ask, tree, path, True)
        if entry["type"] == "file"
    ]
    pinned = f"hf://datasets/{repo}@{commit}" + (f"/{path}" if path else "")
    return Listing(files, is_file=False, note=note, source=pinned)


def open_entries(source: str, entries: Iterable[Entry]) -> list[Remote]:
    """Return the files of a listing, whose source names a commit."""
    found = ADDRESS.fullmatch(source)
    assert found is not None, source
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    token = _read_token()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    resolve = f"{endpoint}/datasets/{found['repo']}/resolve/{found['revision']}"
    prefix = f"{found['path']}/" if found["path"] else ""
    opened = []
    for entry in entries:
        kind, value = parse_digest(entry.digest)
        part = open_part(f"{resolve}/{quote(prefix + entry.key)}", TIMEOUT_SECONDS, headers)
        digest = (kind, value) if kind == "sha256" else ("", "")
        opened.append(Remote(entry.path, f"{source}/{entry.key}", part, entry.bytes, digest))
    return opened


def _list(ask: Any, tree: str, path: str, recursive: bool) -> list[dict[str, Any]]:
    """Return the entries of a folder, page by page."""
    folder = f"/{quote(path)}" if path else ""
    address = f"{tree}{folder}?recursive={str(recursive).lower()}&expand=false"
    entries: list[dict[str, Any]] = []
    while address:
        page, address = ask(address)
        entries += page
    return entries


def _describe(
    resolve: str, headers: dict[str, str], source: str, entry: dict[str, Any], path: str
) -> Remote:
    opened = open_part(f"{resolve}/{quote(entry['path'])}", TIMEOUT_SECONDS, headers)
    digest = str((entry.get("lfs") or {}).get("oid") or "").removeprefix("sha256:")
    told = ("sha256", digest) if digest else ("", "")
    where = source if source.endswith(f"/{path}") else f"{source.rstrip('/')}/{path}"
    mark = "" if digest else str(entry.get("oid") or "")  # of git, which tells contents apart
    return Remote(path, where, opened, entry.get("size"), told, mark=mark)


def _read_token() -> str:
    """Return the token of the environment, or of `hf auth login`."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        if os.environ.get(name):
            return os.environ[name].strip()
    home = os.environ.get("HF_HOME") or "~/.cache/huggingface"
    try:
        return (Path(home).expanduser() / "token").read_text(encoding="utf-8").strip()
    except OSError:
        return ""
