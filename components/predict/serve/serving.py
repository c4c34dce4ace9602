"""Start the server on a port, until it is stopped; what is being answered then is answered."""

from __future__ import annotations

import errno
import os
import signal
import socket
import sys
from pathlib import Path

from components.common.errors import DarkroomError
from components.predict.serve.champion import Champion, tell
from components.predict.spec import Serve

MAX_CONNECTIONS = 512
LAST_PORT = 65_535
STOP_SECONDS = 30  # what is being answered when it is stopped has so long


def serve(
    model: str,
    settings: Serve,
    *,
    host: str,
    port: int,
    name: str = "",
    log: Path | None = None,
    page: bool = False,
) -> None:
    """Serve a model until SIGTERM or Ctrl-C.

    Args:
        model: `models:/NAME@ALIAS`, `models:/NAME/VERSION`, or the path of a model.keras.
        settings: limits.
        host: address to listen on; 127.0.0.1 is this machine alone.
        port: 0: any that is free.
        name: by which clients call the model; by default that of the registry.
        log: file for digests and answers; None: none is written.
        page: with the page for people at `/`.

    Raises:
        DarkroomError: if the port is taken, or there is no such model.
    """
    with _listen(host, port) as listener:
        # Only now, since it costs seconds: a port that is taken is told at once.
        import uvicorn

        from components.predict.serve.app import Service, create_app
        from components.predict.serve.page import create_routes
        from components.predict.serve.requestlog import RequestLog

        written = RequestLog(log, settings.log_mb) if log else None
        champion = Champion(model, settings, name)
        service = Service(champion, settings, written)
        app = create_app(service, create_routes(service) if page else [])
        address = f"http://{_show(host)}:{listener.getsockname()[1]}"
        words = f"{address} {'is the page ' if page else ''}(Ctrl-C stops it)"

        class Server(uvicorn.Server):
            """Says its address when it listens, not before."""

            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets)
                tell(words)

        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_graceful_shutdown=STOP_SECONDS,
            server_header=False,
        )
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # uvicorn raises it anew at its end
        try:
            Server(config).run(sockets=[listener])
        finally:
            champion.close()
            if written:
                written.close()


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port <= LAST_PORT:
        raise DarkroomError(f"--port {port}: legal are 0 to {LAST_PORT}")
    try:
        family, *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # Said to be TCP, or asyncio leaves Nagle's algorithm on, and each answer waits 40 ms.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))  # it listens when the model is loaded
    except OSError as error:
        number = error.errno or 0
        why = os.strerror(number) if number in errno.errorcode else str(error)
        raise DarkroomError(
            f"--host {host} --port {port}: {why}; give another, such as --port {port + 1}"
        ) from None
    return listener


def _show(host: str) -> str:
    return "127.0.0.1" if host in ("0.0.0.0", "") else f"[{host}]" if ":" in host else host  # noqa: S104
