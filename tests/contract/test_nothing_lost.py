"""Nothing is removed or replaced but through common/files, which knows what is ours."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Of modules, and of paths, whatever they are called.
MODULES = {"shutil", "os"}
CALLS = {
    "rmtree",
    "move",
    "remove",
    "removedirs",
    "renames",
    "copy",
    "copy2",
    "copyfile",
    "copytree",
}
METHODS = {"unlink", "rmdir", "rename", "truncate", "write_text", "write_bytes"}
# Module → what it removes or writes without asking, and why that is nobody's.
ALLOWED = {
    "components/common/files/writing.py": "the rule itself",
    "components/common/files/ownership.py": "the lists of the rule",
    "components/common/files/temporary.py": "folders of temporary files that bear its lock",
    "components/common/tracking/journal.py": "its own journal, named for it; lines are only added",
    "components/common/tracking/store.py": "a file in a temporary folder",
    "components/ingest/download.py": "the download, beside that new folder",
    "components/ingest/members.py": "writes into the new folder of writing_folder",
    "components/common/images/stores/transfer.py": "the download that it is given, begun anew",
    "components/preprocess/partitions.py": "copies into the new folder of writing_folder",
    "components/preprocess/shards/shards.py": "the same",
    "components/promote/registry/registry.py": "copies into a temporary folder",
    "components/promote/serving/package.py": "the same",
    "components/train/records/delivery.py": "copies into the new folder of writing_folder",
    "components/train/networks/weights/fetch.py": "copies into the new folder of writing_folder",
    "components/validate/judgement/suite.py": "copies into the new folder of writing_folder",
    "components/validate/data_docs/site.py": "pages in the new folder of writing_folder",
    "pipelines/steps/bundles.py": "copies into a folder artifact of this task",
    "pipelines/steps/rooms.py": "artifacts, whose paths KFP makes for this task",
    "pipelines/steps/shards.py": "copies into a folder artifact of this task",
    "pipelines/steps/shared/volume.py": "folders of a name of nobody's, and its own books",
    "pipelines/steps/shared/memory.py": "its own books on the volume",
    "pipelines/steps/trainjob.py": "a folder of the shared volume that is named for the run",
}


def find_calls(tree: ast.AST) -> Iterator[str]:
    """Yield what a module calls that can take a file's place or remove it."""
    given = {
        item.optional_vars.id
        for node in ast.walk(tree)
        if isinstance(node, ast.With)
        for item in node.items
        if isinstance(item.optional_vars, ast.Name)
    }  # what `with writing(…) as temporary` yields, and the like
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        name, owner = node.func.attr, ast.unparse(node.func.value)
        modes = {a.value for a in node.args[:2] if isinstance(a, ast.Constant)}
        opens = name == "open" and modes & {"w", "wb", "x", "xb", "a", "ab", "r+", "w+"}
        # A text is replaced by another in two arguments, a file takes one.
        replaces = name == "replace" and len(node.args) == 1 and not node.keywords
        known = name in METHODS or (name in CALLS and owner in MODULES)
        if owner not in given and (opens or replaces or known):
            yield f"{node.lineno}: {owner}.{name}"


def test_only_one_module_removes_and_replaces() -> None:
    found = {}
    for top in ("components", "pipelines"):
        for file in (ROOT / top).rglob("*.py"):
            calls = list(find_calls(ast.parse(file.read_text(encoding="utf-8"))))
            if calls:
                found[file.relative_to(ROOT).as_posix()] = calls
    assert {name: calls for name, calls in found.items() if name not in ALLOWED} == {}
    assert set(ALLOWED) <= set(found), "what is no longer needed is no longer allowed"
