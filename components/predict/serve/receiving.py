"""A request's body, as far as there is room for it: no more is ever held than the limits say."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from starlette.requests import Request

from components.predict.serve.bodies import RefusedError
from components.predict.spec import Serve

MB = 1_000_000
DRAINED = 8  # times the limit: who sends more is cut off, and may see that rather than the reason


class Room:
    """Bytes of the requests that are being answered; used by the event loop alone."""

    def __init__(self, capacity: float) -> None:
        """Nothing is held yet."""
        self._capacity, self._held = capacity, 0

    @contextmanager
    def holding(self) -> Iterator[Share]:
        """Yield what one request holds; it is given back at the end."""
        share = Share(self)
        try:
            yield share
        finally:
            self._held -= share.bytes

    def take(self, count: int) -> None:
        """Hold more bytes, or raise RefusedError where there is no room."""
        if self._held + count > self._capacity:
            raise RefusedError(503, "too much is being answered at this moment; try again")
        self._held += count


class Share:
    """What one request holds of a Room."""

    def __init__(self, room: Room) -> None:
        """Nothing yet."""
        self._room, self.bytes = room, 0

    def grow(self, count: int) -> None:
        """Hold more bytes, or raise RefusedError where there is no room."""
        self._room.take(count)
        self.bytes += count


async def receive(request: Request, share: Share, settings: Serve) -> bytearray:
    """Return the body of a request.

    Raises:
        RefusedError: if it is too large or too slow, or comes in a form that is not unpacked.
        starlette.requests.ClientDisconnect: if the client left.
    """
    limit = round(settings.max_request_mb * MB)
    try:
        async with asyncio.timeout(settings.receive_seconds):
            return await _read(request, share, limit)
    except TimeoutError:
        raise RefusedError(
            408, f"the request did not arrive within {settings.receive_seconds:g} s"
        ) from None
    except RefusedError:
        await _drain(request, limit, settings.receive_seconds)
        raise


async def _read(request: Request, share: Share, limit: int) -> bytearray:
    if request.headers.get("content-encoding", "identity") != "identity":
        raise RefusedError(415, "a compressed request is not taken: pictures are compressed")
    too_large = RefusedError(413, f"a request of more than {limit / MB:g} MB")
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        if len(body) + len(chunk) > limit:
            raise too_large
        share.grow(len(chunk))
        body += chunk
    return body


async def _drain(request: Request, limit: int, seconds: float) -> None:
    """Read on and forget, so that the client, which is still sending, gets to read why not."""
    if request.headers.get("expect"):  # it asks before it sends
        return
    left = DRAINED * limit
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while left > 0:
                message = await request.receive()
                if message["type"] != "http.request" or not message.get("more_body"):
                    return
                left -= len(message.get("body", b""))
