"""Pictures of results."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_xmag.evaluate.report import TITLES, TaskReport
from napari_xmag.evaluate.times import SlideTimes, short
from napari_xmag.plotting import COLORS, new_figure, save_figure
from napari_xmag.stats.metrics import FIGURES, Interval


def plot_tasks(tasks: Sequence[TaskReport], folder: Path) -> None:
    """Draw each task, every figure of every encoder with its interval, as ``<task>.png``.

    Raises
    ------
    ExportError
        When one cannot be written.
    """
    for task in tasks:
        _plot_task(task, folder / f"{task.name}.png")


def _plot_task(task: TaskReport, path: Path) -> None:
    entries = list(reversed(task.entries))
    names = [f"{entry.encoder}, {entry.method}" for entry in entries]
    figure = new_figure(3.2 * len(FIGURES) + 2, 0.4 * len(entries) + 1.6)
    panels = figure.subplots(1, len(FIGURES), sharey=True)
    order = list(dict.fromkeys(entry.encoder for entry in task.entries))
    for panel, name in zip(panels, FIGURES, strict=True):
        for height, entry in enumerate(entries):
            color = COLORS[order.index(entry.encoder) % len(COLORS)]
            _dot(panel, height, entry.figures[name], color)
        panel.set_title(TITLES[name])
        panel.grid(axis="x", alpha=0.3)
        panel.set_xlim(right=1.005)
    panels[0].set_yticks(range(len(names)), names)
    panels[0].set_ylim(-0.6, len(names) - 0.4)
    figure.suptitle(f"{task.name} (N = {task.rows})")
    save_figure(figure, path)


def _dot(panel: Any, height: int, value: Interval, color: str) -> None:
    if np.isfinite(value.value):
        panel.plot(value.value, height, "o", color=color)
    if np.isfinite(value.low):
        panel.hlines(height, value.low, value.high, color=color, linewidth=2)


def plot_times(slides: Sequence[SlideTimes], path: Path) -> None:
    """Draw the seconds of every stage and of all together, both ways side by side, as a PNG.

    On a logarithmic scale: the ways differ by orders of magnitude.

    Raises
    ------
    ExportError
        When it cannot be written.
    """
    figure = new_figure(9, 3.4 * len(slides) + 0.6)
    panels = figure.subplots(len(slides), 1, squeeze=False)[:, 0]
    for panel, times in zip(panels, slides, strict=True):
        _times_panel(panel, times)
    panels[-1].set_xlabel("Seconds")
    save_figure(figure, path)


def _times_panel(panel: Any, times: SlideTimes) -> None:
    thickness = 0.8 / len(times.ways)
    rows = [*times.ways[0].stages, "all"]
    for number, way in enumerate(times.ways):
        seconds = [*(stage.seconds for stage in way.stages.values()), way.seconds]
        heights = [row + number * thickness for row in range(len(rows))]
        about = "about " if way.extrapolated else ""
        label = f"{way.name}: {way.tiles} tiles, {about}{short(way.seconds)} s"
        bars = panel.barh(heights, seconds, thickness, color=COLORS[number], label=label)
        panel.bar_label(bars, [short(value) for value in seconds], padding=3, fontsize="small")
    panel.set_xscale("log")
    panel.margins(x=0.15)
    panel.set_yticks([row + 0.4 - thickness / 2 for row in range(len(rows))], rows)
    panel.invert_yaxis()
    panel.set_title(times.slide)
    panel.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, frameon=False)
