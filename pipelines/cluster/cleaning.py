"""What is on the shared volume and in MLflow that no run in KFP needs any more."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from components.common.errors import DarkroomError
from components.common.terminal import say
from components.common.tracking.runs import KFP_TAG
from components.common.tracking.server import import_mlflow
from pipelines.cluster.connection import Connection, explain_failures
from pipelines.steps.runs import FAILED, SUCCEEDED, TAG_STATE, close_run
from pipelines.steps.shared.memory import LISTINGS, SEEN, Memory
from pipelines.steps.shared.volume import BOOKS, PARTIAL, Volume

DAY_SECONDS = 24 * 3600
MONTH_SECONDS = 30 * DAY_SECONDS
KINDS = ("images", "written", "shards")
WENT_WELL = ("SUCCEEDED", "SKIPPED")
ENDED = (*WENT_WELL, "FAILED", "CANCELED")


@dataclass(frozen=True)
class Found:
    """A folder of the volume, and why it stays or may go."""

    folder: Path
    reason: str  # why it stays; empty: nothing needs it


def read_runs(connection: Connection) -> dict[str, str]:
    """Return the runs that KFP has in the namespace: id → state; archived ones are left out.

    Of all experiments: the volume is the namespace's, and runs of any of them may be on it.
    """
    found: dict[str, str] = {}
    token = ""
    with explain_failures(connection):
        while True:
            page = connection.client.list_runs(
                page_token=token, page_size=100, namespace=connection.namespace or None
            )
            for run in page.runs or []:
                if run.storage_state != "ARCHIVED":
                    found[run.run_id] = str(run.state or "PENDING")
            token = page.next_page_token or ""
            if not token:
                return found


def find_folders(
    volume: Volume, runs: Mapping[str, str], keep: int, now: float | None = None
) -> Iterator[Found]:
    """Yield every folder of the volume that Darkroom made, with the reason why it stays.

    A run that goes on or failed needs what it used, for KFP's Retry goes on with it; one that
    succeeded needs nothing. Of each kind the newest stay for the cache.

    Args:
        volume: the volume.
        runs: of :func:`read_runs`.
        keep: how many of each kind stay in any case.
        now: seconds since the epoch.
    """
    now = time.time() if now is None else now
    going_on = [run for run, state in runs.items() if state not in ENDED]
    lines = Memory(volume).list_lines()
    last = {folder for book, folder in lines if now - _read_age(book) < MONTH_SECONDS}
    for kind in KINDS:
        around = volume.mount / kind
        folders = [one for one in around.glob("*") if one.is_dir()]
        whole = [one for one in folders if not one.name.endswith(PARTIAL)]
        newest = sorted(whole, key=lambda one: _last_use(volume, one), reverse=True)[:keep]
        for folder in sorted(folders):
            used_by = _list_users(volume, folder)
            open_runs = [run for run in used_by if runs.get(run, WENT_WELL[0]) not in WENT_WELL]
            reason = ""
            if open_runs:
                reason = f"run {open_runs[0]} is {runs[open_runs[0]].lower()} and may go on"
            elif folder.name.endswith(PARTIAL) and going_on:
                reason = f"half written, perhaps by run {going_on[0]}, which goes on"
            elif now - _last_use(volume, folder) < DAY_SECONDS:
                reason = "used within a day"
            elif folder in last:
                reason = "the last of a line of runs, which went on within a month"
            elif folder in newest:
                reason = f"among the newest {keep}, for the cache"
            yield Found(folder, reason)
    for folder in sorted(one for one in (volume.mount / "runs").glob("*") if one.is_dir()):
        state = runs.get(folder.name, "")
        reason = f"its run is {state.lower()}" if state not in ("", *WENT_WELL) else ""
        # A run may have begun since KFP was asked for its runs.
        if not reason and now - _read_age(folder) < DAY_SECONDS:
            reason = "written within a day"
        yield Found(folder, reason)


def find_memories(volume: Volume, now: float | None = None) -> Iterator[Found]:
    """Yield what one run left for the next, with the reason why it stays.

    The splits of a line of runs are none of it: they keep images where they are, for ever.

    Args:
        volume: the volume.
        now: seconds since the epoch.
    """
    now = time.time() if now is None else now
    books = volume.mount / BOOKS
    for folder in sorted((books / SEEN).glob("*")):
        age = now - _read_age(folder)
        reason = "what was seen in images, used within a month" if age < MONTH_SECONDS else ""
        for half in () if not reason else folder.glob(f"*{PARTIAL}"):
            if now - _read_age(half) > DAY_SECONDS:
                yield Found(half, "")  # of a pod that was killed
        yield Found(folder, reason)
    for file in sorted((books / LISTINGS).glob("*.parquet")):
        if (
            now - _read_age(file) > DAY_SECONDS
            and not (volume.mount / "images" / file.stem).is_dir()
        ):
            yield Found(file, "")


def clean(connection: Connection, mount: Path, experiment: str, keep: int, remove: bool) -> None:
    """List what no run needs on the volume and in MLflow; remove and close it if that is asked for.

    Args:
        connection: of :func:`connect`.
        mount: where the shared volume is mounted; it is skipped if nothing is there.
        experiment: MLflow's, in which the pipeline has its runs.
        keep: folders of each kind that stay in any case.
        remove: do it, and do not only say it.
    """
    runs = read_runs(connection)
    volume = Volume(mount)
    if not mount.is_dir():
        say(f"{mount}: no volume here")
    elif not (mount / BOOKS).is_dir():
        raise DarkroomError(f"{mount}: no volume of Darkroom's: {BOOKS} is not in it")
    else:
        found = [*find_folders(volume, runs, keep), *find_memories(volume)]
        _clean_volume(volume, found, remove)
    close_open_runs(runs, experiment, remove)


def _clean_volume(volume: Volume, found: list[Found], remove: bool) -> None:
    kept = []
    for one in found:
        name = one.folder.relative_to(volume.mount)
        if one.reason:
            say(f"stays    {name}: {one.reason}")
        elif remove:
            try:
                volume.remove(one.folder)
                say(f"removed  {name}")
            except OSError as error:  # of another user, perhaps: the others can go all the same
                kept.append(f"{name} ({error.strerror})")
        else:
            say(f"unneeded {name}")
    if not remove and any(not one.reason for one in found):
        say("--remove removes what is unneeded")
    if kept:
        raise DarkroomError(f"{volume.mount}: cannot be removed: {', '.join(kept)}")


def close_open_runs(runs: Mapping[str, str], name: str, remove: bool) -> None:
    """End MLflow's runs that are open though their KFP run has ended: a killed pod left them."""
    mlflow = import_mlflow(create=False)  # a new one would have no runs
    experiment = mlflow.get_experiment_by_name(name)
    if experiment is None:
        return
    client = mlflow.MlflowClient()
    for run in client.search_runs(
        [experiment.experiment_id], "attributes.status = 'RUNNING'", max_results=1000
    ):
        kfp_run = run.data.tags.get(KFP_TAG, "")
        state = runs.get(kfp_run, "")
        if not kfp_run or state not in ENDED:
            continue
        words = f"MLflow run {run.info.run_id} is open, and its KFP run {kfp_run} {state.lower()}"
        say(f"{words}: closed" if remove else words)
        if remove:
            ended = run.data.tags.get(TAG_STATE) or (SUCCEEDED if state in WENT_WELL else FAILED)
            close_run(mlflow, run.info.run_id, ended)


def _list_users(volume: Volume, folder: Path) -> list[str]:
    return sorted(file.name for file in volume.find_uses(folder).glob("[!.]*"))


def _last_use(volume: Volume, folder: Path) -> float:
    return max(map(_read_age, (*volume.find_uses(folder).glob("[!.]*"), folder)))


def _read_age(file: Path) -> float:
    """Return when a file was written last, seconds since the epoch; 0: it is gone by now."""
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0
