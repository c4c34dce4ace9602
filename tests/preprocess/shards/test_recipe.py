"""A recipe counts what code does, not what it says of itself or where it stands."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from dataclasses import astuple
from pathlib import Path

import pytest

from components.common.images.pixels import ImageForm
from components.common.images.recipe import compute_code_digest
from components.preprocess.shards.recipe import compute_recipe
from components.preprocess.shards.records import Row

ROOT = Path(__file__).parents[3]
FORM = ImageForm(64, "stretch", "#ffffff")
ROWS = [Row(f"{i}.png", i % 3, hashlib.sha256(b"%d" % i).hexdigest()) for i in range(3)]

SOURCE = '''\
"""Module × words,

in several lines.
"""

from __future__ import annotations

import struct  # needed
from collections.abc import (
    Mapping,  # one
    Sequence,
)

WHITE = "#ffffff"  # a colour, no comment
TEXT = """one

# two
"""


class Frame:
    """Words."""

    size: int = 3

    def pack(self, byte: int = 255) -> bytes:
        """Words; see `import`."""
        import zlib

        # Little-endian.
        return struct.pack("<I", (byte + 1) << 2) + b"""
"""


def only_words() -> None:
    """Words."""
'''
# By hand: what is left of it.
LEFT = '''\
WHITE = "#ffffff"
TEXT = """one

# two
"""
class Frame:
    size: int = 3
    def pack(self, byte: int = 255) -> bytes:
        return struct.pack("<I", (byte + 1) << 2) + b"""
"""
def only_words() -> None:'''


def replace(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)


def test_it_is_the_digest_of_the_lines_that_do_something() -> None:
    """The same on every version of Python: nothing in it is made by one."""
    assert compute_code_digest(SOURCE) == hashlib.sha256(LEFT.encode()).hexdigest()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Module × words", "Other words of a module, # and more"),
        ('"""Words."""\n\n    size', "size"),
        ('"""Words; see `import`."""', '"""Words,\n\n        in lines."""'),
        ("# Little-endian.", "# As TFRecord wants it.\n\n        # Source: TensorFlow."),
        ("  # a colour, no comment", ""),
        ("size: int = 3", "size: int = 3  # bytes"),
        ("import struct  # needed\n", ""),
        ("import struct", "import struct, os"),
        ("from collections.abc import (\n    Mapping,  # one\n    Sequence,\n)", "import abc"),
        ("        import zlib\n\n", ""),
        ("\n\nclass", "\n\n\n\n\nclass"),
    ],
)
def test_words_imports_and_blank_lines_play_no_part(old: str, new: str) -> None:
    assert compute_code_digest(replace(SOURCE, old, new)) == compute_code_digest(SOURCE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("#ffffff", "#000000"),
        ("size: int = 3", "size: int = 4"),
        ("byte: int = 255", "byte: int = 254"),
        ("byte + 1", "byte - 1"),
        ('"<I"', '">I"'),
        ("def pack(self", "@staticmethod\n    def pack(self"),
        ("        return", "        if byte:\n            return"),
        ("one\n\n# two", "one\n# two"),  # inside a text
        ("one\n\n# two", "one\n\n# three"),
        ('b"""\n"""', 'b"""\n\n"""'),
        ("import struct  # needed", "import struct; SIZE = 4"),  # not by its imports alone
        ('"""Words."""\n\n    size', '"""Words.""" * 2\n\n    size'),  # no docstring
    ],
)
def test_what_code_does_makes_another(old: str, new: str) -> None:
    assert compute_code_digest(replace(SOURCE, old, new)) != compute_code_digest(SOURCE)


def test_code_beside_an_import_is_not_lost() -> None:
    digests = {compute_code_digest(f"import struct; SIZE = {size}\n") for size in (4, 8)}
    digests |= {compute_code_digest(f'def f(x={size}): """Words."""\n') for size in (4, 8)}
    assert len(digests) == 4


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("common/images/formats.py", "// 4 // 3", "// 4 // 4"),
        ("common/images/colour.py", "(1.0, 255.0)", "(1.0, 256.0)"),
        ("common/shards/tfrecord.py", "crc >> 15", "crc >> 14"),
        ("preprocess/shards/records.py", "LABEL: row.label,", "LABEL: row.label + 1,"),
        ("common/artifacts/dataset.py", '"pixels", "label",', '"pixels", "class",'),
    ],
)
def test_a_recipe_is_of_the_code_wherever_it_stands(
    tmp_path: Path, file: str, old: str, new: str
) -> None:
    """A copy of the code, with other words in it, makes the same recipe; with a change, another."""
    shutil.copytree(ROOT / "components", tmp_path / "components")
    place = tmp_path / "components" / file
    text = place.read_text().replace('"""', '"""Other words: ', 1) + "# The end.\n"
    text = replace(text, "annotations\n", "annotations\n\nimport base64  # moved\n\n")
    place.write_text(text)
    assert compute_in(tmp_path) == compute_recipe(ROWS, FORM)
    place.write_text(replace(text, old, new))
    assert compute_in(tmp_path) != compute_recipe(ROWS, FORM)


def compute_in(folder: Path) -> str:
    """Return the recipe that the code in a folder computes."""
    code = (
        "from components.common.images.pixels import ImageForm\n"
        "from components.preprocess.shards import recipe\n"
        "from components.preprocess.shards.records import Row\n"
        f"rows = [Row(*row) for row in {[astuple(row) for row in ROWS]}]\n"
        f"print(recipe.__file__, recipe.compute_recipe(rows, ImageForm(*{astuple(FORM)})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, check=True, capture_output=True, text=True
    )
    file, recipe = done.stdout.split()
    assert Path(file).is_relative_to(folder)
    return recipe
