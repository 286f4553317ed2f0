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
    """Draw the seconds of each way, stage beside stage, as a PNG.

    Raises
    ------
    ExportError
        When it cannot be written.
    """
    if not can_plot():
        return
    bars = [(f"{times.slide}\n{way.name}", way) for times in reversed(slides) for way in times.ways]
    figure = _figure(10, 0.7 * len(bars) + 1.6)
    panel = figure.subplots()
    for height, (_, way) in enumerate(bars):
        left = 0.0
        for number, (stage, found) in enumerate(way.stages.items()):
            color, label = _COLORS[number], stage if not height else None
            panel.barh(height, found.seconds, left=left, color=color, label=label)
            left += found.seconds
        about = "about " if way.extrapolated else ""
        panel.text(left, height, f"  {about}{short(left)} s, {way.tiles} tiles", va="center")
    panel.set_yticks(range(len(bars)), [name for name, _ in bars])
    panel.set_xlabel("seconds, one stage after the other")
    panel.margins(x=0.3)
    panel.legend(loc="best", frameon=False)
    _save(figure, path)


def _figure(width: float, height: float) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: "Figure", path: Path) -> None:
    figure.supxlabel(NOTICE, fontsize="small")
    with whole_file(path) as unfinished:
        figure.savefig(unfinished, dpi=_DOTS_PER_INCH)
