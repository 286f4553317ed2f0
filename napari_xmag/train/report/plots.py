"""Plots of how well a model does: ROC, confusion matrix, calibration, training curves."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_xmag.plotting import COLORS, GREY, new_figure, save_figure
from napari_xmag.stats.calibration import ReliabilityBin
from napari_xmag.train.report.evaluate import LEVEL, SplitReport

_PANEL = 3.9
_LONGEST = 20


def plot_splits(
    folder: Path, splits: Mapping[str, SplitReport], classes: Sequence[str]
) -> list[Path]:
    """Draw ``roc.png``, ``confusion.png`` and ``calibration.png``, a panel for each split.

    Returns
    -------
    What was drawn.

    Raises
    ------
    ExportError
        When one cannot be written.
    """
    painters = {
        "roc": _roc_panel,
        "confusion": lambda panel, split: _confusion_panel(panel, split, classes),
        "calibration": _calibration_panel,
    }
    paths = []
    for name, paint in painters.items():
        figure = new_figure(_PANEL * len(splits) + 1, _PANEL + 0.7)
        panels = figure.subplots(1, len(splits), squeeze=False, sharey=True)[0]
        for panel, (split, report) in zip(panels, splits.items(), strict=True):
            panel.set_title(f"{split}: {report.slides} slides", fontsize="medium")
            panel.set_box_aspect(1)
            paint(panel, report)
            panel.label_outer()
        paths.append(folder / f"{name}.png")
        save_figure(figure, paths[-1])
    return paths


def _roc_panel(panel: Any, split: SplitReport) -> None:
    panel.plot([0, 1], [0, 1], linestyle=":", color=GREY, linewidth=1)
    for number, (name, curve) in enumerate(split.roc.items()):
        color = COLORS[number % len(COLORS)]
        label = f"{name}: {curve.auc:.3f}"
        panel.plot(curve.false_positive, curve.true_positive, color=color, label=label, linewidth=2)
        panel.plot(
            1 - split.specificity[name].value,
            split.sensitivity[name].value,
            "o",
            color=color,
            markeredgecolor="white",
            markersize=8,
        )
    panel.set(xlabel="1 − specificity", ylabel="Sensitivity")
    panel.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    panel.grid(alpha=0.25)
    if split.roc:
        title = "AUC (● at the threshold)"
        panel.legend(loc="lower right", fontsize="small", title=title, title_fontsize="small")
    else:
        panel.text(0.5, 0.5, "only one class", ha="center", color=GREY)


def _confusion_panel(panel: Any, split: SplitReport, classes: Sequence[str]) -> None:
    counts = np.array(split.confusion)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    panel.imshow(shares, cmap="Blues", vmin=0, vmax=1.15)
    size = "x-large" if len(classes) <= 3 else "small"
    for (row, column), count in np.ndenumerate(counts):
        ink = "white" if shares[row, column] > 0.6 else "black"
        panel.text(column, row, str(count), ha="center", va="center", color=ink, fontsize=size)
    places = range(len(classes))
    turned = {"rotation": 30, "ha": "right"} if sum(map(len, classes)) > 30 else {}
    panel.set_xticks(places, [_short(name) for name in classes], fontsize="small", **turned)
    panel.set_yticks(places, [_short(name) for name in classes], fontsize="small")
    panel.set(xlabel="Predicted class", ylabel="True class")
    panel.tick_params(length=0)


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def _calibration_panel(panel: Any, split: SplitReport) -> None:
    panel.plot([0, 1], [0, 1], linestyle=":", color=GREY, linewidth=1)
    ways = (
        (split.reliable_before, split.error_before, "uncalibrated", GREY),
        (split.reliable_after, split.error_after, "calibrated", COLORS[0]),
    )
    for bins, error, name, color in ways:
        _reliability(panel, bins, f"{name}: ECE {error:.3f}", color)
    low = min(item.confidence for item in (*split.reliable_before, *split.reliable_after))
    panel.set(xlabel="Predicted probability", ylabel="Observed accuracy")
    panel.set(xlim=(low - 0.05, 1.02), ylim=(-0.02, 1.02))
    panel.grid(alpha=0.25)
    panel.legend(loc="lower right", fontsize="small")


def _reliability(panel: Any, bins: Sequence[ReliabilityBin], label: str, color: str) -> None:
    """Draw points that grow with their number of slides, and how sure each share is."""
    x = [item.confidence for item in bins]
    y = [item.accuracy for item in bins]
    ends = [item.accuracy_interval(LEVEL) for item in bins]
    panel.vlines(x, [end.low for end in ends], [end.high for end in ends], color=color, alpha=0.35)
    total = sum(item.slides for item in bins)
    sizes = [25 + 150 * item.slides / total for item in bins]
    panel.scatter(x, y, sizes, color=color, edgecolor="white", label=label, zorder=3)


def plot_curves(
    path: Path, curves: Mapping[str, Mapping[str, Sequence[tuple[int, float]]]]
) -> None:
    """Draw loss and AUC by epoch, a column for each stage, as PNG.

    Parameters
    ----------
    curves
        Of each stage, every figure by epoch: those called ``…loss`` and ``…auc`` are drawn.

    Raises
    ------
    ExportError
        When it cannot be written.
    """
    figure = new_figure(5 * len(curves) + 0.2, 5.4)
    panels = figure.subplots(2, len(curves), squeeze=False, sharex="col")
    for column, (stage, figures) in enumerate(curves.items()):
        panels[0, column].set_title(stage or "training", fontsize="medium")
        for panel, kind in zip(panels[:, column], ("loss", "auc"), strict=True):
            drawn = [name for name in figures if name.endswith(kind)]
            for number, name in enumerate(drawn):
                x, y = zip(*figures[name], strict=True)
                mark = "o" if len(x) == 1 else ""
                panel.plot(x, y, color=COLORS[number], marker=mark, label=name.replace("_", " "))
            panel.set_ylabel("AUC" if kind == "auc" else "Loss")
            panel.grid(alpha=0.25)
            if drawn:
                panel.legend(fontsize="small")
        panels[1, column].set_xlabel("Epoch")
    save_figure(figure, path)
