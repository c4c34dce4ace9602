"""Accuracy against minutes of CPU, one panel a set: the picture of benchmarks/peers.py.

Minutes by the clock are in the table; those of CPU mean the same on a machine that does more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

OWN_COLOUR, COLOUR, GREY = "#0b5cad", "#5a6472", "#d5d9de"  # of the report
TICKS = (0.25, 0.5, 1, 2, 4, 8, 16, 32, 64)  # minutes
ABOVE, BELOW = 9, -17  # points, of a name beside its mark: in turns, so that names do not meet


def draw(runs: Sequence[Any], names: Mapping[str, str], file: Path) -> None:
    """Draw each rival's mean, its 95 % interval over the test images and its name.

    Args:
        runs: of benchmarks/peers.py, of one or more sets.
        names: way → what it is called; the first is ours.
        file: .svg or .png.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.rcParams |= {"font.family": "DejaVu Sans", "svg.fonttype": "path", "svg.hashsalt": "1"}
    sets = list(dict.fromkeys(run.set for run in runs))
    figure, panels = pyplot.subplots(
        1, len(sets), figsize=(4.6 * len(sets) + 0.6, 3.6), squeeze=False
    )
    for panel, name in zip(panels[0], sets, strict=True):
        own = [run for run in runs if run.set == name]
        _draw_set(panel, own, names)
        seeds = len({run.seed for run in own})
        images = len(own[0].right)
        panel.set_title(
            f"{name}: {images:,} test images, {seeds} seed{'s'[: seeds - 1]}", fontsize=10
        )
    panels[0][0].set_ylabel("test accuracy")
    figure.tight_layout()
    figure.savefig(file, dpi=110, metadata={"Date": None} if file.suffix == ".svg" else None)


def _draw_set(panel: Any, runs: Sequence[Any], names: Mapping[str, str]) -> None:
    from components.common.statistics.shares import compute_wilson

    first, lows = next(iter(names)), []
    ways = {way: [run for run in runs if run.way == way] for way in names}
    ways = {way: own for way, own in ways.items() if own}
    order = sorted(ways, key=lambda way: np.mean([run.cpu_minutes for run in ways[way]]))
    for number, way in enumerate(order):
        own, words = ways[way], names[way]
        accuracy = float(np.mean([run.accuracy for run in own]))
        minutes = float(np.exp(np.mean(np.log([run.cpu_minutes for run in own]))))
        low, high = compute_wilson(accuracy, len(own[0].right), 0.95)
        lows.append(low)
        colour = OWN_COLOUR if way == first else COLOUR
        panel.plot([minutes, minutes], [low, high], color=colour, linewidth=1.2, alpha=0.5)
        panel.plot(minutes, accuracy, "o", color=colour, markersize=8 if way == first else 6)
        panel.annotate(
            words,
            (minutes, accuracy),
            xytext=(6, ABOVE if number % 2 else BELOW),
            textcoords="offset points",
            fontsize=9,
            color=colour,
            fontweight="bold" if way == first else "normal",
        )
    every = [run.cpu_minutes for run in runs]
    panel.set_xscale("log")
    panel.set_xlim(min(every) / 1.4, max(every) * 3)  # room for the names
    shown = [tick for tick in TICKS if min(every) / 1.4 <= tick <= max(every) * 3]
    panel.set_xticks(shown, [f"{tick:g}" for tick in shown])
    panel.minorticks_off()
    panel.set_xlabel("minutes of CPU")
    panel.set_ylim(min(lows) - 0.1 * (1 - min(lows)), 1.0)  # and below the lowest
    panel.grid(color=GREY, linewidth=0.6)
    panel.spines[["top", "right"]].set_visible(False)
