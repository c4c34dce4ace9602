"""Near-duplicates: held against the comparison of all pairs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.common.images import duplicates
from components.common.images.duplicates import group_near_duplicates

HASH = st.integers(0, 2**64 - 1)


def group_by_all_pairs(phashes: list[str], max_distance: int) -> list[int]:
    """The oracle: flood-fill over every pair."""
    groups: list[int] = [-1] * len(phashes)
    for start in range(len(phashes)):
        if groups[start] >= 0:
            continue
        number = max(groups) + 1
        queue = [start]
        groups[start] = number
        while queue:
            i = queue.pop()
            for j, other in enumerate(phashes):
                near = (
                    phashes[i]
                    and other
                    and (int(phashes[i], 16) ^ int(other, 16)).bit_count() <= max_distance
                )
                if near and groups[j] < 0:
                    groups[j] = number
                    queue.append(j)
    return groups


@st.composite
def hashes_with_copies(draw: st.DrawFn) -> list[str]:
    """Hashes of which many are a few bits from an earlier one; some are empty."""
    known = draw(st.lists(HASH, min_size=1, max_size=12))
    for _ in range(draw(st.integers(0, 25))):
        value = draw(st.sampled_from(known))
        for bit in draw(st.lists(st.integers(0, 63), max_size=6)):
            value ^= 1 << bit
        known.append(value)
    return [f"{value:016x}" for value in known] + draw(st.lists(st.just(""), max_size=3))


@given(hashes_with_copies(), st.integers(0, 15), st.randoms(), st.sampled_from([2, 5, 2048]))
@settings(max_examples=300, deadline=None)
def test_equals_the_comparison_of_all_pairs(phashes, max_distance, random, block):
    random.shuffle(phashes)
    with pytest.MonkeyPatch.context() as patch:
        # Small ones, so that these few hashes span blocks and are merged many times.
        patch.setattr(duplicates, "BLOCK", block)
        patch.setattr(duplicates, "PENDING", block)
        found = group_near_duplicates(phashes, max_distance).tolist()
    assert found == group_by_all_pairs(phashes, max_distance)


def test_an_empty_hash_is_a_group_of_its_own():
    assert group_near_duplicates(["", "0" * 16, "", "0" * 15 + "1"], 1).tolist() == [0, 1, 2, 1]


@pytest.mark.parametrize("phashes", [[], [""], ["ff" * 8]])
def test_none_and_one(phashes):
    assert group_near_duplicates(phashes, 4).tolist() == list(range(len(phashes)))


def test_takes_arrays_of_text():
    phashes = np.array(["0" * 16, "f" * 16, "0" * 16])
    assert group_near_duplicates(phashes, 0).tolist() == [0, 1, 0]


def test_blocks_and_merging_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    # All in one bucket of the first band: pairs span blocks, and are merged many times.
    values = rng.integers(0, 2**12, 300, dtype=np.uint64) << np.uint64(52)
    phashes = [f"{value:016x}" for value in values]
    whole = group_near_duplicates(phashes, 2).tolist()
    monkeypatch.setattr(duplicates, "BLOCK", 7)
    monkeypatch.setattr(duplicates, "PENDING", 10)
    assert group_near_duplicates(phashes, 2).tolist() == whole == group_by_all_pairs(phashes, 2)
