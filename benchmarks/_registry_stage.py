"""What a simulated registry stands on: power that is cut, a served model that answers, silence."""

from __future__ import annotations

import contextlib
import functools
import io
from collections.abc import Callable, Iterator
from typing import Any

from components.common.artifacts.sample import Sample
from components.promote import people
from components.promote.registry.registry import Registry
from components.promote.serving.check import Served

FIT = Served("", 1, 0.0, 1.0, 1.0, 1.0)
# Calls that change something: before each of them the power may go.
WRITES = (
    "log_param",
    "set_registered_model_alias",
    "set_registered_model_tag",
    "set_model_version_tag",
    "create_run",
    "create_experiment",
    "create_model_version",
    "delete_registered_model_alias",
    "rename_registered_model",
    "restore_run",
)


class PowerCutError(BaseException):
    """The process ends here."""


@contextlib.contextmanager
def cutting(mlflow: Any, left: int) -> Iterator[None]:
    """Cut the power before one of the next writes.

    Args:
        mlflow: the module.
        left: which of them; where there are fewer, none.
    """
    kind = mlflow.MlflowClient
    kept = {name: getattr(kind, name) for name in WRITES}
    count = 0

    def cut(name: str) -> Callable[..., Any]:
        @functools.wraps(kept[name])
        def act(*arguments: Any, **options: Any) -> Any:
            nonlocal count
            count += 1
            if count == left:
                raise PowerCutError
            return kept[name](*arguments, **options)

        return act

    try:
        for name in WRITES:
            setattr(kind, name, cut(name))
        yield
    finally:
        for name, own in kept.items():
            setattr(kind, name, own)


@contextlib.contextmanager
def always_fit() -> Iterator[None]:
    """Let the served model answer as measured, without a process of its own."""
    kept = people.starting_server, Registry.check_served, Registry.read_sample

    @contextlib.contextmanager
    def starting(uri: str) -> Iterator[None]:
        yield None

    try:
        people.starting_server = starting  # type: ignore[assignment]
        Registry.check_served = lambda *_: FIT  # type: ignore[method-assign, assignment]
        Registry.read_sample = lambda *_: Sample()  # type: ignore[method-assign, assignment]
        yield
    finally:
        people.starting_server, Registry.check_served, Registry.read_sample = kept  # type: ignore[method-assign]


def silence() -> contextlib.redirect_stdout[io.StringIO]:
    """Swallow what the commands say."""
    return contextlib.redirect_stdout(io.StringIO())
