"""Every command in README and docs is one that the real command line takes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

import pytest

from .commands import PAGES, ROOT, SOURCES, Shown, SlipError, check, list_commands


@pytest.mark.parametrize("page", PAGES)
def test_every_command_is_taken(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert not find_slips(list_commands(text))
    # Half a command is one that nothing checks.
    assert not re.findall(r"`… (?:--\w|[A-Z]+=)[^`]*`", text)


@pytest.mark.parametrize("source", SOURCES)
def test_commands_that_help_messages_and_docstrings_name_are_taken(
    source: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ROOT / source
    shown = [
        one
        for file in (sorted(place.rglob("*.*")) if place.is_dir() else [place])
        if file.suffix in (".py", ".yaml", ".yml", ".md", ".example", "")
        for one in list_commands(file.read_text(encoding="utf-8"))
        if "{" not in one.line  # filled in when it is said
    ]
    assert shown
    assert not find_slips(shown)


def find_slips(commands: Iterable[Shown]) -> str:
    """Return commands that are not taken, each with why."""
    slips = []
    for shown in commands:
        try:
            check(shown)
        except SlipError as error:
            slips.append(f"{shown.line}\n    {error}")
    return "\n".join(slips)


def test_no_form_in_which_a_page_shows_a_command_is_passed_over() -> None:
    page = (
        "1. first\n   ```sh\n   make one \\\n     TWO=3\n   ```\n\nA `make wrapped\nA=1`, "
        "`git switch x && dvc pull`, `X=1 make y`, `$ make z`, `a | b`.\n\n"
        "```text\nmake no\n```\n\n```sh\nsource <(python -m some.thing)\n```\n"
    )
    found = [(one.line, one.whole) for one in list_commands(page)]
    assert [(" ".join(line.split()), whole) for line, whole in found] == [
        ("make one TWO=3", True),
        ("source <(python -m some.thing)", True),
        ("make wrapped A=1", False),
        ("git switch x && dvc pull", False),
        ("X=1 make y", False),
        ("$ make z", False),
    ]
    with pytest.raises(SlipError, match=re.escape("no module some.thing")):
        check(Shown("source <(python -m some.thing)", whole=True))


def test_the_pages_have_the_commands_that_a_person_needs() -> None:
    lines = "\n".join(
        shown.line
        for page in PAGES
        for shown in list_commands((ROOT / page).read_text(encoding="utf-8"))
    )
    for command in ("make run", "make init SOURCE=", "dvc repro", "python -m pipelines submit"):
        assert command in lines, command
    assert lines.count("\n") > 100


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("make tset", "no target tset"),
        ("make run FAST=1", "knows no FAST"),
        ("make bench BENCH=trains", "no benchmark trains"),
        ('make bench BENCH=train ARGS="step --stepz 3"', "no flag --stepz"),
        ("make bench BENCH=train ARGS=stepz", "knows no stepz"),
        ("python -m components.promote.summary --jsn x", "--jsn"),
        ("dvc exp run -S train.epochs=3", "has no train.epochs"),
        ("dvc reproduce", "reproduce"),
        ("python -m components.train --shard x", "required"),
        ("python -m components.promote aprove 7", "aprove"),
        ("python -m components.prmote approve", "no module components.prmote"),
        ("python -m components.predict --model m --topk 3 a.jpg", "--topk"),
        ("python -m pipelines submitt", "submitt"),
        ("kubectl apply -k deploy/servings", "deploy/servings is not there"),
        ("git status && maek run", "maek"),
    ],
)
def test_a_slip_is_found(line: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SlipError, match=re.escape(words)):
        check(Shown(line, whole=True))


def test_every_link_and_picture_is_there() -> None:
    missing = []
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            path, _, anchor = target.partition("#")
            if path.startswith(("http:", "https:")):
                continue
            file = (ROOT / page).parent / path if path else ROOT / page
            if not file.exists():
                missing.append(f"{page}: {target}")
            elif anchor and file.suffix == ".md":
                titles = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
                slugs = {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in titles}
                if anchor not in slugs:
                    missing.append(f"{page}: {target}")
    assert not missing


def test_make_help_lists_every_target_that_a_person_may_want() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    listed = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    phony = set(re.findall(r"^\.PHONY: ([a-z-]+)$", makefile, re.MULTILINE))
    assert phony - listed == {"git-is-here"}


def test_the_devcontainer_makes_what_the_makefile_knows() -> None:
    text = (ROOT / ".devcontainer/devcontainer.json").read_text(encoding="utf-8")
    found = json.loads(re.sub(r"^\s*//.*$|(?<=[\]\},\"]) // .*$", "", text, flags=re.MULTILINE))
    _, *targets = found["postCreateCommand"].split()
    for target in targets:
        assert f"\n{target}:" in (ROOT / "Makefile").read_text(encoding="utf-8"), target
