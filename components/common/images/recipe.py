"""What decides what is seen in an image, as digests: the code that looks, and the decoders."""

from __future__ import annotations

import ast
import hashlib
import io
import tokenize
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import PIL


def list_decoders() -> tuple[str, str]:
    """Return the versions of what decodes images: Pillow, pi-heif."""
    return PIL.__version__, version("pi-heif")


@cache
def compute_digest_of_all(module: str) -> str:
    """Return the digest of a module of ours and of all modules of ours that it needs, hex.

    Args:
        module: its full name.
    """
    digests: dict[str, str] = {}
    todo = [module]
    while todo:
        name = todo.pop()
        spec = find_spec(name)
        if name in digests or spec is None or spec.origin is None:
            continue
        source = Path(spec.origin).read_text("utf-8")
        digests[name] = compute_code_digest(source)
        todo += _list_imports(source, name.partition(".")[0])
    return hashlib.sha256(repr(sorted(digests.items())).encode()).hexdigest()


def _list_imports(source: str, package: str) -> Iterator[str]:
    """Yield the modules of a package that code imports; what it takes from one may be one too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == package:
            yield str(node.module)
            names = (f"{node.module}.{one.name}" for one in node.names)
            yield from (name for name in names if _is_module(name))


def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # its parent is a module, and no package
        return False


def compute_code_digest(source: str) -> str:
    """Return the digest of what Python code does, hex: of its lines that are more than words.

    Imports, comments, docstrings and blank lines play no part, so that a moved module or a better
    explanation writes no shard anew. The rest is digested as the text that it is: a syntax tree
    has another form in another version of Python.

    Args:
        source: of a module, with a statement a line; lines that hold another one as well are kept.
    """
    lines = source.split("\n")
    dropped: set[int] = set()  # row numbers from 1, as in `ast` and `tokenize`
    quoted: set[int] = set()  # inside a text of several lines, where an empty one counts too
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        row, column = token.start
        if token.type == tokenize.COMMENT:
            lines[row - 1] = lines[row - 1][:column].rstrip()
        quoted.update(range(row + 1, token.end[0] + 1))
    for node in _find_words(ast.parse(source)):
        first, last = node.lineno, node.end_lineno or node.lineno
        before = lines[first - 1].encode()[: node.col_offset]
        after = lines[last - 1].encode()[node.end_col_offset :]
        if not before.strip() and not after.strip():
            dropped.update(range(first, last + 1))
    kept = (
        line
        for row, line in enumerate(lines, 1)
        if row not in dropped and (line.strip() or row in quoted)
    )
    return hashlib.sha256("\n".join(kept).encode()).hexdigest()


def _find_words(tree: ast.Module) -> Iterator[ast.stmt]:
    """Yield the imports and docstrings."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            yield node.body[0]
