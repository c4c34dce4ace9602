"""How alike pairs of pictures were found to be, by this run and by earlier ones.

To compare two pictures both are read again. What comes out depends on their bytes, on how they are
laid over each other and on the code; so a pair that was compared once need not be again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from components.common.files.writing import writing
from components.common.images.recipe import compute_digest_of_all, list_decoders
from components.common.terminal import say
from components.validate.copies.candidates import Pairs
from components.validate.copies.judging import Likeness

PAIR = "pair"  # column of the tables: see :func:`name_pairs`; the others are those of Likeness
VALUES = tuple(one.name for one in fields(Likeness))


def compute_pairs_recipe() -> str:
    """Return the digest of the code that compares pictures, and of the libraries that it uses."""
    code = compute_digest_of_all("components.validate.copies.copies")
    said = repr((code, list_decoders(), version("numpy"), version("scipy")))
    return hashlib.sha256(said.encode()).hexdigest()[:16]


@dataclass
class Compared:
    """What is known of pairs, and what this run has added."""

    known: dict[bytes, tuple[float, ...]] = field(default_factory=dict)
    added: dict[bytes, tuple[float, ...]] = field(default_factory=dict)

    def complete(
        self,
        names: Sequence[bytes],
        compare: Callable[[np.ndarray], tuple[Likeness, np.ndarray]],
    ) -> Likeness:
        """Return how alike pairs are.

        Args:
            names: of the pairs.
            compare: returns it of some of them, by their positions, from their pictures; and of
                which both could be read: the others are not kept.
        """
        new = np.flatnonzero([name not in self.known for name in names])
        found, whole = compare(new)
        values = np.array([self.known.get(name, (0.0,) * len(VALUES)) for name in names])
        values = values.reshape(len(names), len(VALUES))
        values[new] = np.stack([getattr(found, name) for name in VALUES], axis=1)
        self.added |= {names[row]: tuple(values[row].tolist()) for row in new[whole].tolist()}
        return Likeness(*values.T)

    @classmethod
    def read(cls, tables: Sequence[Path]) -> Compared:
        """Return what earlier runs have found; a table that is damaged, or gone, tells nothing."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        known: dict[bytes, tuple[float, ...]] = {}
        for file in tables:
            try:
                table = pq.read_table(file).cast(_create_schema())
            except (OSError, ValueError, KeyError, pa.ArrowException) as error:
                say(f"{file}: cannot be read ({error}); its pairs are compared again")
                continue
            columns = [table[name].to_pylist() for name in (PAIR, *VALUES)]
            known |= {name: values for name, *values in zip(*columns, strict=True)}
        return cls(known)

    def write(self, target: Path) -> int:
        """Write what this run has added; return the number of pairs."""
        _write(target, self.added)
        return len(self.added)


def join_compared(tables: Sequence[Path], target: Path) -> int:
    """Write one table of many; return the number of its pairs."""
    known = Compared.read(tables).known
    _write(target, known)
    return len(known)


def name_pairs(digests: Mapping[int, str], pairs: Pairs) -> list[bytes]:
    """Return a name for each pair: which bytes, and how the first lies over the second.

    Args:
        digests: picture → its sha256, of these at least.
        pairs: of these pictures.
    """
    lie = np.concatenate(
        [
            pairs.orientation[:, None].astype(np.float32),
            *(pairs.first_box, pairs.second_box, pairs.first_content, pairs.second_content),
        ],
        axis=1,
        dtype=np.float32,
    )
    return [
        hashlib.sha256(f"{digests[first]} {digests[second]} ".encode() + row.tobytes()).digest()
        for first, second, row in zip(pairs.first.tolist(), pairs.second.tolist(), lie, strict=True)
    ]


def _write(target: Path, values: dict[bytes, tuple[float, ...]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = [list(values), *(list(one) for one in zip(*values.values(), strict=True))]
    schema = _create_schema()
    table = pa.table(columns, schema) if values else schema.empty_table()
    with writing(target) as temporary:
        pq.write_table(table, temporary)


def _create_schema() -> Any:
    import pyarrow as pa

    kinds = [(PAIR, pa.binary(hashlib.sha256().digest_size))]
    return pa.schema([*kinds, *((name, pa.float64()) for name in VALUES)])
