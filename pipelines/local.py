"""Run the pipeline on this machine: in processes, or in containers of the image."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

from components.common.errors import DarkroomError
from components.common.settings.kubeflow import DEFAULT, Resources
from components.common.terminal import Stopwatch, say
from components.common.tracking.databases import name_database
from components.common.tracking.runs import KFP_RUN_ID
from components.common.tracking.server import DEFAULT_URI
from pipelines.settings import Settings

HOME = Path(__file__).parents[1]  # what the tasks' bodies import lies here


def run_in_processes(settings: Settings, root: Path, cached: bool = False) -> Path:
    """Run every task as a process of this environment; return the folder of what they wrote."""
    from kfp import local

    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, (str(HOME), os.environ.get("PYTHONPATH", "")))
    )
    os.environ[KFP_RUN_ID] = f"local-{secrets.token_hex(6)}"
    return _run(settings, root, local.SubprocessRunner(use_venv=False), cached)


def run_in_docker(settings: Settings, root: Path, cached: bool = False) -> Path:
    """Run every task as a container of the project's image; return the folder of what they wrote.

    The image must be on this machine. Containers see nothing of it but `root`, and no network but
    the host's; they run as the present user with a read-only root file system.
    """
    from kfp import local

    root = root.resolve()
    image = settings.kubeflow.image
    _check_image(image)
    environment = {KFP_RUN_ID: f"local-{secrets.token_hex(6)}"}
    uri = os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI
    if uri.startswith("sqlite:///"):
        # In the folder that containers and host share; the server of a team needs no such thing.
        uri = name_database(root / "mlflow.db")
        say(f"MLflow: {uri}")
    environment["MLFLOW_TRACKING_URI"] = uri
    runner = local.DockerRunner(
        environment=environment,
        user=f"{os.getuid()}:{os.getgid()}",
        working_dir=str(root),
        network_mode="host",
        read_only=True,
        tmpfs={"/tmp": "exec,mode=1777"},  # noqa: S108 - inside the container
        shm_size="1g",
    )
    return _run(settings, root, runner, cached)


def _run(settings: Settings, root: Path, runner: Any, cached: bool) -> Path:
    from kfp import local

    from pipelines.compiler import create_pipeline

    watch = Stopwatch()
    # Nothing here fails by chance: a failed task fails again, after minutes of waiting.
    tasks = {name: replace(one, retries=0) for name, one in settings.kubeflow.tasks.items()}
    tasks[DEFAULT] = replace(tasks.get(DEFAULT, Resources()), retries=0)
    kubeflow = replace(settings.kubeflow, tasks=tasks)
    root.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # resources are for the cluster: it says so of each one
        local.init(runner, pipeline_root=str(root), enable_caching=cached)
        before = set(root.iterdir())
        pipeline = create_pipeline(replace(settings, kubeflow=kubeflow))
        try:
            pipeline()
        except RuntimeError as error:
            raise DarkroomError(describe_failure(str(error), root)) from None
    made = max(
        (one for one in root.iterdir() if one not in before and one.name.startswith("darkroom-")),
        key=lambda one: one.stat().st_mtime,
        default=root,
    )
    say(f"the pipeline succeeded ({watch}); what it wrote is in {made}")
    return made


def describe_failure(words: str, root: Path) -> str:
    """Return which task failed, from what KFP's local runner says, and where to look."""
    plain = re.sub(r"\x1b\[\d+m", "", words)
    task = re.search(r"Inner task failed: '([^']+)'", plain)
    what = f"task {task[1]} failed" if task else f"the pipeline failed ({plain.rstrip('.')})"
    return f"{what}; its own last line above says why, {root} has what the others wrote"


def _check_image(image: str) -> None:
    try:
        done = subprocess.run(  # noqa: S603
            ["docker", "image", "inspect", image],  # noqa: S607 - the one on the PATH
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except FileNotFoundError:
        raise DarkroomError("there is no docker here; install it, or run without it") from None
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        raise DarkroomError(f"no image {image} here ({reason}); run `make image` first")
