"""The graph that KFP's page draws of a pipeline: which nodes there are, and how large it gets.

As its frontend does (`frontend/src/lib/v2/StaticFlow.ts`): a node for each task of a group and for
each artifact that a task hands on, an edge from task to artifact, from artifact to the task that
reads it, and between tasks that a parameter or `after` ties; laid out by dagre from the top down,
224 x 48 px a node, 50 px between them. Here the ranks are dagre's, the longest way from the top, so
the height is exact; the order in a rank is by the middle of the neighbours, and the width a lower
bound of dagre's.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from html import escape
from typing import Any

WIDTH_PX, HEIGHT_PX, GAP_PX = 224, 48, 50
EDGE_GAP_PX = 20  # between an edge that passes through a rank and its neighbours
LABEL_CHARACTERS = 14  # of a name that the page shows before it cuts


@dataclass
class Graph:
    """Nodes by key, with label and kind; edges by their ends' keys."""

    labels: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)  # task, group or artifact
    edges: list[tuple[str, str]] = field(default_factory=list)  # in the order of the page


def read_graph(spec: dict[str, Any], group: str = "") -> Graph:
    """Return what the page shows at first, or inside a group of tasks.

    Args:
        spec: the compiled pipeline, its first document.
        group: name of a task that is a group; empty: the first graph.
    """
    components = spec["components"]
    dag = spec["root"]["dag"]
    if group:
        dag = components[dag["tasks"][group]["componentRef"]["name"]]["dag"]
    graph = Graph()
    made = [
        (key, artifact)
        for key, task in dag["tasks"].items()
        for artifact in _find_component(spec, task)
        .get("outputDefinitions", {})
        .get("artifacts", {})
    ]
    for key, task in dag["tasks"].items():
        graph.labels[f"task.{key}"] = task["taskInfo"]["name"]
        graph.kinds[f"task.{key}"] = "group" if "dag" in _find_component(spec, task) else "task"
    for key, artifact in made:
        graph.labels[f"artifact.{key}.{artifact}"] = artifact
        graph.kinds[f"artifact.{key}.{artifact}"] = "artifact"
    graph.edges = [(f"task.{key}", f"artifact.{key}.{artifact}") for key, artifact in made]
    for key, task in dag["tasks"].items():
        for source in task.get("inputs", {}).get("artifacts", {}).values():
            if taken := source.get("taskOutputArtifact"):
                producer = f"artifact.{taken['producerTask']}.{taken['outputArtifactKey']}"
                graph.edges.append((producer, f"task.{key}"))
    ties = [
        (source["taskOutputParameter"]["producerTask"], key)
        for key, task in dag["tasks"].items()
        for source in task.get("inputs", {}).get("parameters", {}).values()
        if "taskOutputParameter" in source
    ]
    ties += [
        (other, key)
        for key, task in dag["tasks"].items()
        for other in task.get("dependentTasks", [])
    ]
    graph.edges += dict.fromkeys((f"task.{one}", f"task.{other}") for one, other in ties)
    return graph


def _find_component(spec: dict[str, Any], task: dict[str, Any]) -> dict[str, Any]:
    return dict(spec["components"][task["componentRef"]["name"]])


@dataclass
class Layout:
    """Where each node is, its middle in px, and how large the whole is."""

    places: dict[str, tuple[float, float]]
    width_px: float
    height_px: float


def lay_out(graph: Graph) -> Layout:
    """Place the nodes in ranks, from the top down."""
    ranks = _find_ranks(graph)
    rows: dict[int, list[str]] = defaultdict(list)
    for key in sorted(graph.labels, key=lambda one: (ranks[one], one)):
        rows[ranks[key]].append(key)
    passing: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for edge in sorted(graph.edges):
        for rank in range(ranks[edge[0]] + 1, ranks[edge[1]]):
            passing[rank].append(edge)
    at: dict[str, float] = {}
    places: dict[str, tuple[float, float]] = {}
    widths = []
    for rank in sorted(rows):
        before: dict[str, list[float]] = defaultdict(list)
        for source, target in graph.edges:
            if source in at:
                before[target].append(at[source])
        row = sorted(rows[rank], key=lambda key: (sum(before[key]) / max(1, len(before[key])), key))
        width = len(row) * WIDTH_PX + (len(row) - 1) * GAP_PX + len(passing[rank]) * EDGE_GAP_PX
        widths.append(width)
        for place, key in enumerate(row):
            at[key] = place * (WIDTH_PX + GAP_PX) - (len(row) - 1) * (WIDTH_PX + GAP_PX) / 2
            places[key] = (at[key], rank * (HEIGHT_PX + GAP_PX) + HEIGHT_PX / 2)
    whole = max(widths)
    places = {key: (x + whole / 2, y) for key, (x, y) in places.items()}
    height = (max(rows) + 1) * HEIGHT_PX + max(rows) * GAP_PX
    return Layout(places, whole, height)


def _find_ranks(graph: Graph) -> dict[str, int]:
    ranks = dict.fromkeys(graph.labels, 0)
    for _ in graph.labels:
        for source, target in graph.edges:
            ranks[target] = max(ranks[target], ranks[source] + 1)
    return ranks


def draw(graph: Graph) -> str:
    """Return the graph as an SVG picture."""
    layout = lay_out(graph)
    colours = {"task": "#e8f0fe", "group": "#fce8b2", "artifact": "#e6f4ea"}
    lines = []
    for source, target in sorted(graph.edges):
        (x1, y1), (x2, y2) = layout.places[source], layout.places[target]
        lines.append(
            f'<path d="M{x1:.0f} {y1 + 24:.0f} C{x1:.0f} {y1 + 49:.0f} {x2:.0f} {y2 - 49:.0f} '
            f'{x2:.0f} {y2 - 24:.0f}" fill="none" stroke="#888"/>'
        )
    for key, (x, y) in layout.places.items():
        label = graph.labels[key]
        if len(label) > LABEL_CHARACTERS:
            label = f"{label[:LABEL_CHARACTERS]}…"
        lines.append(
            f'<rect x="{x - 112:.0f}" y="{y - 24:.0f}" width="224" height="48" rx="6" '
            f'fill="{colours[graph.kinds[key]]}" stroke="#555"/>'
            f'<text x="{x:.0f}" y="{y + 5:.0f}" text-anchor="middle">{escape(label)}</text>'
        )
    size = f'width="{layout.width_px:.0f}" height="{layout.height_px:.0f}"'
    style = "<style>text{font:15px sans-serif}</style>"
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{style}{"".join(lines)}</svg>\n'
