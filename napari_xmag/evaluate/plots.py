"""Pictures of results. matplotlib comes with the extra ``evaluate``; without it there are none."""

import logging
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_xmag import NOTICE
from napari_xmag.analyze.files import whole_file
from napari_xmag.evaluate.metrics import FIGURES, Interval
from napari_xmag.evaluate.report import TITLES, TaskReport
from napari_xmag.evaluate.times import SlideTimes, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_log = logging.getLogger(__name__)

# Okabe and Ito's colours: told apart by everyone.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
_DOTS_PER_INCH = 150


def can_plot() -> bool:
    """Say whether plots can be drawn; where not, the log says what to install."""
    if find_spec("matplotlib") is not None:
        return True
    _log.warning("No plots without matplotlib: pip install 'napari-xmag[evaluate]'")
    return False


def plot_tasks(tasks: Sequence[TaskReport], folder: Path) -> None:
    """Draw each task, every figure of every encoder with its interval, as ``<task>.png``.

    Raises
    ------
    ExportError
        When one cannot be written.
    """
    if can_plot():
        for task in tasks:
            _plot_task(task, folder / f"{task.name}.png")


def _plot_task(task: TaskReport, path: Path) -> None:
    entries = list(reversed(task.entries))
    names = [f"{entry.encoder}, {entry.method}" for entry in entries]
    figure = _figure(3.2 * len(FIGURES) + 2, 0.4 * len(entries) + 1.6)
    panels = figure.subplots(1, len(FIGURES), sharey=True)
    order = list(dict.fromkeys(entry.encoder for entry in task.entries))
    for panel, name in zip(panels, FIGURES, strict=True):
        for height, entry in enumerate(entries):
            color = _COLORS[order.index(entry.encoder) % len(_COLORS)]
            _dot(panel, height, entry.figures[name], color)
        panel.set_title(TITLES[name])
        panel.grid(axis="x", alpha=0.3)
        panel.set_xlim(right=1.005)
    panels[0].set_yticks(range(len(names)), names)
    panels[0].set_ylim(-0.6, len(names) - 0.4)
    figure.suptitle(f"{task.name}: {task.rows} rows")
    _save(figure, path)


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
    if not can_plot():
        return
    figure = _figure(9, 3.4 * len(slides) + 0.6)
    panels = figure.subplots(len(slides), 1, squeeze=False)[:, 0]
    for panel, times in zip(panels, slides, strict=True):
        _times_panel(panel, times)
    panels[-1].set_xlabel("seconds")
    _save(figure, path)


def _times_panel(panel: Any, times: SlideTimes) -> None:
    thickness = 0.8 / len(times.ways)
    rows = [*times.ways[0].stages, "all"]
    for number, way in enumerate(times.ways):
        seconds = [*(stage.seconds for stage in way.stages.values()), way.seconds]
        heights = [row + number * thickness for row in range(len(rows))]
        about = "about " if way.extrapolated else ""
        label = f"{way.name}: {way.tiles} tiles, {about}{short(way.seconds)} s"
        bars = panel.barh(heights, seconds, thickness, color=_COLORS[number], label=label)
        panel.bar_label(bars, [short(value) for value in seconds], padding=3, fontsize="small")
    panel.set_xscale("log")
    panel.margins(x=0.15)
    panel.set_yticks([row + 0.4 - thickness / 2 for row in range(len(rows))], rows)
    panel.invert_yaxis()
    panel.set_title(times.slide)
    panel.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, frameon=False)


def _figure(width: float, height: float) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: "Figure", path: Path) -> None:
    figure.supxlabel(NOTICE, fontsize="small")
    with whole_file(path) as unfinished:
        figure.savefig(unfinished, dpi=_DOTS_PER_INCH)
