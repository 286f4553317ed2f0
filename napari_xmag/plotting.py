"""Figures without a window: their colours, and how they are written."""

from pathlib import Path
from typing import TYPE_CHECKING

from napari_xmag._about import NOTICE
from napari_xmag.files import whole_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's colours: told apart by everyone.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")


GREY = "#8c8c8c"

_DOTS_PER_INCH = 150


def new_figure(width: float, height: float) -> "Figure":
    """Return an empty figure of so many inches, without a window."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: "Figure", path: Path) -> None:
    """Write a figure as PNG, with the notice below it.

    Raises
    ------
    ExportError
        When it cannot be written.
    """
    figure.supxlabel(NOTICE, fontsize="small", color=GREY)
    with whole_file(path) as part:
        figure.savefig(part, dpi=_DOTS_PER_INCH)
