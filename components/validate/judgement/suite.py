"""Run the expectations with Great Expectations and let it write its Data Docs site."""

from __future__ import annotations

import html
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.validate.data_docs.site import make_self_contained
from components.validate.judgement.expectations import NOTE, Expectation, Result

if TYPE_CHECKING:
    import pandas as pd

NAME = "images"
EXAMPLES = 20  # paths kept of each expectation that is not met
# Up to so many rows the site shows the paths of failing files; listing them costs time with each
# that fails, 40 s for a million.
LISTED_ROWS = 100_000


def run_suite(
    signs: pd.DataFrame, expectations: Sequence[Expectation], site: Path
) -> tuple[list[Result], str]:
    """Validate the signs and write the Data Docs site.

    The Great Expectations project (file context, data source, suite, validation definition,
    checkpoint) lives in a temporary folder: all it holds is made from params.yaml again next time.

    Args:
        signs: of `signs.create_signs`.
        expectations: the suite.
        site: folder that receives the site.

    Returns:
        A result for each expectation, and the address of the page of results, relative to the site.
    """
    gx = _import_great_expectations()
    with tempfile.TemporaryDirectory(prefix="darkroom-gx-") as place:
        context = gx.get_context(mode="file", project_root_dir=place)
        context.variables.progress_bars = {"globally": False}
        found = _create_checkpoint(gx, context, expectations, len(signs) <= LISTED_ROWS).run(
            batch_parameters={"dataframe": _escape_paths(signs)},
            run_id=gx.RunIdentifier(run_name="validate"),
        )
        built = Path(place) / "gx" / "uncommitted" / "data_docs" / "local_site"
        shutil.copytree(built, site, dirs_exist_ok=True)
    make_self_contained(site)
    (run,) = found.run_results.values()
    by_kind = {result.expectation_config.meta["kind"]: result for result in run.results}
    page = next(site.glob("validations/**/*.html")).relative_to(site).as_posix()
    return [_to_result(one, by_kind[one.kind]) for one in expectations], page


def _create_checkpoint(
    gx: Any, context: Any, expectations: Sequence[Expectation], list_paths: bool
) -> Any:
    source = context.data_sources.add_or_update_pandas(NAME)
    batch = source.add_dataframe_asset(NAME).add_batch_definition_whole_dataframe(NAME)
    suite = context.suites.add_or_update(gx.ExpectationSuite(name=NAME))
    suite.expectations = [
        getattr(gx.expectations, one.gx)(
            # Great Expectations knows critical, warning and info.
            severity="info" if one.severity == NOTE else one.severity,
            notes=f"**{one.kind}** ({one.severity}): {one.name}. If not: {one.advice}.",
            meta={"kind": one.kind},
            **one.arguments,
        )
        for one in expectations
    ]
    suite.save()
    validation = context.validation_definitions.add_or_update(
        gx.ValidationDefinition(name=NAME, data=batch, suite=suite)
    )
    return context.checkpoints.add_or_update(
        gx.Checkpoint(
            name=NAME,
            validation_definitions=[validation],
            actions=[gx.checkpoint.UpdateDataDocsAction(name="data docs")],
            result_format={
                "result_format": "COMPLETE" if list_paths else "SUMMARY",
                "partial_unexpected_count": EXAMPLES,
                "return_unexpected_index_query": False,  # rows of a frame that no one else has
                "unexpected_index_column_names": ["path"],
            },
        )
    )


def _escape_paths(signs: pd.DataFrame) -> pd.DataFrame:
    """Return the signs with HTML's own characters escaped: the site writes paths as they are."""
    marked = signs["path"].str.contains("[&<>\"']", regex=True)
    if not marked.any():
        return signs
    path = signs["path"].copy()
    path[marked] = [html.escape(one) for one in path[marked]]
    return signs.assign(path=path)


def _to_result(expectation: Expectation, found: Any) -> Result:
    trouble = found.exception_info
    if trouble.get("raised_exception"):
        raise RuntimeError(f"expectation {expectation.kind!r}: {trouble['exception_message']}")
    rows = found.result.get("partial_unexpected_index_list") or []
    count = int(found.result.get("unexpected_count") or 0)
    observed = found.result.get("observed_value")
    share = float(found.result.get("unexpected_percent") or 0)
    return Result(
        name=expectation.name,
        kind=expectation.kind,
        severity=expectation.severity,
        success=bool(found.success),
        observed=str(observed)
        if observed is not None
        else f"{count:,} not as expected ({share:.2g}%)",
        unexpected_count=count,
        examples=[] if found.success else [html.unescape(row["path"]) for row in rows],
    )


def _import_great_expectations() -> Any:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    warnings.filterwarnings("ignore", module="great_expectations")
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    import great_expectations

    return great_expectations
