"""Import Keras on its backend, without the wall of start-up messages.

Import `keras` from here, inside the function that needs it: it costs seconds.
"""

from __future__ import annotations

import logging
import os
import resource
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from components.common.errors import DarkroomError
from components.common.host import CGROUP, OWN_GROUPS, count_cores, count_visible_cores

# Both must be set before the first import of TensorFlow.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # errors that matter still raise
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
logging.getLogger("absl").setLevel(logging.ERROR)


# Bytes. On two cores it took 2.5 GB; with 2 GiB it died while it made its threads, and hung.
LEAST_ADDRESSES = 3 << 30


@contextmanager
def _keep_quiet() -> Iterator[None]:
    """Keep what C++ writes to stderr off the terminal, unless the body raises.

    TensorFlow's libraries greet while they are loaded, before they look at any log level.
    """
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as heard:
        os.dup2(heard.fileno(), 2)
        try:
            yield
        except BaseException:  # whatever it is, what was kept off the terminal may say why
            heard.seek(0)
            os.write(stderr, heard.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def check_address_space() -> None:
    """Refuse to load TensorFlow where it would die within something, or hang, without our word.

    Raises:
        DarkroomError: if this process may not have as many addresses as TensorFlow takes.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < LEAST_ADDRESSES:
        raise DarkroomError(
            f"this process may have {limit / 1e9:.1f} GB of addresses, and TensorFlow alone takes "
            "2.5, most of which it never uses; allow more: ulimit -v unlimited (memory itself is "
            "limited by a container)"
        )


check_address_space()
with _keep_quiet():
    import keras
    import tensorflow as tf


def limit_threads(cgroup: Path = CGROUP, own_groups: Path = OWN_GROUPS) -> None:
    """Let TensorFlow have as many threads as a container's quota pays for.

    By itself it takes one a core that it sees, and the kernel stops them all when the quota is
    spent. Where no quota binds nothing is set, so that nothing changes.

    Args:
        cgroup: where the quotas stand.
        own_groups: the file that names the groups of this process.
    """
    cores = count_cores(cgroup, own_groups)
    if cores < count_visible_cores():
        with suppress(RuntimeError):  # a program that uses TensorFlow already keeps its threads
            tf.config.threading.set_intra_op_parallelism_threads(cores)
            tf.config.threading.set_inter_op_parallelism_threads(cores)


limit_threads()
if keras.backend.backend() != "tensorflow":
    # It makes batches only, and would take the whole memory of every GPU for itself.
    tf.config.set_visible_devices([], "GPU")
tf.get_logger().setLevel(logging.ERROR)  # it complains of graphs made anew for small data sets

__all__ = ["keras", "tf"]
