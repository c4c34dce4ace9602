"""The recipe of a shard: a digest of all that decides its bytes, so that none is written twice."""

from __future__ import annotations

import ast
import hashlib
import io
import json
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from functools import cache
from importlib.metadata import version
from pathlib import Path

import PIL

from components.common.artifacts.dataset import LABEL, PATH, PIXELS, SHA256
from components.common.images import colour, formats, pixels
from components.common.images.pixels import ImageForm
from components.common.shards import tfrecord
from components.preprocess.shards import records
from components.preprocess.shards.records import Row

# The code that decides the bytes: image → pixels, features → record, row → features.
CODE = (pixels, colour, formats, tfrecord, records)
FEATURES = (PIXELS, LABEL, PATH, SHA256)  # names in a record, from a module that holds more


def compute_recipe(rows: Sequence[Row], form: ImageForm) -> str:
    """Return the digest of all that decides the bytes of a shard: rows, form, code and decoder."""
    listed = [(row.path, row.label, row.sha256) for row in rows]
    decoders = (PIL.__version__, version("pi-heif"))
    recipe = [decoders, FEATURES, _compute_code_digests(), astuple(form), listed]
    return hashlib.sha256(json.dumps(recipe).encode()).hexdigest()


@cache
def _compute_code_digests() -> list[str]:
    # Of the code itself: a version number would be forgotten when it changes.
    return [compute_code_digest(Path(str(code.__file__)).read_text("utf-8")) for code in CODE]


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
