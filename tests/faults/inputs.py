"""Faults of what is read: cut, gone, changed meanwhile, or in a form that cannot be read."""

from __future__ import annotations

import os
from pathlib import Path

from tests.faults.trial import NotTried, Trial


def damage_input(trial: Trial) -> list[int]:
    """Cut a file that the room reads at any byte; afterwards it is whole again."""
    file = draw_input(trial)
    whole = file.read_bytes()
    file.write_bytes(whole[: trial.dice.randrange(len(whole))])
    code = trial.wait(trial.start())
    file.write_bytes(whole)
    return [code]


def lose_input(trial: Trial) -> list[int]:
    """Let a file that the room reads vanish while it runs; afterwards it is there again."""
    file = draw_input(trial)
    name = str(file.relative_to(trial.folder))
    code = trial.wait(trial.start(f"gone:{name} {trial.draw_touch()}"))
    gone = Path(f"{trial.folder}.gone")
    if gone.exists():
        gone.rename(file)
    return [code]


def draw_input(trial: Trial) -> Path:
    if not trial.stage.reads:
        raise NotTried("it reads no file")
    path = trial.folder / trial.dice.choice(sorted(trial.stage.reads))
    files = sorted(f for f in path.rglob("*") if f.is_file()) if path.is_dir() else [path]
    return trial.dice.choice([file for file in files if file.stat().st_size])


def change_input(trial: Trial) -> list[int]:
    """Let a file that the room reads change while it runs; afterwards it is as it was."""
    file = draw_input(trial)
    whole = file.read_bytes()
    name = str(file.relative_to(trial.folder))
    code = trial.wait(trial.start(f"changed:{name} {trial.draw_touch()}"))
    file.write_bytes(whole)
    return [code]


def bar_input(trial: Trial) -> list[int]:
    """Put in a file's place what nobody can read, not even root; afterwards it is there again."""
    file = draw_input(trial)
    kept = Path(f"{trial.folder}.kept")
    file.rename(kept)
    trial.dice.choice([file.mkdir, lambda: file.symlink_to(file), lambda: os.mkfifo(file)])()
    code = trial.wait(trial.start())
    file.rmdir() if file.is_dir() else file.unlink()
    kept.rename(file)
    return [code]
