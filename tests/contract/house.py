"""Draw docs/house.svg from the code: `python tests/contract/house.py`.

Above, each room with what lies in it, in the order of the layers of .importlinter or, where it has
none, of its imports: what stands higher may import what stands lower. Below, which of the tools in
`common` each room imports itself.
"""

from __future__ import annotations

import configparser
import html
import re
import sys
from functools import cache
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from components import ROOMS  # noqa: E402

PICTURE = ROOT / "docs" / "house.svg"
LEFT, COLUMN, LINE, TOP = 132, 132, 22, 64  # px
EVERYWHERE = {"__init__"}


def list_items(folder: Path) -> list[str]:
    """Return what `ls` shows of a room: modules, and inner rooms with a slash, the lowest last."""
    names = {f.stem for f in folder.glob("*.py")} - EVERYWHERE
    inner = {f.parent.name for f in folder.glob("*/__init__.py")}
    room = ".".join(folder.relative_to(ROOT).parts)
    order = read_layers(room) or sort_by_imports(room, sorted(names | inner))
    return [f"{name}/" if name in inner else name for name in order if name in names | inner]


def read_layers(container: str) -> list[str]:
    """Return the names in the layers of a room, from the top; none where it is flat."""
    found = configparser.ConfigParser()
    found.read(ROOT / ".importlinter")
    for part in found.sections():
        if found[part].get("containers") == container:
            return [
                name.strip("()") for name in re.split(r"[\n|\s]+", found[part]["layers"]) if name
            ]
    return []


def sort_by_imports(room: str, names: list[str]) -> list[str]:
    """Return the names of a flat room, whoever imports before what is imported."""
    graph = read_graph()

    @cache
    def height(name: str) -> int:
        below = {
            other
            for other in names
            if other != name
            and graph.direct_import_exists(
                importer=f"{room}.{name}", imported=f"{room}.{other}", as_packages=True
            )
        }
        return 1 + max(map(height, below), default=0)

    # A room is entered by its command line, which imports `commands` and `run` by name alone.
    doors = ("__main__", "commands", "run")
    return sorted(names, key=lambda name: (name not in doors, -height(name), name))


def find_users(tool: str) -> set[str]:
    """Return the rooms that import a tool of common themselves, `pipelines` among them."""
    graph = read_graph()
    base = f"components.common.{tool.rstrip('/')}"
    modules = {base} | (graph.find_descendants(base) if tool.endswith("/") else set())
    users = {user for one in modules for user in graph.find_modules_that_directly_import(one)}
    return {user.removeprefix("components.").split(".")[0] for user in users} - {"common"}


@cache
def read_graph() -> grimp.ImportGraph:
    """Return the graph of all imports, those for types aside."""
    packages = ("components", "pipelines")
    return grimp.build_graph(*packages, exclude_type_checking_imports=True, cache_dir=None)


def draw() -> str:
    """Return the picture as SVG."""
    columns = [*ROOMS, "pipelines"]
    rooms = {name: list_items(ROOT / "components" / name) for name in ROOMS}
    rooms["pipelines"] = list_items(ROOT / "pipelines")
    tools = list_items(ROOT / "components" / "common")
    deep = max(map(len, rooms.values()))
    grid = TOP + (deep + 4) * LINE
    width, height = LEFT + len(columns) * COLUMN + 8, grid + (len(tools) + 1) * LINE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="ui-monospace, Menlo, monospace" '
        'font-size="12" fill="#1f2328">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        _text(8, 24, "what stands higher may import what stands lower", "#59636e"),
        _text(8, grid - 2 * LINE + 8, "common: which room imports which tool itself", "#59636e"),
    ]
    for number, name in enumerate(columns):
        x = LEFT + number * COLUMN
        parts.append(_text(x + 10, TOP - 12, name, weight="bold"))
        parts.append(_text(x + 10, grid - 10, name, weight="bold"))
        for row, item in enumerate(rooms[name]):
            parts += _draw_item(x, TOP + row * LINE, item)
    for row, tool in enumerate(tools):
        y = grid + row * LINE
        parts += _draw_item(0, y, tool)
        users = find_users(tool)
        for number, name in enumerate(columns):
            x = LEFT + number * COLUMN + 16
            parts.append(
                f'<circle cx="{x}" cy="{y + 9}" r="5" fill="#0969da"/>'
                if name in users
                else f'<circle cx="{x}" cy="{y + 9}" r="1.5" fill="#d1d9e0"/>'
            )
    return "\n".join([*parts, "</svg>", ""])


def _draw_item(x: int, y: int, item: str) -> list[str]:
    """Return a line of a room; an inner room stands in a box."""
    box = f'<rect x="{x + 4}" y="{y}" width="{COLUMN - 12}" height="18" rx="4" fill="#ddf4ff"/>'
    return [*([box] if item.endswith("/") else []), _text(x + 10, y + 13, item)]


def _text(x: int, y: int, words: str, colour: str = "#1f2328", weight: str = "normal") -> str:
    return (
        f'<text x="{x}" y="{y}" fill="{colour}" font-weight="{weight}">{html.escape(words)}</text>'
    )


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
    print(PICTURE.relative_to(ROOT))
