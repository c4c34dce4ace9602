"""A fresh process that serves a registered model as `mlflow models serve` does.

Run as a file, with nothing of ours on its path: it takes the model's address from stdin, prints its
port, and ends with whoever started it. What is slow to import is imported before the address comes.
"""

import contextlib
import io
import os
import socket
import sys
import threading


def main() -> None:
    """Serve until stdin is closed."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import mlflow.pyfunc.scoring_server as scoring
    import uvicorn

    if os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow":
        with contextlib.suppress(ImportError), contextlib.redirect_stderr(io.StringIO()):
            import tensorflow  # noqa: F401 - the model will want it
    model = sys.stdin.readline().strip()
    if not model:
        return
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    os.environ[scoring._SERVER_MODEL_PATH] = model
    # Said to be TCP, or asyncio leaves Nagle's algorithm on, and each answer waits 40 ms.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        print(listener.getsockname()[1], flush=True)
        config = uvicorn.Config("mlflow.pyfunc.scoring_server.app:app", log_level="error")
        uvicorn.Server(config).run(sockets=[listener])


def _leave_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
