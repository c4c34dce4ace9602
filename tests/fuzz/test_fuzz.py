"""No parser of ours breaks on what it may be given; hours of it by `make fuzz`."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.common.errors import DarkroomError
from tests.fuzz import trying
from tests.fuzz.mutations import mutate
from tests.fuzz.parser import Parser
from tests.fuzz.parsers import PARSERS

# The same inputs each time: what is new is for `make fuzz` to find, not for whoever changes a page.
QUICK = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
    derandomize=True,
)


@pytest.mark.parametrize("name", PARSERS)
def test_what_broke_it_once_is_read_or_refused(name: str) -> None:
    for data in trying.list_seeds(name):
        trying.try_input(name, data, measured=True)


@pytest.mark.parametrize("name", PARSERS)
@pytest.mark.parametrize(
    "data", [b"[" * 60_000, b'{"a":' * 12_000, b"9" * 60_000], ids=["list", "object", "digits"]
)
def test_json_too_deep_or_too_long_is_refused(name: str, data: bytes) -> None:
    """Python's reader of JSON raises what is no ValueError at the first two."""
    trying.try_input(name, data, measured=True)


@pytest.mark.parametrize("name", PARSERS)
def test_any_bytes_are_read_or_refused(name: str) -> None:
    seeds = trying.list_seeds(name)

    @QUICK
    @given(st.one_of(st.binary(max_size=200), st.randoms(use_true_random=False)))
    def run(drawn: bytes | random.Random) -> None:
        data = drawn if isinstance(drawn, bytes) else mutate(drawn.choice(seeds), seeds, drawn)
        trying.try_input(name, data)

    run()


def test_a_parser_that_breaks_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(data: bytes) -> None:
        raise DarkroomError("no")

    monkeypatch.setitem(PARSERS, "fine", Parser(refuse, lambda: [b""]))
    trying.try_input("fine", b"", measured=True)
    monkeypatch.setitem(PARSERS, "broken", Parser(lambda data: data[5], lambda: [b""]))
    with pytest.raises(IndexError):
        trying.try_input("broken", b"")
    monkeypatch.setitem(PARSERS, "large", Parser(lambda data: bytes(10**9), lambda: [b""]))
    with pytest.raises(AssertionError, match="it took 1000 MB"):
        trying.try_input("large", b"", measured=True)
    monkeypatch.setattr(trying, "SLOW_SECONDS", 1)
    monkeypatch.setitem(PARSERS, "slow", Parser(lambda data: spin(), lambda: [b""]))
    with pytest.raises(trying.SlowError):
        trying.try_input("slow", b"")


def spin() -> None:
    while True:
        pass
