"""The ledger for people, and the walk from any origin to versions and back."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from components.common.errors import DarkroomError
from components.common.terminal import show_plainly
from components.common.tracking.tags import PREFIX
from components.promote.registry.book import Book, Entry
from components.promote.registry.ledger import Ledger
from components.promote.registry.registry import Registry
from components.promote.registry.strays import list_findings

MIN_PREFIX = 4  # characters: shorter ones fit by accident


def show_history(registry: Registry, query: str | None, as_json: bool) -> None:
    """Print the ledger and the versions that a query means; exit with 1 if something is amiss.

    Args:
        registry: of the model.
        query: an alias, a version, or the beginning of any tag's value; None: everything.
        as_json: print JSON.
    """
    book = Ledger(registry.mlflow, registry.name).read()
    there = list(registry.list_versions())
    findings = list(list_findings(registry, book, there))
    versions = find_versions(registry, query, there)
    if query and not versions:
        raise DarkroomError(
            f"{registry.name}: no alias, version, commit, digest or run is or begins with {query}"
        )
    numbers = {version["version"] for version in versions}
    entries = [e for e in book.entries if not query or {e.before, e.after} & numbers]
    if as_json:
        found = {
            "model": registry.name,
            "ledger": [asdict(entry) for entry in entries],
            "breaks": book.breaks,
            "findings": findings,
            "versions": versions,
        }
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        for line in describe(registry.name, book, entries, versions, findings):
            print(show_plainly(line))
    if findings:
        sys.exit(1)


def find_versions(
    registry: Registry, query: str | None, there: Iterable[Any]
) -> list[dict[str, Any]]:
    """Return the versions that a query means, with all that they come from.

    Args:
        registry: of the model.
        query: as :func:`show_history` takes it.
        there: every version, in the order of the answer.
    """
    aliases = registry.client.get_registered_model(registry.name).aliases
    wanted = str(aliases.get(query, query)) if query else None
    found = []
    for version in there:
        origins = {
            key.removeprefix(PREFIX): value
            for key, value in sorted(version.tags.items())
            if key.startswith((PREFIX, "metrics."))
        }
        if version.run_id:
            origins.setdefault("run_id", version.run_id)
        number = str(version.version)
        if wanted is None or number == wanted or _is_origin(origins, wanted):
            found.append(
                {
                    "version": number,
                    "aliases": sorted(name for name, v in aliases.items() if str(v) == number),
                    "created": int(version.creation_timestamp),
                    "origins": origins,
                }
            )
    return found


def describe(
    name: str,
    book: Book,
    entries: list[Entry],
    versions: list[dict[str, Any]],
    findings: list[str],
) -> Iterator[str]:
    """Yield the lines of the history."""
    yield f"{name}: {len(book.entries)} changes of aliases"
    for entry in entries:
        late = "" if entry.number in book.done else "  (alias not moved yet: run promote again)"
        is_last = book.find_last(entry.alias) is entry
        yield (
            f"{entry.number:>4}  {entry.time}  {entry.action:<9} {entry.alias} "
            f"{entry.before or '–'} → {entry.after or '–'}  {entry.who}: {entry.why}"
            f"{late if is_last else ''}"
        )
    for text in findings:
        yield f"  ✗ {text}"
    if entries and not findings:
        yield "  ✓ the chain of the ledger holds, and MLflow is as it says"
    for version in versions:
        yield ""
        names = "".join(f" @{alias}" for alias in version["aliases"])
        yield f"version {version['version']}{names}"
        for key, value in version["origins"].items():
            yield f"  {key:<18} {value}"


def _is_origin(origins: dict[str, str], query: str) -> bool:
    return len(query) >= MIN_PREFIX and any(value.startswith(query) for value in origins.values())
