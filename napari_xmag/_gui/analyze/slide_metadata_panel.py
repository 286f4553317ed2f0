"""What the slide says of itself, and how long each stage of its analysis took."""

from collections.abc import Mapping
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QGridLayout, QLabel, QVBoxLayout, QWidget

from napari_xmag._gui.shared.section import Words, discard
from napari_xmag.analyze.result import SlideResult

_STAGES = {
    "tissue": "finding tissue",
    "model": "model",
    "plan": "planning tiles",
    "first_tiles": "first tiles",
    "read_wait": "waiting for tiles",
    "encode": "encoding",
    "head": "attention",
    "total": "total",
}


class SlideMetadataPanel(QWidget):
    """A table of words."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[str, str] = {}
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._table = QWidget()
        self._layout.addWidget(self._table)

    def show_slide(self, metadata: Mapping[str, Any] | None, result: SlideResult | None) -> None:
        """Fill the table anew."""
        self.rows = {**_slide_rows(metadata), **_second_rows(result)}
        self._layout.removeWidget(self._table)
        discard(self._table)
        self._table = QWidget()
        grid = QGridLayout(self._table)  # a form would cut what needs several lines
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(3)
        grid.setHorizontalSpacing(8)
        grid.setColumnStretch(1, 1)
        for row, (name, words) in enumerate(self.rows.items()):
            grid.addWidget(_label(name), row, 0)
            grid.addWidget(_value(name, words), row, 1)
        self._layout.addWidget(self._table)


def _label(text: str) -> QLabel:
    label = QLabel(text)
    label.setAlignment(Qt.AlignmentFlag.AlignTop)
    return label


def _value(name: str, text: str) -> QLabel:
    # what is broken is not copied as it is written: of all values, only a file's name is that long
    label = Words(text) if name == "File" else QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    if name != "File":
        label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def _slide_rows(metadata: Mapping[str, Any] | None) -> dict[str, str]:
    if metadata is None:
        return {"": "No slide is open."}
    power = metadata["objective_power"]
    rows = {
        "File": metadata["path"],
        "Vendor": metadata["vendor"],
        "Pixel size": _pixel_size(metadata),
        "Pixel size conflict": metadata["mpp_conflict"],
        "Objective": f"{power:g}x" if power else "not stated",
        "Size": _size(metadata),
        "Levels": _levels(metadata),
        "Scanned area": _bounds(metadata),
        "Colour profile": "ICC profile in the file" if metadata["icc"] else "none",
        "Fingerprint": metadata["fingerprint"][:12],
    }
    return {name: words for name, words in rows.items() if words}


def _pixel_size(metadata: Mapping[str, Any]) -> str:
    x, y = metadata["mpp_x"], metadata["mpp_y"]
    if x is None:
        return "not stated"
    size = f"{x:.4g} µm" if x == y else f"{x:.4g} × {y:.4g} µm"
    return f"{size} ({metadata['mpp_source']})"


def _size(metadata: Mapping[str, Any]) -> str:
    pixels = f"{metadata['width']:,} × {metadata['height']:,} pixels".replace(",", " ")
    if metadata["mpp_x"] is None:
        return pixels
    width = metadata["width"] * metadata["mpp_x"] / 1000
    height = metadata["height"] * metadata["mpp_y"] / 1000
    return f"{pixels}\n{width:.1f} × {height:.1f} mm"


def _levels(metadata: Mapping[str, Any]) -> str:
    steps = ", ".join(f"{level['downsample']:.4g}" for level in metadata["levels"])
    return f"{len(metadata['levels'])} (1:{steps.replace(', ', ', 1:')})"


def _bounds(metadata: Mapping[str, Any]) -> str:
    bounds = metadata["bounds"]
    whole = (0, 0, metadata["width"], metadata["height"])
    if (bounds["x"], bounds["y"], bounds["width"], bounds["height"]) == whole:
        return "whole slide"
    size = f"{bounds['width']:.0f} × {bounds['height']:.0f}"
    return f"{size} pixels from ({bounds['x']:.0f}, {bounds['y']:.0f})"


def _second_rows(result: SlideResult | None) -> dict[str, str]:
    if result is None:
        return {}
    return {
        f"Time: {_STAGES.get(stage, stage.replace('_', ' '))}": f"{seconds:.2f} s"
        for stage, seconds in result.seconds.items()
    }
