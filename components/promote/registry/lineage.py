"""Where a model comes from: code, images, settings, surroundings. What is unknown is left out."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from components.common.artifacts.model import ModelCard
from components.common.errors import DarkroomError
from components.common.files.ownership import find_real
from components.common.settings.yaml import load_yaml
from components.common.tracking.runs import KFP_RUN_ID

# Set by whoever starts the container; no process can read it from inside.
IMAGE_DIGEST = "DARKROOM_IMAGE_DIGEST"
# Set in the image: the commit that it was built from.
IMAGE_COMMIT = "DARKROOM_GIT_COMMIT"
# `dvc repro` itself writes it while the stages run, so it says nothing of the code.
NOT_CODE = ":(top,exclude)dvc.lock"


def find_lineage(card: ModelCard, source: Path, folder: Path) -> dict[str, str]:
    """Return what is known of a model's origin, name → value, all of it text for MLflow's tags.

    Names: git_commit, git_clean (`true` where nothing but dvc.lock differs from the commit),
    images_dvc (DVC's digest of the folder of images), `<name>_digest` for each digest of the card
    and for its params, container_digest, kfp_run_id.

    Args:
        card: of the model.
        source: the folder of images, as `data.source` names it.
        folder: a folder of the repository, with dvc.yaml in it.
    """
    found = {f"{name}_digest": digest for name, digest in card.digests.items()}
    if card.params:
        found["params_digest"] = compute_params_digest(card.params)
    found |= read_git(folder)
    if digest := read_dvc_digest(source, folder):
        found["images_dvc"] = digest
    for name, variable in (("container_digest", IMAGE_DIGEST), ("kfp_run_id", KFP_RUN_ID)):
        if value := os.environ.get(variable, "").strip():
            found[name] = value
    return found


def compute_params_digest(params: Mapping[str, Any]) -> str:
    """Return the sha256 of settings, hex; their order plays no part."""
    text = json.dumps(params, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def read_git(folder: Path) -> dict[str, str]:
    """Return git_commit and git_clean of the repository around a folder, or of the image's code.

    The image knows the commit it was built from; outside of both nothing is known.
    """
    commit = _ask_git(folder, "rev-parse", "HEAD")
    changes = _ask_git(folder, "status", "--porcelain", "--", ":/", NOT_CODE)
    if not commit or changes is None:
        built_from = os.environ.get(IMAGE_COMMIT, "").strip()
        return {"git_commit": built_from} if built_from not in ("", "unknown") else {}
    return {"git_commit": commit, "git_clean": "false" if changes else "true"}


def read_dvc_digest(source: Path, folder: Path) -> str:
    """Return DVC's digest of a folder of images, `<md5>.dir`; empty if DVC knows none.

    dvc.lock says what the pipeline read or wrote; where that is silent, `<source>.dvc` says what
    was added.

    Args:
        source: absolute, or relative to `folder`.
        folder: the folder of dvc.yaml.
    """
    lock = _read_yaml(folder / "dvc.lock")
    wanted = find_real(folder / source)
    stages = lock.get("stages")
    for stage in (stages if isinstance(stages, dict) else {}).values():
        for entry in _entries(stage, "outs", "deps"):
            if find_real(folder / entry["path"]) == wanted:
                return str(entry["md5"])
    for entry in _entries(_read_yaml(wanted.with_name(f"{wanted.name}.dvc")), "outs"):
        if wanted.parent / entry["path"] == wanted:
            return str(entry["md5"])
    return ""


def _entries(stage: Any, *kinds: str) -> Iterator[dict[str, str]]:
    """Yield the files and folders of a stage that have a digest."""
    for kind in kinds:
        entries = stage.get(kind) if isinstance(stage, dict) else None
        for entry in entries if isinstance(entries, list) else []:
            if isinstance(entry, dict) and {"path", "md5"} <= entry.keys():
                yield entry


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        found = load_yaml(file.read_text(encoding="utf-8"), most_signs=None)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        words = " ".join(str(error).split())
        raise DarkroomError(f"{file}: not readable ({words}); restore it from git") from None
    return found if isinstance(found, dict) else {}


def _ask_git(folder: Path, *words: str) -> str | None:
    """Return what git answers; None without git or outside of a repository."""
    try:
        done = subprocess.run(  # noqa: S603
            ["git", "-C", str(folder), *words],  # noqa: S607 - the one on the PATH is the user's
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
