"""Cores and memory that a process may use: affinity, quotas and limits of cgroups 1 and 2."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from components.common.host import (
    count_cores,
    count_visible_cores,
    describe_memory,
    find_free_memory,
    limit_memory,
)
from tests.processes import run_python

ROOT = Path(__file__).parents[2]
VISIBLE = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="affinity is Linux")
needs_two_cores = pytest.mark.skipif(VISIBLE < 2, reason="one core leaves nothing to take away")


def write(folder: Path, files: dict[str, str]) -> Path:
    """Write the files of cgroups, and which of them are this process's own; return the folder."""
    for name, text in {"own": "", **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def count(folder: Path, files: dict[str, str]) -> int:
    write(folder, files)
    return count_cores(folder, folder / "own")


def quota(share: float) -> dict[str, dict[str, str]]:
    """Return the files of a group whose quota is a share of one core, of version 2 and 1."""
    return {
        "v2": {"cpu.max": f"{share * 100_000:.0f} 100000\n"},
        "v1": {
            "cpu.cfs_quota_us": f"{share * 50_000:.0f}\n",
            "cpu.cfs_period_us": "50000\n",
        },
    }


def inside(group: str, files: dict[str, str]) -> dict[str, str]:
    return {f"{group}/{name}": text for name, text in files.items()}


@needs_linux
def test_affinity_counts_and_quota_cannot_exceed_it(tmp_path: Path) -> None:
    write(tmp_path, quota(64)["v2"])
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from components.common.host import count_cores, count_visible_cores\n"
        "os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})\n"
        "folder = Path(sys.argv[1])\n"
        "print(count_visible_cores(), count_cores(folder, folder / 'own'))"
    )
    assert run_python(code, tmp_path).split() == ["1", "1"]
    assert count_visible_cores() == VISIBLE


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, 1), (1.0, 1), (1.5, 2), (0.01, 1), (64.0, VISIBLE)]
)
def test_a_quota_is_rounded_up(tmp_path: Path, version: str, share: float, expected: int) -> None:
    top = "." if version == "v2" else "cpu"
    assert count(tmp_path, inside(top, quota(share)[version])) == min(expected, VISIBLE)


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"cpu.max": "max 100000\n"},
        {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"},
    ],
    ids=["nothing", "v2 max", "v1 none"],
)
def test_without_a_quota_it_is_the_affinity(tmp_path: Path, files: dict[str, str]) -> None:
    assert count(tmp_path, files) == VISIBLE


@needs_two_cores
@pytest.mark.parametrize(
    ("own", "group", "version"),
    [
        ("0::/kubepods/pod1/box\n", "kubepods/pod1/box", "v2"),
        ("0::/kubepods/pod1/box\n", "kubepods/pod1", "v2"),  # a parent's is tighter
        ("0::/kubepods/pod1/box\n", "kubepods", "v2"),
        ("4:memory:/box\n3:cpu,cpuacct:/docker/box\n", "cpu/docker/box", "v1"),
        ("4:memory:/box\n3:cpu,cpuacct:/docker/box\n", "cpu/docker", "v1"),
        ("3:cpuacct,cpu:/docker/box\n0::/other\n", "cpu/docker/box", "v1"),  # hybrid
        ("3:pids:/docker/box\n0::/docker/box\n", "unified/docker/box", "v2"),  # hybrid
        ("0::/../../kubepods/box\n", "kubepods/box", "v2"),
        ("0::/as/the/host/sees/it\n", ".", "v2"),  # a container finds its own folder alone
        ("3:cpu:/as/the/host/sees/it\n", "cpu", "v1"),
    ],
)
def test_the_tightest_of_nested_groups_counts(
    tmp_path: Path, own: str, group: str, version: str
) -> None:
    wide = inside("kubepods/pod1/box", quota(16)["v2"])
    wide |= inside("cpu/docker/box", quota(16)["v1"])
    assert count(tmp_path, {"own": own, **wide}) == VISIBLE
    assert count(tmp_path, {"own": own, **wide, **inside(group, quota(1)[version])}) == 1


@needs_two_cores
def test_groups_of_others_do_not_count(tmp_path: Path) -> None:
    files = {"own": "0::/mine\n3:memory:/theirs\n"}
    files |= inside("theirs", quota(1)["v2"]) | inside("cpu/theirs", quota(1)["v1"])
    assert count(tmp_path, files) == VISIBLE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "many\n",
        "100000\n",
        "-\n",
        "--5 100000\n",
        "1 2 3\n",
        "0 100000\n",
        "100000 0\n",
        "1e5 100000\n",
        "² 2\n",
        "9" * 5000 + " 1\n",
    ],
)
def test_garbled_files_set_no_limit(tmp_path: Path, text: str) -> None:
    files = {"cpu.max": text, "cpu/cpu.cfs_quota_us": text, "cpu/cpu.cfs_period_us": "100000 1\n"}
    files |= {"memory.max": text, "memory.current": "0 garbled\n"}
    assert count(tmp_path, files) == VISIBLE
    assert find_free_memory(tmp_path, tmp_path / "own") > 1_000_000


def test_files_that_cannot_be_read_set_no_limit(tmp_path: Path) -> None:
    for name in ("cpu.max", "memory.max"):
        (tmp_path / name).mkdir()
    for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us"):
        (tmp_path / "cpu" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "cpu" / name).write_bytes(b"\xff\xfe1")
    (tmp_path / "own").write_bytes(b"0::/\xff\n")
    assert count_cores(tmp_path, tmp_path / "own") == VISIBLE
    assert count_cores(tmp_path / "nowhere", tmp_path / "nowhere") == VISIBLE
    assert find_free_memory(tmp_path, tmp_path / "own") > 1_000_000


V1 = {"memory.limit_in_bytes": "900\n", "memory.usage_in_bytes": "200\n"}
V2 = {"memory.max": "1000\n", "memory.current": "700\n"}
STAT = "anon 5\ninactive_file 150\nactive_file 50\ntotal_inactive_file 20\ntotal_active_file 10\n"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (V2, 300),
        (V2 | {"memory.stat": STAT}, 500),
        (V2 | {"memory.stat": "inactive_file\nactive_file x\nworkingset inactive_file 7\n"}, 300),
        (V2 | {"memory.max": "500\n"}, 0),
        (inside("memory", V1), 700),
        (inside("memory", V1 | {"memory.stat": STAT}), 730),
        (inside("memory", V1 | {"memory.usage_in_bytes": "1000\n"}), 0),
        # Nested: the tightest; a parent's limit holds for all of its groups together.
        ({"own": "0::/pod/box\n"} | inside("pod/box", V2) | inside("pod", V2 | V1), 300),
        ({"own": "0::/pod/box\n"} | inside("pod/box", V2) | {"pod/memory.max": "max\n"}, 300),
        (
            {"own": "0::/pod/box\n", "pod/memory.max": "50\n", "pod/memory.current": "40\n"}
            | inside("pod/box", V2),
            10,
        ),
        ({"own": "9:cpu,memory:/docker/box\n"} | inside("memory/docker/box", V1), 700),
        # Hybrid: version 1 has the controller, or the folder of version 2 beside it has.
        ({"own": "9:memory:/box\n0::/box\n"} | inside("memory/box", V1), 700),
        ({"own": "9:cpu:/box\n0::/box\n"} | inside("unified/box", V2), 300),
    ],
)
def test_a_container_has_what_its_limit_leaves(
    tmp_path: Path, files: dict[str, str], expected: int
) -> None:
    write(tmp_path, files)
    assert find_free_memory(tmp_path, tmp_path / "own") == expected


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"memory.max": "max\n", "memory.current": "700\n"},
        {"memory.max": "1000\n"},  # nothing says what is used
        inside("memory", V1 | {"memory.limit_in_bytes": "9223372036854771712\n"}),  # none
        {"own": "0::/mine\n"} | inside("theirs", V2) | inside("cpu/theirs", V1),
    ],
)
def test_without_a_limit_it_is_the_machine_s(tmp_path: Path, files: dict[str, str]) -> None:
    write(tmp_path, files)
    free = find_free_memory(tmp_path, tmp_path / "own")
    assert 1_000_000 < free <= psutil.virtual_memory().total


@pytest.fixture
def limits() -> Iterator[Callable[[float], None]]:
    yield limit_memory
    limit_memory(None)


def test_a_person_may_allow_less(limits: Callable[[float], None]) -> None:
    """What the process has taken counts, of files that it reads nothing."""
    own = psutil.Process().memory_full_info()
    limits(0.001)
    assert find_free_memory() == 0
    assert describe_memory(0) == "0.0 GB of machine.memory_gb (0.001) are free"
    limits(own.uss / 1e9 + 1)
    assert find_free_memory() == pytest.approx(1e9, abs=2e8)
    limits(1e6)
    assert find_free_memory() <= psutil.virtual_memory().total
