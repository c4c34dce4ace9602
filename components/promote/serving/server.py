"""A fresh process that serves a registered model as `mlflow models serve` does.

Run as a file, with nothing of ours on its path: its argument is the process that starts it, and it
ends with that one, also while it imports. It takes the model's address from stdin and prints its
port. What is slow to import is imported before the address comes.
"""

import contextlib
import io
import os
import socket
import sys
import threading
import time


def main() -> None:
    """Serve as long as the process lives that started this one."""
    threading.Thread(target=_leave_with, args=[int(sys.argv[1])], daemon=True).start()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import mlflow.pyfunc.scoring_server as scoring
    import uvicorn

    if os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow":
        with contextlib.suppress(ImportError), contextlib.redirect_stderr(io.StringIO()):
            import tensorflow  # noqa: F401 - the model will want it
    model = sys.stdin.readline().strip()
    if not model:
        return
    os.environ[scoring._SERVER_MODEL_PATH] = model
    # Said to be TCP, or asyncio leaves Nagle's algorithm on, and each answer waits 40 ms.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        print(listener.getsockname()[1], flush=True)
        config = uvicorn.Config("mlflow.pyfunc.scoring_server.app:app", log_level="error")
        uvicorn.Server(config).run(sockets=[listener])


def _leave_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(0)


if __name__ == "__main__":
    main()
