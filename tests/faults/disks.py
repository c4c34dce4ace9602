"""Faults of where is written: full, a quota, no home, no place for temporary files."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.project import measure_kb, start
from tests.faults.trial import NotTried, Trial


@contextmanager
def lying_on(trial: Trial, *mount: str) -> Iterator[Path]:
    """Let the project lie on a disk of its own while the body runs; it comes back as it is then."""
    kept, disk = trial.folder.with_name(f"{trial.folder.name}.kept"), trial.folder
    disk.rename(kept)
    disk.mkdir()
    if subprocess.run([*mount, str(disk)], capture_output=True, check=False).returncode:
        disk.rmdir()
        kept.rename(disk)
        raise NotTried("no such disk can be mounted here")
    try:
        shutil.copytree(kept, disk, symlinks=True, dirs_exist_ok=True)
        yield disk
        shutil.rmtree(disk / "lost+found", ignore_errors=True)
        shutil.rmtree(kept)
        shutil.copytree(disk, kept, symlinks=True)  # as a larger disk would hold it
    finally:
        subprocess.run(["umount", str(disk)], check=True)
        disk.rmdir()
        kept.rename(disk)


def fill_disk(trial: Trial) -> list[int]:
    """Let the project lie on a disk that holds a part of what the room writes; then enlarge it."""
    grows_kb = trial.line.grows_kb[trial.stage.name]
    size_kb = measure_kb(trial.folder) + int(grows_kb * trial.dice.uniform(0.02, 0.98))
    with lying_on(trial, "mount", "-t", "tmpfs", "-o", f"size={size_kb}k", "tmpfs"):
        return [trial.wait(trial.start())]


def exceed_quota(trial: Trial) -> list[int]:
    """Let the share of the disk that the project may have end within what the room writes."""
    if not shutil.which("btrfs"):
        raise NotTried("there is no btrfs here, a file system with quotas that bind root as well")
    image = Path(f"{trial.folder}.disk")
    with image.open("wb") as stream:
        stream.truncate(512 << 20)
    subprocess.run(["mkfs.btrfs", "--quiet", str(image)], check=True)
    grows_kb = trial.line.grows_kb[trial.stage.name]
    try:
        with lying_on(trial, "mount", "-o", "loop", str(image)) as disk:
            left_kb = int(grows_kb * trial.dice.uniform(0.02, 0.98))
            allowed = f"{measure_kb(disk) + left_kb}K"
            subprocess.run(["sync", "--file-system", str(disk)], check=True)
            for words in (["quota", "enable"], ["qgroup", "limit", allowed]):
                subprocess.run(["btrfs", *words, str(disk)], check=True, capture_output=True)
            code = trial.wait(trial.start())
            subprocess.run(["btrfs", "quota", "disable", str(disk)], check=True)
            return [code]
    finally:
        image.unlink()


def have_no_home(trial: Trial) -> list[int]:
    """Give it a home that nobody can write into, not even root."""
    return [trial.wait(trial.start(HOME="/proc", XDG_CACHE_HOME="", XDG_CONFIG_HOME=""))]


def have_no_tmp(trial: Trial) -> list[int]:
    """Close every place for temporary files, in a mount namespace of the process alone."""
    places = [p for p in ("/tmp", "/var/tmp", "/dev/shm") if Path(p).is_dir()]
    # The project may lie below /tmp: its own mount stays open when that around it is closed.
    folder = trial.folder.resolve()
    steps = [f"mount --bind {folder} {folder}"]
    for place in places:
        steps += [f"mount --rbind {place} {place}", f"mount -o remount,bind,ro {place}"]
    script = " && ".join([*steps, f"cd {folder}", 'exec "$@"'])
    prefix = ("unshare", "--mount", "sh", "-c", script, "sh")
    if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
        raise NotTried("no mount namespace can be made here")
    variables = {"TMPDIR": "/tmp"}
    return [trial.wait(start(trial.stage, trial.folder, prefix=prefix, **variables))]
