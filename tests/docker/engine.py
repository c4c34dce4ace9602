"""The Docker engine and the project's image, built once for all tests that need it."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IMAGE = os.environ.get("DARKROOM_IMAGE", "darkroom:latest")


@cache
def find_image() -> str:
    """Build the image of this code and return its name; skip where no engine answers."""
    if not shutil.which("docker"):
        pytest.skip("no docker here: the image is not built")
    asked = subprocess.run(["docker", "version"], capture_output=True, text=True, check=False)
    if asked.returncode:
        pytest.skip("no Docker engine answers here: the image is not built")
    done = subprocess.run(
        ["make", "image", f"IMAGE={IMAGE}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return IMAGE
