"""The front page of the data docs: the verdict, each finding with pictures, the rejected files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.common.artifacts.manifest import OK
from components.common.files.bidi import isolate_html
from components.validate.data_docs.thumbnails import create_thumbnails

if TYPE_CHECKING:
    import pandas as pd

VIEWS = Path(__file__).parent / "templates"
MAX_LISTED = 200  # rejected files listed; quarantine.csv names all


def render_page(
    folder: Path, verdict: dict[str, Any], manifest: pd.DataFrame, results: str, examples_shown: int
) -> str:
    """Return the front page as self-contained HTML.

    Args:
        folder: folder of images.
        verdict: of `verdict.create_verdict`.
        manifest: all files.
        results: address of Great Expectations' own page of results.
        examples_shown: pictures shown for each finding.
    """
    from jinja2 import Environment, FileSystemLoader

    rejected = manifest[manifest["status"] != OK]
    shown = {f["kind"]: f["examples"][:examples_shown] for f in verdict["findings"]}
    captions = manifest[manifest["path"].isin({p for paths in shown.values() for p in paths})]
    environment = Environment(loader=FileSystemLoader(VIEWS), autoescape=True, trim_blocks=True)
    page: str = environment.get_template("page.html.j2").render(
        folder=folder,
        verdict=verdict,
        shown=shown,
        labels=dict(zip(captions["path"], captions["label"], strict=True)),
        reasons=dict(zip(captions["path"], captions["reason"], strict=True)),
        thumbnails=create_thumbnails(folder, (p for paths in shown.values() for p in paths)),
        rejected=rejected[["path", "label", "reason"]].head(MAX_LISTED).to_dict("records"),
        results=results,
        largest=max(verdict["classes"].values(), default=1),
    )
    return isolate_html(page)
