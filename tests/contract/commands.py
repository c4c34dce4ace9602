"""The commands that README and docs show, and whether the real command lines take them."""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components import ROOMS
from components.common.cli import (
    ROOM_ITSELF,
    create_command_parser,
    create_parser,
    read_commands,
)
from components.common.settings.params import flatten, read_yaml

ROOT = Path(__file__).parents[2]
# Words in code that show commands: settings, help, messages and docstrings.
SOURCES = ("params.yaml", "search.yaml", "Makefile", "components", "pipelines", "benchmarks")
SOURCES += ("CHANGELOG.md", ".github", "deploy")
PAGES = ("README.md", "CONTRIBUTING.md", *sorted(f"docs/{f.name}" for f in ROOT.glob("docs/*.md")))
# Programs that are somebody else's and whose words are not ours to check, but for paths in them.
OTHERS = {"git", "curl", "docker", "kubectl", "mlflow", "find", "cd", "export", "source"}
OTHERS |= {"pre-commit", "bash", "VENV/bin/pip"}
PROGRAMS = OTHERS | {"make", "dvc", "python"}
OURS = re.compile(rf"(?:\$ )?(?:[A-Z_]+=\S+ )*(?:{'|'.join(sorted(PROGRAMS))}) [^`]+")
# A block, in an item of a list too; and a mention, which may go on in the next line.
BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
MENTION = re.compile(r"(?<!`)`([^`\n]+(?:\n[^`\n]+)?)`(?!`)")
# Of a path in this project, as far as what it names is in git.
PATH = re.compile(r"(?:deploy|benchmarks|tests|components|requirements|\.ci)/[\w./-]+")
REQUIRED = "the following arguments are required"


@dataclass(frozen=True)
class Shown:
    """A command on a page."""

    line: str
    whole: bool  # in a block, to be copied; a mention in a sentence may leave words out


class SlipError(Exception):
    """What is wrong with a command."""


def list_commands(page: str) -> Iterator[Shown]:
    """Yield the commands of a page: lines of its blocks, and mentions in its sentences."""
    for _, kind, block in BLOCK.findall(page):
        if kind in ("", "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                words = split(line)
                if words and (kind or words[0][0] in PROGRAMS):
                    yield Shown(line.strip().removeprefix("$ "), whole=True)
    for mention in MENTION.findall(BLOCK.sub("", page)):
        line = " ".join(mention.split())
        line = re.sub(r"\[(--[^][]*)\]", r"\1", line)  # what may be left out
        line = re.sub(r"([\w-]+)(\|[\w-]+)+", r"\1", line)  # one of several
        if OURS.fullmatch(line):
            yield Shown(line, whole=False)


def split(line: str) -> list[list[str]]:
    """Return the words of each program of a line; what a shell does with them is left away."""
    line = re.sub(r"<[\w -]+>|\$\([^()]*\)", "NAME", line.strip().removeprefix("$ "))
    line = re.sub(r"<\(([^()]*)\)", r"; \1", line)  # source <(python …)
    try:
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words = list(lexer)
    except ValueError:
        return []
    found: list[list[str]] = [[]]
    for word in words:
        if word in ("&&", "|", ";"):
            found.append([])
        elif found[-1] or not re.fullmatch(r"[A-Z_]+=.*", word):  # a variable before a program
            found[-1].append(word)
    return [one for one in found if one]


def check(shown: Shown) -> None:
    """Raise SlipError if the real command line would not take a command."""
    for words in split(shown.line):
        program, *rest = words
        for path in PATH.findall(" ".join(rest)):
            if not (ROOT / path).exists():
                raise SlipError(f"{path} is not there")
        if program == "make":
            check_make(rest)
        elif program == "dvc":
            check_dvc(rest, shown.whole)
        elif program == "python" and rest[0] == "-m":
            check_module(rest[1], rest[2:], shown.whole)
        elif program == "python" and rest[0].startswith("benchmarks/"):
            check_benchmark(rest[0].removeprefix("benchmarks/").removesuffix(".py"), rest[1:])
        elif program != "python" and program not in OTHERS:
            raise SlipError(f"{program} is no program that this project knows")


def check_make(words: list[str]) -> None:
    """Check targets, variables and benchmarks."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    given = dict(word.split("=", 1) for word in words if "=" in word)
    targets = [word for word in words if "=" not in word]
    for target in targets:
        if f"\n{target}:" not in makefile:
            raise SlipError(f"make has no target {target}")
    for name in given:
        if f"$({name})" not in makefile:
            raise SlipError(f"the Makefile knows no {name}")
    if "bench" in targets and "BENCH" in given:
        check_benchmark(given["BENCH"], shlex.split(given.get("ARGS", "")))


def check_benchmark(name: str, words: list[str]) -> None:
    """Check that a benchmark is there, and that each flag stands in its code."""
    code, seen, wanted = "", set(), [name]
    while wanted:
        one = wanted.pop()
        file = ROOT / "benchmarks" / f"{one}.py"
        if one == name and not file.is_file():
            raise SlipError(f"there is no benchmark {name}")
        seen.add(one)
        text = file.read_text(encoding="utf-8")
        code += text
        wanted += [
            more for more in re.findall(r"benchmarks\.(\w+) import", text) if more not in seen
        ]
    for word in words:
        if word.startswith("--") and f'"{word}"' not in code:
            raise SlipError(f"benchmark {name} has no flag {word}")
    if words and re.fullmatch("[a-z]+", words[0]) and f'"{words[0]}"' not in code:
        raise SlipError(f"benchmark {name} knows no {words[0]}")


def check_dvc(words: list[str], whole: bool) -> None:
    """Check words by DVC's own parser, and settings by params.yaml."""
    from dvc.cli.parser import get_main_parser

    given = parse(get_main_parser(), words, whole)
    known = flatten(read_yaml(ROOT / "params.yaml"))
    for change in getattr(given, "set_param", None) or []:
        key = change.partition("=")[0]
        if "=" in change and key not in known:
            raise SlipError(f"params.yaml has no {key}")


def check_module(module: str, words: list[str], whole: bool) -> None:
    """Check words by the parser of a module."""
    top, _, room = module.partition(".")
    if module in ("pip", "venv") or "…" in module or "NAME" in module:
        return
    if module == "pipelines":
        parse(importlib.import_module("pipelines.cli").create_parser(), words, whole)
    elif module == "components.promote.summary":
        parse(importlib.import_module(module).create_parser(), words, whole)
    elif module == "components.train.search":
        parse(importlib.import_module(f"{module}.__main__").create_parser(), words, whole)
    elif top == "components" and room in ROOMS:
        commands = read_commands(room)
        name = words[0] if words and words[0] in commands else ROOM_ITSELF
        if name in commands:
            parse(create_command_parser(room, name), words[1:] if name else words, whole)
        elif commands and words and not words[0].startswith("-"):
            raise SlipError(f"{room} has no command {words[0]}")
        else:
            spec = importlib.import_module(f"{module}.spec")
            parse(create_parser(room, spec), words, whole)
    else:
        raise SlipError(f"there is no module {module}")


def parse(parser: argparse.ArgumentParser, words: list[str], whole: bool) -> Any:
    """Parse words; a mention may lack what is required, and `…` stands for whatever comes."""

    def refuse(message: str) -> None:
        if whole or REQUIRED not in message:
            raise SlipError(f"{parser.prog}: {message}")

    for one in _list_parsers(parser):
        one.error = refuse  # type: ignore[method-assign,assignment]
    is_open = words[-1:] == ["…"] and not "".join(words[-2:-1]).startswith("-")
    try:
        return parser.parse_args(words[:-1] if is_open else words)
    except SystemExit as error:  # --help
        if error.code:
            raise SlipError(f"{parser.prog} {' '.join(words)}") from None
    except TypeError:  # a mention ends before the words are whole
        if whole:
            raise
    return None


def _list_parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for one in action.choices.values():
                yield from _list_parsers(one)
