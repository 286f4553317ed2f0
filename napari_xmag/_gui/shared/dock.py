"""The life of a widget in a dock: when its dock is closed, and when its window is."""

from collections.abc import Sequence
from typing import ClassVar

import napari
from qtpy.QtCore import QEvent, QObject, QTimer, Slot
from qtpy.QtWidgets import QDockWidget, QMainWindow, QPushButton, QWidget

from napari_xmag._gui.shared.canvas_keys import CanvasKey
from napari_xmag._gui.shared.maps import bring_back_all, forget_dock, register_dock
from napari_xmag._gui.shared.wheel import guard_wheel

_CLOSE_BUTTON = "QTitleBarCloseButton"  # as napari names it
_GUARDED = "xmagGuarded"
_NAPARI_DOCKS = ("layer controls", "layer list")


def dock_of(widget: QWidget) -> QDockWidget | None:
    """Return the dock around a widget."""
    parent = widget.parent()
    while parent is not None and not isinstance(parent, QDockWidget):
        parent = parent.parent()
    return parent


class NapariDocks:
    """Napari's own layer list and layer controls, put away to leave room for the slide."""

    def __init__(self) -> None:
        self._away: list[QDockWidget] = []

    def put_away(self, window: QMainWindow | None, away: bool) -> None:
        """Hide those that are in sight, or bring them back."""
        if away:
            docks = window.findChildren(QDockWidget) if window is not None else []
            ours = [dock for dock in docks if dock.objectName() in _NAPARI_DOCKS]
            self._away = [dock for dock in ours if dock.isVisible()]
        for dock in self._away:
            dock.setVisible(not away)
        if not away:
            self._away = []


class Docked(QWidget):
    """A widget that knows when to end its work.

    Subclasses override `let_go`, `dock_hides` and, when window and dock shall not close without a
    question, `may_close`.

    Parameters
    ----------
    viewer
        The viewer that it serves.

    Attributes
    ----------
    NAME
        The widget's name in the manifest, by which others find it.
    MAP_ROLE
        Role of the maps that it shows, in place of which those of another dock may come.
    keys
        What keys do while the canvas has the focus.
    """

    NAME: ClassVar[str] = ""
    MAP_ROLE: ClassVar[str] = ""
    keys: Sequence[CanvasKey] = ()

    def __init__(self, viewer: "napari.viewer.Viewer") -> None:
        super().__init__()
        self.viewer = viewer
        self._closed = self._window_closes = False
        self._dock: QDockWidget | None = None
        register_dock(self)

    def shut_down(self) -> None:
        """End all work, once; the widget is of no use afterwards."""
        if not self._closed:
            self._closed = True
            forget_dock(self)
            self.let_go()

    def let_go(self) -> None:
        """End all work and let go of the viewer."""

    def dock_hides(self) -> None:
        """Answer that the dock is put away; the menu that opened it shows it again."""

    def may_close(self, place: QMainWindow | QDockWidget) -> bool:
        """Say whether the user may close window or dock now; False when the user is asked about it.

        Where the answer is yes, `close_place` closes the same place.
        """
        return True

    def close_place(self, place: QMainWindow | QDockWidget) -> None:
        """Close the window, or the dock for good, as soon as Qt's present events are done."""
        QTimer.singleShot(0, place, getattr(place, "destroyOnClose", place.close))

    def in_front(self) -> bool:
        """Say whether the user sees the widget: neither put away nor behind another tab."""
        return self.isVisible() and not self.visibleRegion().isEmpty()

    def parents_changed(self) -> None:
        """Answer that the widget came into a dock, or into another one."""

    def main_window(self) -> QMainWindow | None:
        """Return napari's window; not ``window()``, for a floating dock is a window of its own."""
        parent = self.parent()
        while parent is not None and not isinstance(parent, QMainWindow):
            parent = parent.parent()
        return parent

    def event(self, event: QEvent) -> bool:
        """Notice when the widget comes into a dock, and when it is taken out of it."""
        if event.type() == QEvent.Type.ParentChange:
            self._watch_parents()
        elif event.type() == QEvent.Type.Polish:  # all that it holds is made by now
            guard_wheel(self)
        return super().event(event)

    def _follow_tabs(self, dock: QDockWidget) -> None:
        if dock is not self._dock:
            self._dock = dock
            dock.visibilityChanged.connect(self._tab_changes)

    @Slot(bool)
    def _tab_changes(self, in_sight: bool) -> None:
        if in_sight:  # in front only once Qt has laid out its tabs
            QTimer.singleShot(0, self, self._bring_maps_back)

    @Slot()
    def _bring_maps_back(self) -> None:
        if not self._closed:
            bring_back_all(self)

    def _watch_parents(self) -> None:
        parent = self.parent()
        if parent is None:
            self.shut_down()
            self.deleteLater()  # here, not in whichever thread collects garbage next
        while parent is not None:
            if isinstance(parent, QDockWidget | QMainWindow):
                parent.installEventFilter(self)
            if isinstance(parent, QDockWidget):
                self._guard(parent)
                self._follow_tabs(parent)
            parent = parent.parent()
        if self.parent() is not None:
            self.parents_changed()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Pass on that the dock is closed; end everything when the window is.

        A window may refuse to close (the user was asked), so it has to be hidden too.
        """
        if event.type() == QEvent.Type.Close:
            return self._closes(watched, event)
        if event.type() == QEvent.Type.ParentChange and self.parent() is not None:
            self._watch_parents()  # the dock came into the window after the widget into the dock
        elif event.type() == QEvent.Type.Hide and isinstance(watched, QMainWindow):
            if self._window_closes and not event.spontaneous():
                self.shut_down()
        elif event.type() == QEvent.Type.Show:
            self._window_closes = False
        elif event.type() == QEvent.Type.ChildPolished and isinstance(watched, QDockWidget):
            self._guard(watched)  # napari makes a new title when the dock comes to float
        return False

    def _guard(self, dock: QDockWidget) -> None:
        """Take over the button that closes a dock for good.

        napari takes the widget out of its dock then; no event comes that could stop it.
        """
        for button in dock.findChildren(QPushButton, _CLOSE_BUTTON):
            if not button.property(_GUARDED):
                button.setProperty(_GUARDED, True)
                button.clicked.disconnect()
                button.clicked.connect(self._close_asked)

    @Slot()
    def _close_asked(self) -> None:
        dock = dock_of(self)
        if dock is not None and self.may_close(dock):
            self.close_place(dock)

    def _closes(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(watched, QDockWidget):
            self.dock_hides()
        elif not isinstance(watched, QMainWindow):
            return False
        elif not watched.isVisible():
            self.shut_down()
        elif _shows_canvas(watched) and not self.may_close(watched):
            event.ignore()
            return True
        else:
            self._window_closes = True
        return False


def _shows_canvas(window: QMainWindow) -> bool:
    """Tell a user who closes the window from a program, which puts the canvas away before."""
    canvas = window.centralWidget()
    children = canvas.children() if canvas is not None else []
    return any(isinstance(child, QWidget) and child.isVisible() for child in children)
