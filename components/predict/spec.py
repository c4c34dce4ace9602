"""Ask a model about images: files and folders → a label and its probability for each image."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from components.common.settings.spec import Between, param, path, section


@dataclass(frozen=True)
class Inputs:
    """What predict reads."""

    model: str = path("a model in the registry, `models:/darkroom@champion`, or a model.keras file")
    images: list[Path | bytes] = path(
        "image files and folders of them; @FILE, a list with a path in each line; or -, an image "
        "or a list on standard input"
    )


@dataclass(frozen=True)
class Outputs:
    """What predict writes."""

    output: str = path("file for the answers, .csv or .parquet; `-`, the default, prints CSV")
    probabilities: bool = path("add a column for each class, with its probability")
    unsure_below: float | None = param(
        None,
        "an answer less probable than this is marked as unsure; by default the threshold that the "
        "registered model carries; 1: every answer",
    )
    sets: bool = param(
        False,
        "add a column `sets`, the classes that an image may be of, so that the true one is among "
        "them as often as evaluate.set_coverage says; a registered model carries the limits",
    )


@dataclass(frozen=True)
class Suggest:
    """What `suggest` reads and writes."""

    model: str = path("the model that looks, as predict takes it")
    images: list[Path | bytes] = path("folders of unlabelled photos, or files")
    output: Path = path("CSV file for the list; default: suggestions.csv")
    page: Path = path("HTML file that shows them; default: suggestions.html")
    known: Path | None = path(
        "the manifest.parquet of validate: near-copies of the photos in it are left out"
    )
    metrics: Path | None = path(
        "the metrics.json of evaluate: by its limit a photo is like nothing known; a registered "
        "model carries it"
    )
    of: str | None = param(None, "only photos that may be of this class, one of the two likeliest")
    count: int = param(200, "photos to suggest")
    near_duplicate_bits: Annotated[int, Between(0, 15)] = param(
        4, "of 64 of a perceptual hash: photos of at most so many different bits are near-copies"
    )


@dataclass(frozen=True)
class Serve:
    """What `serve` takes from a client, and how it answers.

    Its memory, in use, stays below what it is at rest and 36 bytes a pixel of `max_megapixels`, and
    four times `max_waiting_mb`.
    """

    max_images: Annotated[int, Between(1, 10_000)] = param(64, "images in one request")
    max_request_mb: Annotated[float, Between(0.01, 2000)] = param(
        32, "size of a request, MB of 1,000,000 bytes"
    )
    max_waiting_mb: Annotated[float, Between(0.01, 20_000)] = param(
        128,
        "size of all requests that are being answered, MB; what comes then is told to try again",
    )
    max_megapixels: Annotated[float, Between(0.001, 1000)] = param(
        52, "of one image, and of all that are being decoded at once, million pixels"
    )
    batch_size: Annotated[int, Between(1, 1024)] = param(
        8, "images of one forward pass, at most; a GPU wants more"
    )
    receive_seconds: Annotated[float, Between(0.1, 3600)] = param(
        30, "a client may take so long to send a request"
    )
    refresh_seconds: Annotated[float, Between(0, 86_400)] = param(
        10, "how often the registry is asked for a new champion; 0: never"
    )
    log_mb: Annotated[float, Between(0.01, 100_000)] = param(
        10, "size of the log of answers that --log asks for, MB; the oldest are dropped"
    )


@dataclass(frozen=True)
class Batch:
    """How a batch is cut, and when its images are no more what the model was measured on."""

    partition_images: Annotated[int, Between(1, 1_000_000)] = param(
        10_000, "images of a partition, which is answered whole or not at all"
    )
    watch_images: Annotated[int, Between(0, 1_000_000)] = param(
        5000,
        "on a cluster so many images, drawn by chance, are compared with the data that the version "
        "was measured on; 0: none",
    )
    min_effect: Annotated[float, Between(0, 1)] = param(
        0.1, "smaller shifts are no drift; 0.1: a small effect (Cohen 1988)"
    )
    fail_on_drift: bool = param(False, "a run fails whose batch has drifted, after all answers")


@dataclass(frozen=True)
class Params:
    """Section `predict` of params.yaml: a model carries its own settings."""

    serve: Serve = section(Serve, "limits and habits of `serve` and `page`")
    batch: Batch = section(Batch, "how `batch` cuts and watches")
