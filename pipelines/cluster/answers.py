"""What comes back must be KFP's: kfp's client takes a login page for an empty answer."""

from __future__ import annotations

import json
from typing import Any

from components.common.errors import DarkroomError


def read_answer(name: str, data: bytes | str) -> dict[str, Any]:
    """Return what KFP answered; raise DarkroomError if that is no answer of KFP's.

    A proxy that wants a login answers with its page and calls that a success, and so does whatever
    else is behind a wrong port: kfp's client would make an empty run of it.

    Args:
        name: address of KFP.
        data: body of an answer that was no error.
    """
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        text = (data if isinstance(data, str) else data.decode("utf-8", "replace")).lstrip()
        raise describe_stranger(
            name,
            "with a page for people"
            if text.startswith("<")
            else "with JSON that breaks off or is none"
            if text
            else "with nothing",
        ) from None
    if not isinstance(found, dict):
        raise describe_stranger(name, f"with {' '.join(str(found).split())[:60]}")
    return found


def check_answers(client: Any, name: str) -> None:
    """Let no answer pass that is none of KFP's: kfp's client takes any, and fills in nothing."""
    api = client._run_api.api_client
    read, send = api.deserialize, api.rest_client.request

    def request(*args: Any, **kwargs: Any) -> Any:
        found = send(*args, **kwargs)
        read_answer(name, found.data)
        return found

    def deserialize(response: Any, response_type: Any) -> Any:
        try:
            return read(response, response_type)
        # The client raises whatever it stumbles over, where a list is a number or a text a list.
        except Exception as error:
            raise describe_stranger(name, f"with other fields ({error})") from None

    api.rest_client.request, api.deserialize = request, deserialize


def describe_stranger(name: str, how: str) -> DarkroomError:
    """Return that what answers is not KFP, and what it may be.

    Args:
        name: address of KFP.
        how: it answers.
    """
    return DarkroomError(
        f"{name} answers, but not as KFP's API does: {how}. Is it KFP's address, and does it want "
        "a login? Then set KFP_TOKEN to a token, or go by a port-forward (docs/kubeflow.md)"
    )
