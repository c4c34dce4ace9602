"""The recipe of a shard: a digest of all that decides its bytes, so that none is written twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import astuple
from functools import cache
from pathlib import Path

from components.common.artifacts.dataset import LABEL, PATH, PIXELS, SHA256
from components.common.images import colour, deep, formats, pixels
from components.common.images.pixels import ImageForm
from components.common.images.recipe import compute_code_digest, list_decoders
from components.common.shards import tfrecord
from components.preprocess.shards import records
from components.preprocess.shards.records import Row

# The code that decides the bytes: image → pixels, features → record, row → features.
CODE = (pixels, colour, deep, formats, tfrecord, records)
FEATURES = (PIXELS, LABEL, PATH, SHA256)  # names in a record, from a module that holds more


def compute_recipe(rows: Sequence[Row], form: ImageForm) -> str:
    """Return the digest of all that decides the bytes of a shard: rows, form, code and decoder."""
    listed = [(row.path, row.label, row.sha256) for row in rows]
    recipe = [list_decoders(), FEATURES, _compute_code_digests(), astuple(form), listed]
    return hashlib.sha256(json.dumps(recipe).encode()).hexdigest()


@cache
def _compute_code_digests() -> list[str]:
    # Of the code itself: a version number would be forgotten when it changes.
    return [compute_code_digest(Path(str(code.__file__)).read_text("utf-8")) for code in CODE]
