"""What a log and a person see of work under way."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from components.common import terminal

ROOT = Path(__file__).parents[2]


def test_a_log_gets_whole_lines_and_findings_between_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = io.StringIO()
    monkeypatch.setattr("sys.stderr", log)
    with terminal.bar("photos", "images", 4) as progress:
        progress.delay, progress.mininterval = 0, 0
        for number in range(4):
            progress.update()
            progress.refresh()
            if number == 1:
                terminal.say("two are done")
    lines = log.getvalue().splitlines()
    assert "\r" not in log.getvalue()
    assert any("photos: " in line and "2 of 4 images" in line for line in lines)
    moved = [line.split(",")[1] for line in lines if "photos: " in line]
    assert len(moved) == len(set(moved)) == 4, "each once, however often it was drawn"
    assert all(line.startswith("  ") for line in lines if line)
    assert "  two are done\n" in capsys.readouterr().out


def test_short_work_leaves_no_trace_in_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.StringIO()
    monkeypatch.setattr("sys.stderr", log)
    assert list(terminal.track(range(1000), "photos", "images", 1000)) == list(range(1000))
    assert log.getvalue() == ""


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.42, "0.4 s"),
        (42.4, "42 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (59.6, "1 min 0 s"),
    ],
)
def test_durations_as_a_person_says_them(seconds: float, words: str) -> None:
    assert terminal.describe_seconds(seconds) == words


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_terminal_gets_readable_words(encoding: str) -> None:
    code = (
        "import sys\n"
        "from components.common import cli, terminal\n"
        "terminal.heading('validate', 'images → manifest … 3 × 4')\n"
        "terminal.say('Kätzchen · \\udcff.jpg')\n"
        "print('“quoted”', file=sys.stderr)\n"
    )
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env=environment, check=True, cwd=ROOT
    )
    text = done.stdout.decode(encoding)
    if encoding == "ascii":
        assert text == (
            "\n2/6 validate - images -> manifest ... 3 x 4\n  K\\xe4tzchen - \\udcff.jpg\n"
        )
        assert done.stderr == b"\\u201cquoted\\u201d\n"
    else:
        assert "Kätzchen · \\udcff.jpg" in text


def test_no_name_of_a_file_commands_the_terminal() -> None:
    """It cleared the screen, and wrote a line of its own that looked like one of ours."""
    code = (
        "from components.common.terminal import exit_on_error, say\n"
        "name = '\\x1b[2J\\x9b31m\\u202egpj.a\\nerror: all is well'\n"
        "say(name)\n"
        "with exit_on_error():\n"
        "    open('/nowhere/' + name)\n"
    )
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, capture_output=True, check=False, cwd=ROOT, text=True)
    shown = r"\x1b[2J\x9b31m\u202egpj.a\nerror: all is well"
    assert done.stdout == f"  {shown}\n"
    assert done.stderr.startswith(f"error: /nowhere/{shown}: No such file")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "error",
    [
        "MemoryError()",
        "OSError(12, 'Cannot allocate memory')",
        "ImportError('libtensorflow_cc.so.2: failed to map segment from shared object')",
        'RuntimeError("can\'t start new thread")',
    ],
)
def test_too_little_memory_is_told_however_it_sounds(
    error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end, terminal.exit_on_error():
        raise eval(error)
    assert end.value.code == 1
    assert "error: the memory that this process may use is full" in capsys.readouterr().err


def test_a_name_that_the_systems_settings_cannot_write_is_no_traceback(tmp_path: Path) -> None:
    code = (
        "from components.common.terminal import exit_on_error\n"
        "with exit_on_error():\n"
        "    open('K' + chr(228) + 'tzchen.jpg')\n"
    )
    environment = os.environ | {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "POSIX"}
    words = [sys.executable, "-c", code]
    done = subprocess.run(
        words, capture_output=True, env=environment, check=False, cwd=ROOT, text=True
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "set PYTHONUTF8=1, or LC_ALL=C.UTF-8" in done.stderr


@pytest.mark.parametrize("lines", [1, 100_000])
def test_who_has_read_enough_hears_no_more(lines: int) -> None:
    code = (
        "import sys\n"
        "from components.common.terminal import exit_on_error\n"
        "with exit_on_error():\n"
        "    sys.stdin.read()\n"
        f"    for _ in range({lines}): print('a line')\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout
    process.stdout.close()
    process.stdout = None
    assert process.communicate()[1] == b""
    assert process.returncode == 128 + signal.SIGPIPE


def test_a_python_without_what_the_project_needs_is_told_which_one_to_use() -> None:
    words = [sys.executable, "-S", "-m", "components.promote", "history"]  # no site-packages
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"is not installed in {sys.executable}; run the command with .venv/bin/python" in (
        done.stderr
    )


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("words", ["components.train --list-backbones", "pipelines compile"])
def test_a_closed_stream_is_no_failure(closed: str, words: str, tmp_path: Path) -> None:
    """The work was done, and the end was a traceback; a file might have got what is printed."""
    more = f"--output {tmp_path / 'p.yaml'}" if "compile" in words else ""
    done = subprocess.run(
        f"{sys.executable} -m {words} {more} {closed}",
        shell=True,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert ">&-" in closed.replace("2>&-", "") or done.stdout
