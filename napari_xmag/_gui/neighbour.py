"""The two widgets of one window find each other, and lie behind each other as tabs."""

from typing import TypeVar

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

from napari_xmag._gui.dock import dock_of

_IN_MENU = "{} (XMAG)"
"""How napari's menu calls a widget. A dock of another name would be opened twice by the menu."""

ANALYZE, TRAIN = "Analyze slide", "Train"

W = TypeVar("W", bound=QWidget)


def find(window: QMainWindow | None, kind: type[W]) -> W | None:
    """Return the widget of a kind in a window, when it is there."""
    found = window.findChildren(kind) if window is not None else []
    return found[0] if found else None


def open_beside(viewer: object, window: QMainWindow | None, kind: type[W], name: str) -> W:
    """Return the widget of a kind, opened when it is not there, and bring it to the front."""
    widget = find(window, kind)
    if widget is None:
        widget = kind(viewer)
        viewer.window.add_dock_widget(widget, name=_IN_MENU.format(name), tabify=True)
    dock = dock_of(widget)
    if dock is not None:
        _to_front(dock)
    return widget


def share_place(widget: QWidget, window: QMainWindow, other: type[QWidget]) -> None:
    """Put a widget's dock behind that of the other kind as a tab: stacked, both are too small."""
    neighbour, own = find(window, other), dock_of(widget)
    beside = dock_of(neighbour) if neighbour is not None else None
    if own is None or beside is None or own.isFloating() or beside.isFloating():
        return
    if own not in window.tabifiedDockWidgets(beside):
        window.tabifyDockWidget(beside, own)
        width = max(widget.sizeHint().width(), neighbour.sizeHint().width())
        window.resizeDocks([own], [width], Qt.Orientation.Horizontal)
    _to_front(own)


def _to_front(dock: QDockWidget) -> None:
    dock.show()
    # Later: Qt makes the tabs only when it lays the window out, and shows the first of them.
    QTimer.singleShot(0, dock, dock.raise_)
