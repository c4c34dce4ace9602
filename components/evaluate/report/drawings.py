"""Figures of the report: SVG inside the page, in the page's own colours, light and dark."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from components.common.artifacts.curve import EVERYTHING, FINETUNED, FORECAST, MEASURED, CurvePoint
from components.common.artifacts.history import PROBE
from components.evaluate.metrics.calibration import Bin

if TYPE_CHECKING:
    import pandas as pd

# Matplotlib draws in stand-ins; the page replaces each by its own variable, so that one drawing
# suits light and dark.
COLOURS = {
    "#010101": "var(--ink)",
    "#020202": "var(--soft)",
    "#030303": "var(--line)",
    "#040404": "var(--blue)",
    "#050505": "var(--orange)",
}
INK, SOFT, LINE, BLUE, ORANGE = COLOURS
STYLE = {
    "svg.fonttype": "none",  # text stays text: it can be found, read aloud, and follows the page
    "svg.hashsalt": "darkroom",  # the same numbers give the same file
    "font.size": 11,
    "text.color": INK,
    "text.parse_math": False,
    "axes.labelcolor": SOFT,
    "axes.edgecolor": LINE,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "grid.color": LINE,
    "grid.linewidth": 0.8,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": SOFT,
    "ytick.major.size": 0,
    "figure.facecolor": "none",
    "legend.frameon": False,
    "lines.linewidth": 2,
    "lines.solid_capstyle": "round",
}


def draw_history(history: pd.DataFrame, kind: str, alt: str) -> str:
    """Return the curve of training and validation over the epochs; epoch 0 is the probe.

    Args:
        history: of :func:`components.common.artifacts.history.read_history`.
        kind: loss or accuracy.
        alt: what a person who cannot see it should know.
    """
    figure, axes = _create_figure()
    fine = history[history["phase"] != PROBE]
    probe = history[history["phase"] == PROBE]
    for split, words, colour in (
        ("train", "training", ORANGE),
        ("val", "validation", BLUE),
    ):
        name = f"{split}_{kind}"
        axes.plot(fine["epoch"], fine[name], color=colour, label=words)
        _mark_probe(axes, probe, fine, name, colour)
    _shade_probe(axes, probe)
    _mark_kept(axes, history[history["is_best"]], f"val_{kind}")
    _label_axes(axes, "epoch", kind == "accuracy")
    _add_legend(axes, 3)
    return _render(figure, f"history-{kind}", alt)


def draw_curve(points: Sequence[CurvePoint], alt: str) -> str:
    """Return the learning curve: accuracy by images, as measured and as it goes on.

    Args:
        points: about all classes together, of the probe and, where there are some, of the model.
        alt: what a person who cannot see it should know.
    """
    figure, axes = _create_figure()
    main = FINETUNED if any(one.of == FINETUNED for one in points) else EVERYTHING
    measured, coming = (
        [one for one in points if one.of == main and one.kind == kind]
        for kind in (MEASURED, FORECAST)
    )
    behind = [one for one in points if one.of != main]  # the probe's, in a soft colour
    for some, style, colour, words in (
        ([one for one in behind if one.kind == MEASURED], "o-", SOFT, "the probe"),
        ([one for one in behind if one.kind == FORECAST], "o--", SOFT, "expected of it"),
        (measured, "o-", BLUE, "measured"),
        ([*measured[-1:], *coming], "o--", ORANGE, "expected"),
    ):
        if not some:
            continue
        images = [one.images for one in some]
        ends = [one.low for one in some], [one.high for one in some]
        # Where both meet, what was measured lies on top.
        front = {"color": colour, "zorder": 3 if some is measured else 2}
        axes.vlines(images, *ends, alpha=0.45, lw=2, **front)
        axes.plot(images, [one.accuracy for one in some], style, label=words, **front)
    axes.set_xscale("log", base=2)
    ticks = [one.images for one in (*behind[:1], *measured, *coming[-1:])]
    axes.set_xticks(ticks, [f"{images:,}" for images in ticks])
    axes.minorticks_off()
    axes.set_xlabel("photos that it learnt")
    axes.yaxis.set_major_formatter(_percent())
    axes.grid(axis="x", visible=False)
    _add_legend(axes, 4)
    return _render(figure, "curve", alt)


def draw_reliability(bins: list[Bin], alt: str, name: str = "reliability") -> str:
    """Return the reliability diagram: how often it is right, against how sure it is.

    Args:
        bins: of the diagram.
        alt: what a person who cannot see it should know.
        name: of the figure, its own in the page.
    """
    figure, axes = _create_figure(height=4.4)
    used = [one for one in bins if one.images]
    sure = [one.confidence or 0.0 for one in used]
    right = [one.accuracy or 0.0 for one in used]
    ends = [one.accuracy_interval or [0.0, 1.0] for one in used]
    axes.plot([0, 1], [0, 1], "--", color=SOFT, linewidth=1.2, label="ideal")
    axes.vlines(
        sure, [low for low, _ in ends], [high for _, high in ends], color=BLUE, alpha=0.45, lw=2
    )
    axes.plot(sure, right, "o", color=BLUE, markersize=7, label="model")
    most = max(one.images for one in used)
    # Beneath the diagram: how many images lie in each bin.
    axes.bar(
        [(one.low + one.high) / 2 for one in used],
        [-0.16 * one.images / most for one in used],
        width=0.9 * (used[0].high - used[0].low),
        bottom=-0.06,
        color=SOFT,
        alpha=0.5,
        label="images",
    )
    axes.set_xlim(0, 1.02)
    axes.set_ylim(-0.24, 1.04)
    axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1])
    axes.xaxis.set_major_formatter(_percent())
    axes.yaxis.set_major_formatter(_percent())
    axes.set_xlabel("the model's probability")
    axes.set_ylabel("how often it is right")
    _add_legend(axes, 3)
    return _render(figure, name, alt)


def draw_confusion(shares: Any, alt: str) -> tuple[str, list[float]]:
    """Return the confusion matrix as a picture, for more classes than a table can show.

    Args:
        shares: (classes, classes), each row as shares of its sum.
        alt: what a person who cannot see it should know.

    Returns:
        The figure, and where its cells are: left, top, width and height as shares of its sides, so
        that the page finds the cell of a click.
    """
    import numpy as np

    figure, axes = _create_figure(height=5.4)
    image = np.zeros((*shares.shape, 4))
    image[..., :3] = (0.12, 0.47, 0.86)  # one blue for both themes; the strength is the opacity
    # A single mistake among many must be seen as well.
    image[..., 3] = np.where(shares > 0, 0.25 + 0.75 * shares**0.6, 0)
    axes.imshow(image, interpolation="nearest", aspect="equal")
    axes.grid(visible=False)
    axes.set_xlabel("taken for (number of the class)")
    axes.set_ylabel("is (number of the class)")
    svg = _render(figure, "confusion", alt)
    box = axes.get_window_extent().transformed(figure.transFigure.inverted())
    return svg, [round(float(one), 4) for one in (box.x0, 1 - box.y1, box.width, box.height)]


def draw_robustness(rows: list[dict[str, Any]], alt: str) -> str:
    """Return accuracy against strength, one line a corruption; each begins at the clean images."""
    figure, axes = _create_figure(height=3.8)
    clean = next(row["accuracy"] for row in rows if not row["strength"])
    names = list(dict.fromkeys(row["corruption"] for row in rows if row["strength"]))
    for i, name in enumerate(names):
        values = [clean, *(row["accuracy"] for row in rows if row["corruption"] == name)]
        colour, dash = (BLUE, ORANGE, SOFT)[i % 3], ("-", "--")[i // 3 % 2]
        axes.plot(
            range(len(values)), values, dash, marker="o", markersize=4, color=colour, label=name
        )
    axes.set_xticks([0, 1, 2, 3], ["as it is", "mild", "clear", "strong"])
    axes.yaxis.set_major_formatter(_percent())
    axes.set_ylabel("accuracy")
    axes.grid(axis="x", visible=False)
    _add_legend(axes, 3)
    return _render(figure, "robustness", alt)


def _create_figure(width: float = 5.6, height: float = 3.5) -> tuple[Any, Any]:
    """Return a figure (sizes in inches) with one pair of axes."""
    import matplotlib
    from matplotlib.figure import Figure

    # It tells of its font cache, once a machine, and of fonts that the page brings anyway.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    matplotlib.rcParams.update(STYLE)
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _mark_probe(axes: Any, probe: pd.DataFrame, fine: pd.DataFrame, name: str, colour: str) -> None:
    """Mark the probe on a curve, and dot the way from it to where the curve begins.

    Args:
        axes: with the curve.
        probe: its rows of the history.
        fine: the rows that the curve is drawn through.
        name: column of the curve.
        colour: of the curve.
    """
    axes.plot(probe["epoch"], probe[name], "D", color=colour, markersize=5)
    if len(probe) and len(fine):
        ends = [probe.iloc[-1], fine.iloc[0]]
        axes.plot(
            [end["epoch"] for end in ends],
            [end[name] for end in ends],
            ":",
            color=colour,
            linewidth=1.2,
        )


def _shade_probe(axes: Any, probe: pd.DataFrame) -> None:
    """Shade the epochs of the probe and name them."""
    if probe.empty:
        return
    first, last = probe["epoch"].min() - 0.5, probe["epoch"].max() + 0.5
    axes.axvspan(first, last, color=SOFT, alpha=0.1)
    axes.annotate(
        "probe",
        (float(probe["epoch"].mean()), 1),
        (0, -4),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="center",
        va="top",
        color=SOFT,
    )
    axes.set_xlim(left=float(first))


def _mark_kept(axes: Any, kept: pd.DataFrame, name: str) -> None:
    """Ring the epochs whose weights were kept, on the curve of a column."""
    for _, row in kept.iterrows():
        axes.plot(
            row["epoch"],
            row[name],
            "o",
            markersize=11,
            markerfacecolor="none",
            markeredgecolor=INK,
            markeredgewidth=1.5,
            label="kept",
        )


def _label_axes(axes: Any, what: str, shares: bool) -> None:
    """Count whole things along a curve, and show its values as percent where they are shares."""
    axes.set_xlabel(what)
    axes.xaxis.get_major_locator().set_params(integer=True)
    if shares:
        axes.yaxis.set_major_formatter(_percent())
    axes.grid(axis="x", visible=False)


def _add_legend(axes: Any, columns: int) -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, borderaxespad=0.2)


def _percent() -> Any:
    from matplotlib.ticker import PercentFormatter

    return PercentFormatter(1)


def _render(figure: Any, name: str, alt: str) -> str:
    """Return a figure as an SVG element whose ids are its own in the page."""
    from html import escape

    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    svg = stream.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\1{name}-", svg)
    svg = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", svg)
    for stand_in, variable in COLOURS.items():
        svg = svg.replace(stand_in, variable)
    view = re.search(r'viewBox="[^"]*"', svg)
    start = (
        f'<svg {view.group() if view else ""} role="img" aria-label="{escape(alt, quote=True)}" '
        'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
    )
    return start + svg[svg.index(">") + 1 :]
