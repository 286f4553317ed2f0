"""Figures of robustness side by side, as JSON, Markdown and pictures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_xmag.markdown import table
from napari_xmag.plotting import COLORS, new_figure, save_figure
from napari_xmag.stats.metrics import Interval


@dataclass(frozen=True)
class ShiftEntry:
    """One encoder under one shift.

    Attributes
    ----------
    stability
        Mean centred cosine of changed and original features, at most 1.
    recognized
        Share of changed pictures whose nearest original is their own (or an exact copy of it).
    auc, change
        Of the linear probe on changed pictures, and how far it lies above that on the originals.
    original
        AUC on the originals.
    """

    encoder: str
    shift: str
    stability: float
    recognized: float
    auc: Interval
    change: Interval
    original: Interval


@dataclass(frozen=True)
class RobustnessTask:
    """All encoders under all shifts on one task.

    Attributes
    ----------
    rows
        Pictures that were changed and judged.
    division
        In words: what the probe learned from.
    """

    name: str
    rows: int
    division: str
    entries: Sequence[ShiftEntry]
    notes: Sequence[str] = ()

    @property
    def encoders(self) -> list[str]:
        """Names, in order."""
        return list(dict.fromkeys(entry.encoder for entry in self.entries))

    @property
    def shifts(self) -> list[str]:
        """Names, in order."""
        return list(dict.fromkeys(entry.shift for entry in self.entries))

    def entry(self, encoder: str, shift: str) -> ShiftEntry:
        """Return the entry of an encoder and a shift."""
        pairs = {(entry.encoder, entry.shift): entry for entry in self.entries}
        return pairs[encoder, shift]

    def mean(self, encoder: str, figure: Callable[[ShiftEntry], float]) -> float:
        """Return the mean of a figure over all shifts."""
        return float(np.mean([figure(e) for e in self.entries if e.encoder == encoder]))


_PANELS: tuple[tuple[str, Callable[[ShiftEntry], float]], ...] = (
    ("Feature stability (centred cosine)", lambda entry: entry.stability),
    ("Original retrieved (top 1)", lambda entry: entry.recognized),
    ("Change in AUC", lambda entry: entry.change.value),
)


def task_tables(task: RobustnessTask) -> str:
    """Return a task as Markdown: stability, and what a probe loses, with means over shifts."""
    intro = (
        f"{task.rows} images, altered as by another laboratory or scanner. "
        f"Linear probe trained on the originals: {task.division}"
    )
    alike = _table(
        task,
        lambda entry: f"{entry.stability:.3f} / {100 * entry.recognized:.0f} %",
        lambda name: (
            f"{task.mean(name, _PANELS[0][1]):.3f} / {100 * task.mean(name, _PANELS[1][1]):.0f} %"
        ),
    )
    lost = _table(
        task,
        lambda entry: (
            f"{entry.change.value:+.3f} ({entry.change.low:+.3f} … {entry.change.high:+.3f})"
        ),
        lambda name: f"{task.mean(name, _PANELS[2][1]):+.3f}",
    )
    originals = ", ".join(
        f"{name} {task.entry(name, task.shifts[0]).original.value:.3f}" for name in task.encoders
    )
    return "\n\n".join(
        [
            f"## {task.name}",
            intro,
            "Feature stability (centred cosine) / share of images whose nearest original is "
            "their own:",
            alike,
            f"Change in the AUC of the probe, with its CI. AUC on the originals: {originals}.",
            lost,
            *(f"- {note}" for note in task.notes),
        ]
    )


def _table(
    task: RobustnessTask, cell: Callable[[ShiftEntry], str], mean: Callable[[str], str]
) -> str:
    names = task.encoders
    rows = [[shift, *(cell(task.entry(name, shift)) for name in names)] for shift in task.shifts]
    rows.append(["mean", *map(mean, names)])
    return table(["shift", *names], rows)


def plot_robustness(task: RobustnessTask, path: Path) -> None:
    """Draw stability, recognition and change of AUC under each shift as a PNG.

    Raises
    ------
    ExportError
        When it cannot be written.
    """
    names, kinds = task.encoders, task.shifts
    figure = new_figure(4 * len(_PANELS) + 2, 0.34 * len(kinds) + 2.2)
    panels = figure.subplots(1, len(_PANELS), sharey=True)
    heights = np.arange(len(kinds))[::-1]
    for number, name in enumerate(names):
        places = heights - 0.6 * ((number + 0.5) / len(names) - 0.5)
        entries, color = [task.entry(name, kind) for kind in kinds], COLORS[number % len(COLORS)]
        for panel, (_, value) in zip(panels, _PANELS, strict=True):
            panel.plot(list(map(value, entries)), places, "o", color=color, label=name)
        ends = np.array([(entry.change.low, entry.change.high) for entry in entries])
        panels[-1].hlines(places, *ends.T, color=color)
    for panel, (title, _) in zip(panels, _PANELS, strict=True):
        panel.set_title(title)
        panel.grid(axis="x", alpha=0.3)
    panels[-1].axvline(0, color="0.5", linewidth=1)
    panels[0].set_yticks(heights, kinds)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    save_figure(figure, path)
