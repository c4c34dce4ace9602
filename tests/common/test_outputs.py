"""What the file system refuses is told in one line, and outputs are looked at before the work."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from components.common.cli import run_room
from components.common.terminal import exit_on_error


def run_validate(tmp_path: Path, manifest: Path) -> None:
    flags = {
        "--images": tmp_path / "images",
        "--manifest": manifest,
        "--validation": tmp_path / "validation.json",
        "--quarantine": tmp_path / "quarantine.csv",
        "--data-docs": tmp_path / "docs",
    }
    run_room("validate", [str(word) for flag in flags.items() for word in flag])


def test_a_file_where_a_folder_should_be_is_found_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit) as stopped:
        run_validate(tmp_path, tmp_path / "file/deep/manifest.parquet")
    assert stopped.value.code == 1
    shown = capsys.readouterr()
    assert f"{tmp_path / 'file'} is no folder" in shown.err
    assert shown.out == ""


def test_a_folder_without_permission_is_found_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() == 0:  # root may write anywhere
        monkeypatch.setattr(os, "access", lambda *_: False)
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(SystemExit):
        run_validate(tmp_path, tmp_path / "locked/manifest.parquet")
    assert "you may not write into" in capsys.readouterr().err


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.ELOOP])
def test_what_the_system_refuses_is_one_line(
    number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped, exit_on_error():
        raise OSError(number, os.strerror(number), "reports/ä.json")
    assert stopped.value.code == 1
    shown = capsys.readouterr().err
    assert shown.startswith(f"error: reports/ä.json: {os.strerror(number)}; ")
    assert shown.count("\n") == 1


def test_a_slip_of_ours_still_shows_where() -> None:
    with pytest.raises(OSError, match="network"), exit_on_error():
        raise OSError("network")
