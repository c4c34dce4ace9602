"""The quick rooms, run once undisturbed."""

from __future__ import annotations

import pytest

from tests.faults.project import ROOMS, Line, run_undisturbed


@pytest.fixture(scope="session")
def line(tmp_path_factory: pytest.TempPathFactory) -> Line:
    return run_undisturbed(tmp_path_factory.mktemp("line"), ROOMS[:3])
