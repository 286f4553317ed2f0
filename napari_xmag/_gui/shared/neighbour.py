"""The widgets of one window find each other by name, and lie behind each other as tabs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from npe2 import PluginManager
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

from napari_xmag._gui.shared.dock import Docked, dock_of

if TYPE_CHECKING:
    from napari import Viewer

    from napari_xmag._gui.analyze.tasks import Analysis
    from napari_xmag.zoo import ModelEntry

_PLUGIN = "napari-xmag"
_IN_MENU = "{} (XMAG)"
"""What napari's menu calls a widget. A dock of another name would be opened twice by the menu."""

ANALYZE, TEACH, TRAIN, WORKLIST = "Analyze slide", "Teach", "Train", "Worklist"
"""Names of the widgets, as in the manifest."""


@dataclass(frozen=True, slots=True)
class MadeResult:
    """A result that was made in *Analyze slide*: of which picture, and where it is kept."""

    picture: tuple[Path, int]
    fingerprint: str
    id: str


class AnalyzeDesk(Protocol):
    """What other widgets ask of *Analyze slide*."""

    def predictions(self) -> Mapping[Path, str]:
        """Return the answer for each slide of the viewer that has one."""

    def given_mpp(self, path: Path) -> float | None:
        """Return the pixel size that the user gave for a slide; None where its file states it."""

    def offer(self, entry: "ModelEntry") -> None:
        """Add a model to the choice, and choose it."""

    def analysis(self) -> "Analysis | None":
        """Return how slides are to be analyzed now; None while that is not known, or wrong."""

    def model_digest(self) -> str:
        """Return the digest of the model that is chosen now; empty while that is not known."""

    def in_sight(self) -> tuple[Path, int] | None:
        """Return the file and the picture of the slide in sight; None where there is none."""

    def fingerprint_in_sight(self) -> str:
        """Return the fingerprint of the slide in sight; empty while it is not known."""

    def show_slide(self, path: Path, image: int) -> None:
        """Bring a picture of a slide in sight; it is opened where it is not open."""

    def close_slide(self, path: Path, image: int) -> None:
        """Take a slide out of the viewer, where it is in it."""

    def show_saved(self, path: Path, image: int) -> None:
        """Bring a slide of the viewer in sight with what is saved of it."""

    def reload(self, path: Path, image: int) -> None:
        """Show what is saved of a slide, where it is in the viewer, anew."""

    def take_made(self) -> Sequence[MadeResult]:
        """Return what was analyzed there since this was asked last."""

    def map_slide(self, path: Path, mpp: float | None) -> None:
        """Open a slide and let the chosen model draw its map."""


class _HasDesk(Protocol):
    desk: AnalyzeDesk


class TrainDesk(Protocol):
    """What other widgets ask of *Train*."""

    def add(self, slide: Path, label: str) -> None:
        """Put a slide of the viewer into the table."""


def find_analyze(window: QMainWindow | None) -> AnalyzeDesk | None:
    """Return the window's *Analyze slide*, when it is there."""
    widget = find(window, ANALYZE)
    return cast("_HasDesk", widget).desk if widget is not None else None


def open_analyze(viewer: "Viewer", window: QMainWindow | None) -> AnalyzeDesk:
    """Return the window's *Analyze slide*, opened and in front."""
    return cast("_HasDesk", open_beside(viewer, window, ANALYZE)).desk


def open_train(viewer: "Viewer", window: QMainWindow | None) -> TrainDesk:
    """Return the window's *Train*, opened and in front."""
    return cast("TrainDesk", open_beside(viewer, window, TRAIN))


def find(window: QMainWindow | None, name: str) -> Docked | None:
    """Return the widget of a name in a window, when it is there."""
    widgets = window.findChildren(Docked) if window is not None else []
    return next((widget for widget in widgets if name == widget.NAME), None)


def open_beside(viewer: "Viewer", window: QMainWindow | None, name: str) -> Docked:
    """Return the widget of a name, opened when it is not there, and bring it to the front."""
    widget = find(window, name)
    if widget is None:
        widget = _widget_class(name)(viewer)
        viewer.window.add_dock_widget(widget, name=_IN_MENU.format(name), tabify=True)
    dock = dock_of(widget)
    if dock is not None:
        _to_front(dock)
    return widget


class BesideAnalyze(Docked):
    """A widget whose dock comes to lie behind that of *Analyze slide*, where that is open."""

    def parents_changed(self) -> None:
        """Share the place of *Analyze slide* as soon as Qt's present events are done."""
        QTimer.singleShot(0, self, self._share_place)

    def _share_place(self) -> None:
        window = self.main_window()
        if window is not None:
            share_place(self, window, ANALYZE)


def share_place(widget: QWidget, window: QMainWindow, other: str) -> None:
    """Put a widget's dock behind that of another as a tab: stacked, both are too small."""
    neighbour, own = find(window, other), dock_of(widget)
    beside = dock_of(neighbour) if neighbour is not None else None
    if neighbour is None or own is None or beside is None:
        return
    if own.isFloating() or beside.isFloating():
        return
    if own not in window.tabifiedDockWidgets(beside):
        window.tabifyDockWidget(beside, own)
        width = max(widget.sizeHint().width(), neighbour.sizeHint().width())
        window.resizeDocks([own], [width], Qt.Orientation.Horizontal)
    _to_front(own)


def _widget_class(name: str) -> Callable[["Viewer"], Docked]:
    """Return the class that the manifest names: neither widget imports the other."""
    manifest = PluginManager.instance().get_manifest(_PLUGIN)
    widgets = manifest.contributions.widgets or []
    (contribution,) = [widget for widget in widgets if widget.display_name == name]
    return cast(Callable[["Viewer"], Docked], contribution.get_callable())


def _to_front(dock: QDockWidget) -> None:
    dock.show()
    # Later: Qt makes the tabs only when it lays the window out, and shows the first of them.
    QTimer.singleShot(0, dock, dock.raise_)
