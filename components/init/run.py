"""Init: a source of images → settings that fit it, each with its reason, and the next command."""

from __future__ import annotations

import tempfile
from pathlib import Path

from components.common.files.writing import write_text
from components.common.host import count_cores
from components.common.settings.edits import as_yaml, change_text
from components.common.settings.missing import find_missing
from components.common.settings.params import check_params, flatten, parse_yaml, read_params
from components.common.terminal import say
from components.init.choice import undo_choices, write_choices
from components.init.choices import choose_settings
from components.init.machine import Machine, find_gpu
from components.init.next_steps import describe_next
from components.init.rules import choose_rules
from components.init.sight import see
from components.init.spec import Inputs, Outputs, Params


def run(inputs: Inputs, outputs: Outputs, params: Params) -> None:
    """Look, choose, write, and say which command comes next; nothing is asked."""
    file = outputs.params
    read_params(file, inputs.sections)
    text = file.read_text(encoding="utf-8")
    own = undo_choices(text)
    check_params(file, parse_yaml(file, own), inputs.sections)
    # A file of an earlier version lacks what came since; what is chosen stands beside the rest.
    own = change_text(own, find_missing(parse_yaml(file, own), inputs.sections))
    present = flatten(parse_yaml(file, own))
    with tempfile.TemporaryDirectory(prefix="darkroom-init-") as made:
        plain = Path(made, file.name)  # what an earlier look chose is of other images
        write_text(plain, own)
        sight = see(inputs.source, plain)
    machine = Machine(count_cores(), find_gpu(), inputs.minutes)
    choices = choose_settings(sight, present, machine, inputs.name)
    changed = write_choices(own, choices)
    values = check_params(file, parse_yaml(file, changed), inputs.sections)
    rules = choose_rules(values["promote"].rules, sight, values["preprocess"].test_fraction)
    changed = write_choices(changed, rules)
    values = check_params(file, parse_yaml(file, changed), inputs.sections)

    print(flush=True)
    for choice in [*choices, *rules]:
        if choice.has_changed:
            values_said = f"{as_yaml(choice.before)} → {as_yaml(choice.value)}"
            say(f"{choice.key}: {values_said} · {choice.reason}")
    if changed != text:
        write_text(file, changed, edits=True)
        say(f"written into {file}, where each reason stands above its setting")
    else:
        say(f"{file} fits as it is")
    print(flush=True)
    for line in describe_next(sight, values, machine):
        say(line)
