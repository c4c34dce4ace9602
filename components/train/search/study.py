"""A study: trials of train over ranges of its settings, each an MLflow run below the study's."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.common.artifacts.dataset import Dataset, read_dataset
from components.common.errors import DarkroomError
from components.common.files.writing import remove_written
from components.common.terminal import say
from components.common.tracking.databases import name_database
from components.common.tracking.failures import explain_failures
from components.common.tracking.journal import find_journal
from components.common.tracking.server import import_mlflow
from components.common.tracking.signals import find_status, raising_on_sigterm
from components.train.search.attempt import REPEATS, RUN, STOPPED, run_attempt
from components.train.search.database import explain_database, has_studies
from components.train.search.settings import create_params, read_present, read_settings
from components.train.search.space import Space, describe_space, read_space
from components.train.spec import Params

if TYPE_CHECKING:
    import optuna

# An sqlite file is enough for one machine; a trial whose process was killed is known by its
# heartbeat, and tried again.
HEARTBEAT_SECONDS, GRACE_SECONDS = 10, 30
STARTUP_TRIALS = 4  # before these have ended there is nothing to compare with
REPEATED = 3  # of the best trials run once more, with another seed
RANDOM_TRIALS = 8  # then the sampler (TPE) begins to prefer what went well


@dataclass(frozen=True)
class Search:
    """What a search works on."""

    shards: Path
    params: Path  # params.yaml
    space: Path  # search.yaml
    database: Path
    name: str
    trials: int  # that shall have ended in all, earlier sessions' included
    timeout_seconds: float | None
    pruner: str  # asha, median, hyperband or none

    @property
    def work(self) -> Path:
        """The folder where trials keep their checkpoints, and all of them the features."""
        return self.database.with_suffix(".work")


@dataclass(frozen=True)
class Best:
    """The best trial so far."""

    number: int
    settings: dict[str, Any]  # dotted key → value
    accuracy: float  # on the validation split
    loss: float  # mean over its repeats, see run_attempt
    runs: int  # it and its repeats


def run_search(search: Search) -> Best:
    """Try settings until enough trials have ended or time is up; return the best.

    The first trial is params.yaml as it stands, so the best is never worse than that, judged by
    the validation split. The test split is not looked at.
    """
    has_studies(search.database)  # refuses a file of something else before anything is done
    space = read_space(search.space, search.params)
    dataset = read_dataset(search.shards)
    study = _open_study(search, space, dataset)
    if not study.trials:
        own, begins = read_settings(search.params), read_present(search.params)
        first = {
            key: own[key] if part.has(own[key]) else begins[key] for key, part in space.items()
        }
        if all(part.has(first[key]) for key, part in space.items()):
            study.enqueue_trial(first)
        else:
            say("params.yaml lies outside of the ranges: it is not among the trials")
    mlflow = import_mlflow()
    base = create_params(search.params, {})
    parent = _open_parent(mlflow, study, base, search)

    def objective(trial: optuna.Trial) -> float:
        settings = {key: part.suggest(trial, key) for key, part in space.items()}
        trial.set_user_attr("settings", settings)
        first = _find_first(study, trial.number)
        seed = {"train.seed": (base.seed + 1 + first) % 2**31}
        other = seed if REPEATS in trial.user_attrs else {}
        params = create_params(search.params, settings | other)
        folder = search.work / search.name / f"trial-{first}"
        return run_attempt(
            mlflow, trial, params, shards=search.shards, folder=folder, parent=parent
        )

    with _until_its_end(mlflow, parent):
        _try_out(study, search, objective)
    if not _find_running(study) and not find_journal(search.work / search.name / RUN).exists():
        remove_written(search.work / search.name)
    best = find_best_trial(study)
    with explain_failures():
        client = mlflow.MlflowClient()
        client.log_metric(parent, "best_val_accuracy", best.accuracy)
        client.log_metric(parent, "best_val_loss", best.loss)
        client.set_tag(parent, "darkroom.best_trial", str(best.number))
        client.set_terminated(parent)
    return best


def _try_out(
    study: optuna.Study, search: Search, objective: Callable[[optuna.Trial], float]
) -> None:
    """Run the trials that are missing, then the best ones once more, until time is up."""
    _take_over(study)
    until = None if search.timeout_seconds is None else time.time() + search.timeout_seconds

    def go_on(is_wanted: Callable[[], bool]) -> None:
        """Run one trial after the other; another session may run some of them meanwhile."""
        while is_wanted() and (until is None or time.time() < until):
            study.optimize(objective, n_trials=1)

    go_on(lambda: count_ended(study) < search.trials)
    if count_ended(study) >= search.trials:
        _queue_repeats(study)
        go_on(lambda: any(trial.state.name == "WAITING" for trial in study.trials))


@contextmanager
def _until_its_end(mlflow: Any, parent: str) -> Iterator[None]:
    """Say of the search's own run how it ended, if something ends it."""
    try:
        with raising_on_sigterm():
            yield
    except BaseException as error:
        with explain_failures():
            mlflow.MlflowClient().set_terminated(parent, find_status(error))
        raise


def read_study(database: Path, name: str) -> optuna.Study:
    """Open a study that is there already."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if not has_studies(database):
        raise DarkroomError(f"{database}: no studies here; `search run` makes one")
    with explain_database(database):
        try:
            return optuna.load_study(study_name=name, storage=name_database(database))
        except KeyError:
            known = ", ".join(optuna.get_all_study_names(name_database(database)))
            raise DarkroomError(f"{database}: no study {name}; there are: {known}") from None


def count_ended(study: optuna.Study) -> int:
    """Return how many trials ran to their end or were pruned; repeats are none of their own."""
    ended = [trial for trial in study.trials if trial.state.name in ("COMPLETE", "PRUNED")]
    return sum(REPEATS not in trial.user_attrs for trial in ended)


def find_best_trial(study: optuna.Study) -> Best:
    """Return the trial of the lowest loss, of those that were repeated if there are some.

    The best of many trials is the luckiest of the good ones; what its settings are worth, other
    seeds show, so repeated ones are compared by their means.
    """
    done = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    if not done:
        raise DarkroomError(f"study {study.study_name}: no trial has ended yet; let it run longer")
    runs: dict[int, list[Any]] = {}
    for trial in done:
        runs.setdefault(trial.user_attrs.get(REPEATS, trial.number), []).append(trial)
    most = max(map(len, runs.values()))
    rivals = [group for group in runs.values() if len(group) == most]

    def average(group: list[Any]) -> float:
        return sum(trial.values[0] for trial in group) / len(group)

    best = min(rivals, key=average)
    return Best(
        number=best[0].number,
        settings=best[0].user_attrs["settings"],
        accuracy=sum(trial.user_attrs["val_accuracy"] for trial in best) / len(best),
        loss=average(best),
        runs=len(best),
    )


def _queue_repeats(study: optuna.Study) -> None:
    """Queue the best trials once more, with another seed each."""
    done = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    own = [trial for trial in done if REPEATS not in trial.user_attrs]
    known = {trial.user_attrs.get(REPEATS) for trial in study.trials}
    for trial in sorted(own, key=lambda trial: trial.values[0])[:REPEATED]:
        if trial.number not in known:
            study.enqueue_trial(trial.params, user_attrs={REPEATS: trial.number})


def _open_study(search: Search, space: Space, dataset: Dataset) -> optuna.Study:
    """Make the study or go on with it; refuse to mix trials that cannot be compared."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.ERROR)
    # Heartbeats are what it calls experimental, since 2021.
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    search.database.parent.mkdir(parents=True, exist_ok=True)
    with explain_database(search.database):
        storage = optuna.storages.RDBStorage(
            name_database(search.database),
            heartbeat_interval=HEARTBEAT_SECONDS,
            grace_period=GRACE_SECONDS,
            heartbeat_stale_trial_callback=optuna.storages.RetryHeartbeatStaleTrialCallback(),
        )
    pruners: dict[str, Callable[[], optuna.pruners.BasePruner]] = {
        # Epoch 0 is the probe, which is the same in all trials of a backbone.
        "asha": lambda: optuna.pruners.SuccessiveHalvingPruner(reduction_factor=2),
        "median": lambda: optuna.pruners.MedianPruner(STARTUP_TRIALS, n_warmup_steps=1),
        "hyperband": optuna.pruners.HyperbandPruner,
        "none": optuna.pruners.NopPruner,
    }
    base = read_settings(search.params)
    study = optuna.create_study(
        study_name=search.name,
        storage=storage,
        load_if_exists=True,
        direction="minimize",
        pruner=pruners[search.pruner](),
    )
    # A session that goes on must not draw what an earlier one drew.
    seed = base["train.seed"] + len(study.trials)
    study.sampler = optuna.samplers.TPESampler(n_startup_trials=RANDOM_TRIALS, seed=seed)
    about = {
        "images": {name: dataset.splits[name].digest for name in ("train", "val")},
        "ranges": describe_space(space),
        "settings": {key: value for key, value in base.items() if key not in space},
    }
    for key, value in about.items():
        if study.user_attrs.setdefault(key, value) != value:
            raise DarkroomError(
                f"{search.database}: study {search.name} was made with other {key}, and its trials "
                "cannot be compared with new ones; give another --study"
            )
        study.set_user_attr(key, value)
    return study


def _take_over(study: optuna.Study) -> None:
    """Queue again the trials that an earlier session was in when it was stopped or killed."""
    from optuna.storages import RetryHeartbeatStaleTrialCallback as Retry
    from optuna.storages import fail_stale_trials

    fail_stale_trials(study)
    if running := _find_running(study):
        numbers = ", ".join(map(str, running))
        say(f"trial {numbers} was killed or runs elsewhere: {GRACE_SECONDS} s will tell")
        time.sleep(GRACE_SECONDS)
        fail_stale_trials(study)
    queued = {number for trial in study.trials for number in Retry.retry_history(trial)}
    for trial in study.trials:
        stopped = trial.state.name == "FAIL" and trial.user_attrs.get(STOPPED)
        if stopped and trial.number not in queued:
            Retry()(study, trial)


def _find_running(study: optuna.Study) -> list[int]:
    """Return the numbers of trials that run, or whose process was killed a moment ago."""
    return [trial.number for trial in study.trials if trial.state.name == "RUNNING"]


def _find_first(study: optuna.Study, number: int) -> int:
    """Return the number under which a trial was begun, for one that is tried again."""
    from optuna.storages import RetryHeartbeatStaleTrialCallback as Retry

    return [*Retry.retry_history(study.trials[number]), number][0]


def _open_parent(mlflow: Any, study: optuna.Study, params: Params, search: Search) -> str:
    """Return the id of the MLflow run that the trials' runs lie below."""
    with explain_failures():
        client = mlflow.MlflowClient()
        known = study.user_attrs.get("mlflow_run")
        if known is not None:
            client.update_run(known, status="RUNNING")
            return str(known)
        experiment = mlflow.set_experiment(params.mlflow.experiment)
        run = client.create_run(experiment.experiment_id, run_name=f"search {search.name}")
        for key, value in study.user_attrs["ranges"].items():
            client.log_param(run.info.run_id, key, value)
        study.set_user_attr("mlflow_run", run.info.run_id)
        return str(run.info.run_id)
