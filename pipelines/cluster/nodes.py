"""The tree of Argo's nodes, from the heap of task details that KFP answers with.

KFP answers with one entry a node, of drivers, groups and iterations too: `train`, `train(0)`,
`train-driver`, `executor`, `executor(0)`, the last two for every task alike. An entry says neither
which node it is nor whose; it only lists its children by their ids. But Argo makes an id from a
node's full name, so names can be tried: a node is there if its id is somebody's child.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

_ATTEMPT = re.compile(r"^(.*)\((\d+)\)$")
# The end of a full name; what Argo runs at the end of a node is called for it.
_OWN = re.compile(r"(?:^|\.)([^.]+(?:\.onExit(?:\(\d+\))?)?)$")
_ID = re.compile(r".+-[0-9]{1,10}")  # a workflow's name and 32 bits
_DEEPEST = 12  # groups in groups


@dataclass(frozen=True)
class Node:
    """A node of Argo's.

    Its full name has the groups around it: ``darkroom-x(0).root(0).train(0).executor``.
    """

    name: str
    node_id: str
    state: str = ""  # as KFP says it; empty: it did not come to run
    started: str = ""
    ended: str = ""
    restarts: int = 0  # by KFP's Retry, under the same name

    @property
    def own_name(self) -> str:
        """Its name without those around it."""
        return _own_name(self.name)


@dataclass
class Tree:
    """All nodes of a run, by their full names."""

    nodes: dict[str, Node] = field(default_factory=dict)

    @cached_property
    def _last_attempts(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for name in self.nodes:
            if match := _ATTEMPT.match(name):
                found[match[1]] = max(found.get(match[1], 0), int(match[2]))
        return found

    def find(self, own_name: str) -> list[Node]:
        """Return the nodes of a name in the newest attempts of the groups around them."""
        return [
            node
            for node in self.nodes.values()
            if node.own_name == own_name and self._is_current(node.name)
        ]

    def find_attempts(self, node: Node) -> list[Node]:
        """Return the attempts of a node, the first one first."""
        count = self._last_attempts.get(node.name, -1) + 1
        names = (f"{node.name}({number})" for number in range(count))
        return [self.nodes[name] for name in names if name in self.nodes]

    def find_inside(self, node: Node, own_name: str) -> Node | None:
        """Return a node of a name in the newest attempt of a group."""
        attempts = self.find_attempts(node)
        return self.nodes.get(f"{(attempts or [node])[-1].name}.{own_name}")

    def has_inside(self, node: Node) -> bool:
        """Whether a node is a group: whether others are in its newest attempt."""
        begin = f"{(self.find_attempts(node) or [node])[-1].name}."
        return any(name.startswith(begin) for name in self.nodes)

    def _is_current(self, name: str) -> bool:
        parts = name.split(".")
        for end in range(1, len(parts)):
            match = _ATTEMPT.match(".".join(parts[:end]))
            if match and int(match[2]) < self._last_attempts[match[1]]:
                return False
        return True


def compute_node_id(workflow: str, name: str) -> str:
    """Return Argo's id of a node: the workflow's name and the 32-bit FNV-1a hash of its own."""
    return f"{workflow}-{_hash(name)}"


def _hash(text: str, begun: int = 2166136261) -> int:
    """Return the FNV-1a hash of a text, or of one that begins with a text of a known hash."""
    value = begun
    for byte in text.encode():
        value = ((value ^ byte) * 16777619) & 0xFFFFFFFF
    return value


def read_tree(details: Iterable[Mapping[str, Any]]) -> Tree:
    """Return the nodes that a run has now.

    Args:
        details: `run_details.task_details` of KFP's answer.
    """
    entries = [one for one in details if one and one.get("display_name")]
    children = {child for one in entries for child in _children(one)}
    workflow = min((child.rpartition("-")[0] for child in children), default="")
    if not workflow:  # another KFP, whose entries know no children: names must do
        return Tree({one["display_name"]: _create(one["display_name"], "", one) for one in entries})
    names = _find_names(entries, children, workflow)
    return Tree(dict(_give_entries(names, entries, workflow)))


def _children(entry: Mapping[str, Any]) -> list[str]:
    """Return the ids of a node's children; what is no id of Argo's tells nothing."""
    names = [str(one.get("pod_name") or "") for one in entry.get("child_tasks") or [] if one]
    return [name for name in names if _ID.fullmatch(name)]


def _find_names(
    entries: Sequence[Mapping[str, Any]], children: set[str], workflow: str
) -> list[str]:
    """Return the full name of every node, those of a group after the group."""
    own_names = sorted({_ATTEMPT.sub(r"\1", one["display_name"]) for one in entries})
    known = {int(child.rpartition("-")[2]) for child in children}
    found = [workflow]
    groups = _find_attempts({workflow: _hash(workflow)}, known)
    found += list(groups)
    groups = groups or {workflow: _hash(workflow)}
    for _ in range(_DEEPEST):
        # A name begins with its group's: so does its hash, and trying many names costs little.
        inside = {
            f"{group}.{own}": value
            for group, begun in groups.items()
            for own in own_names
            if (value := _hash(f".{own}", begun)) in known
        }
        if not inside:
            break
        # Iterations of a loop are called by their number: `item(2:2)` is no third attempt.
        attempts = _find_attempts(inside, known)
        found += [*inside, *attempts]
        tried = {_ATTEMPT.sub(r"\1", one) for one in attempts}
        groups = attempts | {one: value for one, value in inside.items() if one not in tried}
    return found


def _find_attempts(names: Mapping[str, int], known: set[int]) -> dict[str, int]:
    """Return the attempts that there are of some nodes, all with their hashes."""
    found: dict[str, int] = {}
    for name, begun in names.items():
        for number in itertools.count():
            value = _hash(f"({number})", begun)
            if value not in known:
                break
            found[f"{name}({number})"] = value
    return found


def _give_entries(
    names: Sequence[str], entries: Sequence[Mapping[str, Any]], workflow: str
) -> Iterable[tuple[str, Node]]:
    """Pair each name with its entry: the one of its own name whose children are the node's."""
    known = {compute_node_id(workflow, name): name for name in names}
    called: dict[str, list[str]] = defaultdict(list)
    for name in names:
        called[_own_name(name)].append(name)
    by_name: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for entry in entries:
        by_name[entry["display_name"]].append(entry)
    paired: dict[str, Mapping[str, Any]] = {}
    left: list[tuple[str, list[Mapping[str, Any]]]] = []
    for own, alike in by_name.items():
        wanted = called[own]
        for entry in list(alike):
            owners = {_find_owner(known[one], own) for one in _children(entry) if one in known}
            chosen = next((name for name in wanted if name in owners), None)
            if chosen and chosen not in paired:
                paired[chosen] = entry
                alike.remove(entry)
        left += [(name, alike) for name in wanted if name not in paired]
    # What has no children is told by when it began: as the node that it is an attempt of.
    for is_same in (_began_with, lambda *_: True):
        for name, alike in left:
            around = paired.get(_ATTEMPT.sub(r"\1", name), {})
            same = [one for one in alike if is_same(one, around)]
            if same and name not in paired:
                paired[name] = same[0]
                alike.remove(same[0])
    for name in names:
        own_id = workflow if name == workflow else compute_node_id(workflow, name)
        yield name, _create(name, own_id, paired.get(name, {}))


def _create(name: str, node_id: str, entry: Mapping[str, Any]) -> Node:
    began, ended = (str(entry.get(key) or "") for key in ("start_time", "end_time"))
    states = [str(one.get("state") or "") for one in entry.get("state_history") or [] if one]
    return Node(
        name,
        node_id,
        str(entry.get("state") or ""),
        began,
        "" if ended[:4] in ("1970", "0001") else ended,
        restarts=states[:-1].count("FAILED"),
    )


def _began_with(entry: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return bool(entry.get("start_time") == other.get("start_time"))


def _own_name(name: str) -> str:
    match = _OWN.search(name)
    return match[1] if match else name


def _find_owner(child: str, own: str) -> str:
    """Return the full name that a node called `own` must have to be the parent of a child."""
    if (match := _ATTEMPT.match(child)) and _own_name(match[1]) == own:
        return match[1]  # the node of which the child is an attempt
    group = child[: -len(_own_name(child)) - 1]
    if _own_name(group) == own:
        return group  # the group that the child is in
    return f"{group}.{own}"  # or the child comes after it in the same group
