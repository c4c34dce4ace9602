"""The image as a cluster runs it: read-only, offline, not as root, nothing to build with."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import pytest

from components import ROOMS
from tests.docker.engine import ROOT, find_image

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def image() -> str:
    return find_image()


def run(image: str, *words: str, check: bool = True) -> str:
    """Run a program in the image, offline and with a read-only root; return what it printed."""
    limits = ["--rm", "--read-only", "--network", "none", "--tmpfs", "/tmp", "--cap-drop", "ALL"]
    command = ["docker", "run", *limits, "--security-opt", "no-new-privileges", image, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def inspect(image: str) -> dict[str, Any]:
    found = subprocess.run(
        ["docker", "image", "inspect", image], capture_output=True, text=True, check=True
    )
    return json.loads(found.stdout)[0]["Config"]


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_answers_help(image: str, room: str) -> None:
    assert f"usage: python -m components.{room}" in run(
        image, "python", "-m", f"components.{room}", "--help"
    )


def test_the_pipeline_compiles_in_it(image: str) -> None:
    printed = run(image, "python", "-m", "pipelines", "compile", "--output", "/tmp/p.yaml")
    assert "/tmp/p.yaml" in printed


def test_it_is_nobodys_root_and_says_what_is_in_it(image: str) -> None:
    config = inspect(image)
    assert config["User"] == "10001:0"
    assert run(image, "id", "-u").strip() == "10001"
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()
    labels = config["Labels"]
    assert labels["org.opencontainers.image.revision"] == (commit or "unknown")
    assert labels["org.opencontainers.image.version"][0].isdigit()


def test_it_lists_its_packages_with_versions_and_licences(image: str) -> None:
    listed = json.loads(run(image, "cat", "/opt/darkroom/sbom.json"))
    assert listed["bomFormat"] == "CycloneDX"
    normal = re.compile("[-_.]+")  # as names of packages are compared (PEP 503)
    found = {normal.sub("-", part["name"]).lower(): part for part in listed["components"]}
    lock = (ROOT / "requirements/image.lock").read_text(encoding="utf-8")
    pinned = dict(re.findall(r"^([a-z0-9-]+)==([^ ;\\]+)(?= \\)", lock, re.MULTILINE))
    assert len(pinned) > 100
    assert {name: found[name]["version"] for name in pinned} == pinned
    unlicensed = [name for name, part in found.items() if not part.get("licenses")]
    assert len(unlicensed) < len(found) / 10, unlicensed


def test_its_debian_packages_are_fresh(image: str) -> None:
    # Asked of Debian's mirror, as the image's own user: nothing is installed.
    script = (
        "d=/tmp/apt; mkdir -p $d/lists/partial $d/cache; "
        'o="-o Dir::State::lists=$d/lists -o Dir::Cache=$d/cache"; '
        "apt-get $o update -qq >/dev/null 2>&1 || exit 9; apt-get $o -s upgrade | grep ^Inst"
    )
    done = subprocess.run(
        ["docker", "run", "--rm", image, "sh", "-c", script],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 9:
        pytest.skip("Debian's mirror cannot be asked from a container here")
    assert done.stdout == "", "build the image anew: make image"


def test_nothing_to_build_with_and_no_caches_are_in_it(image: str) -> None:
    script = (
        "for tool in gcc cc make pip uv; do command -v $tool; done;"
        "ls -A /var/lib/apt/lists /var/cache/apt /root/.cache /tmp /build 2>/dev/null;"
        "find / -xdev -name '*.whl' -not -path '*/ensurepip/*' 2>/dev/null"
    )
    found = [line for line in run(image, "sh", "-c", script, check=False).split() if line]
    # The base image's own pip, if it has one, is not the environment's.
    assert [one for one in found if one.startswith("/opt") or "gcc" in one] == []
    asked = "import importlib.util as u; print(u.find_spec('pip'), u.find_spec('pytest'))"
    assert run(image, "python", "-c", asked).split() == ["None", "None"]


def test_code_and_packages_cannot_be_changed(image: str) -> None:
    for place in ("/app/components", "/opt/darkroom"):
        denied = run(image, "sh", "-c", f"touch {place}/x && echo written", check=False)
        assert "written" not in denied


def test_the_weights_of_the_default_backbone_are_in_it(image: str) -> None:
    code = (
        "from components.train.networks.backbones import create_body, find_backbone;"
        "body = create_body(find_backbone('EfficientNetLite0'), 'imagenet', 64);"
        "print('parameters', body.count_params())"
    )
    printed = run(image, "python", "-c", code)
    assert int(re.findall(r"parameters (\d+)", printed)[0]) > 3_000_000


def test_it_installs_and_downloads_nothing(image: str) -> None:
    # Without a network a run would fail if it did: ingest and validate on bundled digits.
    script = (
        "cd /tmp && python -m components.ingest --params /app/params.yaml --source data/images"
        " --images data/images && python -m components.validate --params /app/params.yaml"
        " --images data/images --manifest m.parquet --validation v.json --quarantine q.csv"
        " --data-docs docs && ls m.parquet docs/index.html"
    )
    assert "docs/index.html" in run(image, "sh", "-c", script)
