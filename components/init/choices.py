"""Which settings fit a source: each with its reason. What somebody set already stays."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from components.common.errors import DarkroomError
from components.init.choice import Choice
from components.init.machine import Machine
from components.init.sight import Sight

PLAIN = "darkroom"  # the name in the params.yaml of a clone
WORTH_MINUTES = 0.5  # less for training than half a minute is not even a probe
# So many test images, and the interval of an accuracy of 0.9 is 0.22 wide (Wilson); a larger share
# than these is missed where a class has a handful of images to learn from.
WANTED, MOST_TEST, MOST_VAL, SHARE, STEP = 30, 0.3, 0.2, 0.15, 20  # steps of 1 / 20
SMALLER = "EfficientNetLite0"
LARGER, LARGER_COST = "EfficientNetLite2", 1.5  # of Lite0's time at 224 px (docs/training.md)


def choose_settings(
    sight: Sight, present: Mapping[str, Any], machine: Machine, name: str = ""
) -> list[Choice]:
    """Return what to set.

    Args:
        sight: of the source.
        present: settings by their dotted keys.
        machine: what a run has.
        name: of the model; empty: that of the source, unless somebody gave it one.

    Raises:
        DarkroomError: if fewer than two classes have images enough.
    """
    wanted = {
        **_name_source(sight),
        **_name_model(sight, present, name),
        **sight.settings,
        **_leave_out_small(sight, present),
        **_share_out(sight, present),
        **_take_time(sight, present, machine),
    }
    return [Choice(key, value, why, present.get(key)) for key, (value, why) in wanted.items()]


def _name_source(sight: Sight) -> dict[str, tuple[Any, str]]:
    if not sight.ingest:
        return {"data.source": (sight.folder, "your photos; no stage writes there")}
    found: dict[str, tuple[Any, str]] = {
        "ingest.source": (sight.ingest["source"], "ingest brings it in"),
        "ingest.sha256": (sight.ingest["sha256"], "of the archive as it is now"),
        "data.source": (sight.folder, "ingest fills it"),
    }
    if not sight.ingest["sha256"]:
        found["ingest.sha256"] = ("", "only archives have one")
    return found


def _name_model(sight: Sight, present: Mapping[str, Any], name: str) -> dict[str, tuple[Any, str]]:
    """Return names for experiment and model; a champion of other images compares with nothing."""
    keys = ("mlflow.experiment", "mlflow.registered_model")
    new = name or (PLAIN if sight.ingest.get("source") == "digits" else make_name(sight.name))
    why = "you named it" if name else "its own: other images have champions of their own"
    return {key: (new, why) for key in keys if name or present[key] == PLAIN}


def make_name(source: str) -> str:
    """Return a name for MLflow, made of that of a source: `my photos.tar.gz` gives my-photos."""
    stem = re.sub(r"(\.(tar|zip|7z|tgz|gz|bz2|xz|zst|tbz2|txz))+$", "", source, flags=re.IGNORECASE)
    return re.sub(r"[^\w]+", "-", stem).strip("-")[:60].lower() or PLAIN


def _leave_out_small(sight: Sight, present: Mapping[str, Any]) -> dict[str, tuple[Any, str]]:
    key = "validate.classes.min_images"
    least = present["validate.min_class_images"]
    small = sorted(name for name, count in sight.counts.items() if count < least)
    if len(sight.counts) - len(small) < 2:
        few = ", ".join(f"{name} {count}" for name, count in list(sight.counts.items())[:5])
        raise DarkroomError(
            f"{sight.name}: a classifier needs two classes of {least} images at least, and there "
            f"{'is' if len(sight.counts) == 1 else 'are'} {few}; add photos, or a folder for each "
            "class"
        )
    if not small or present[key] >= least:
        return {}
    shown = ", ".join(f"{name} ({sight.counts[name]})" for name in small[:3])
    more = f" and {len(small) - 3} more" if len(small) > 3 else ""
    return {key: (least, f"leaves out {shown}{more}: too few for train, val and test")}


def _share_out(sight: Sight, present: Mapping[str, Any]) -> dict[str, tuple[Any, str]]:
    """Return larger shares for validation and test where few images would be in them."""
    found: dict[str, tuple[Any, str]] = {}
    for split, most in (("val", MOST_VAL), ("test", MOST_TEST)):
        key = f"preprocess.{split}_fraction"
        if sight.count_split(split) or present[key] != SHARE:
            continue
        wanted = min(most, max(SHARE, math.ceil(WANTED / sight.images * STEP) / STEP))
        if wanted != present[key]:
            count = round(wanted * sight.images)
            found[key] = (wanted, f"about {count} of {sight.images:,} images")
    return found


def _take_time(
    sight: Sight, present: Mapping[str, Any], machine: Machine
) -> dict[str, tuple[Any, str]]:
    """Return budget and backbone for the minutes that are given."""
    minutes = machine.minutes
    if minutes is None:
        return {}
    others = machine.estimate_others(sight.images)
    budget = round(max(WORTH_MINUTES, minutes - others, minutes / 4), 1)
    found: dict[str, tuple[Any, str]] = {
        "train.budget_minutes": (
            budget,
            f"of {minutes:g} min, the other stages take about {others:.0f}"
            if budget < minutes
            else f"{minutes:g} min are hardly enough for the other stages, about {others:.0f}",
        )
    }
    if present["train.backbone"] in (SMALLER, LARGER):
        shares = (float(present[f"preprocess.{split}_fraction"]) for split in ("val", "test"))
        training = machine.estimate_training(count_training(sight, *shares), sight.shorter_px)
        # Twice as long as estimated still fits: the estimate is of another machine.
        fits = bool(machine.gpu) or 2 * LARGER_COST * training <= budget
        where = machine.gpu or f"{machine.cores} cores"
        found["train.backbone"] = (
            (LARGER, f"the most accurate of those installed; there is time for it on {where}")
            if fits
            else (SMALLER, f"the fastest of those installed: about {training:.0f} min on {where}")
        )
    return found


def count_training(sight: Sight, val_fraction: float, test_fraction: float) -> int:
    """Return about how many images there will be to train on."""
    shares = {"val": val_fraction, "test": test_fraction}
    drawn = sum(share for split, share in shares.items() if not sight.count_split(split))
    return round((sight.count_split("train") + sight.count_split("")) * max(0.0, 1 - drawn))
