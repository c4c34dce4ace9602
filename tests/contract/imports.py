"""The imports of the code as a graph: what reaches what."""

from __future__ import annotations

from functools import cache

import grimp


@cache
def read_graph() -> grimp.ImportGraph:
    """Return the graph of components, imports inside functions included, those for types not."""
    return grimp.build_graph("components", exclude_type_checking_imports=True, cache_dir=None)


def find_reached(module: str) -> set[str]:
    """Return the modules of components that a module reaches, itself included."""
    return {module} | set(read_graph().find_upstream_modules(module))
