"""TensorFlow's threads: as many as a quota pays for, and untouched where none binds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from components.common.host import count_cores, count_visible_cores

ROOT = Path(__file__).parents[2]
# What TensorFlow was told, which threads the kernel shows, and that a started one is left alone.
CODE = """
import sys
from pathlib import Path
from components.common.backend import limit_threads, tf

folder = Path(sys.argv[1])
limit_threads(folder, folder / "own")
told = tf.config.threading
tf.ones((300, 300)) @ tf.ones((300, 300))
names = [task.read_text().strip() for task in Path("/proc/self/task").glob("*/comm")]
print(told.get_intra_op_parallelism_threads(), told.get_inter_op_parallelism_threads())
print(names.count("tf_Compute"))
(folder / "cpu.max").write_text("1000 100000")
limit_threads(folder, folder / "own")
"""


def start(folder: Path) -> list[int]:
    """Start TensorFlow in a process of its own; return its settings and its threads."""
    (folder / "own").touch()
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [int(word) for word in done.stdout.split()]


@pytest.mark.skipif(sys.platform != "linux", reason="quotas are Linux")
@pytest.mark.skipif(count_visible_cores() < 2, reason="one core leaves nothing to take away")
def test_a_quota_limits_the_threads(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("90000 100000\n")
    assert start(tmp_path) == [1, 1, 1]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="quotas are Linux")
def test_where_none_binds_nothing_is_set(tmp_path: Path) -> None:
    cores = count_cores()  # of the machine that runs the tests
    told = 0 if cores == len(os.sched_getaffinity(0)) else cores
    assert start(tmp_path) == [told, told, cores]


def test_too_few_addresses_are_told_before_tensorflow_dies_of_them() -> None:
    """Under `ulimit -v` it ended in a wall of C++, or hung."""
    code = (
        "import resource\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2 << 30, resource.RLIM_INFINITY))\n"
        "from components.common.terminal import exit_on_error\n"
        "with exit_on_error():\n"
        "    import components.common.backend\n"
    )
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: this process may have 2.1 GB of addresses")
    assert done.stderr.count("\n") == 1
