"""Errors and news, said where a napari user looks for them, and said whole."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari.utils.notifications import (
    Notification,
    NotificationSeverity,
    notification_manager,
)

from napari_xmag._gui.shared.breakable import breakable
from napari_xmag.errors import XmagError

if TYPE_CHECKING:
    from napari._qt.dialogs.qt_notification import NapariQtNotification

_log = logging.getLogger(__name__)

_MS_PER_LETTER = 60
"""How long a text takes to be read, by slow readers."""

_LONG_WORD = 30

Actions = Sequence[tuple[str, Callable[..., None]]]


def tell_error(error: Exception) -> None:
    """Show an error as its message; details go to the log.

    An error that the program did not foresee is shown with napari's own button for its traceback,
    since whoever reports it will be asked for that.
    """
    if isinstance(error, XmagError):
        _log.error("%s", error.details(), exc_info=error)
        _tell(str(error), NotificationSeverity.ERROR)
        return
    _log.error("Unexpected error", exc_info=error)
    notification_manager.receive_error(type(error), error, error.__traceback__)
    _show_whole(str(error))


def tell_warning(message: str) -> None:
    """Show what the user must know although it stops nothing."""
    _log.warning("%s", message)
    _tell(message, NotificationSeverity.WARNING)


def tell(message: str) -> None:
    """Show a piece of news."""
    _tell(message, NotificationSeverity.INFO)


def tell_written(message: str, files: Mapping[str, Path]) -> None:
    """Say that files were written, with a button that opens their folder."""
    folder = next(iter(files.values())).parent
    actions = [("Open folder", lambda *_: _open(folder))]
    _tell(message, NotificationSeverity.INFO, actions)


def _tell(message: str, severity: NotificationSeverity, actions: Actions = ()) -> None:
    notification_manager.dispatch(Notification(message, severity, actions))
    _show_whole(message)


def _open(folder: Path) -> None:
    from qtpy.QtCore import QUrl
    from qtpy.QtGui import QDesktopServices

    QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))


def _show_whole(message: str) -> None:
    """Let the notice that has just come show all of its text, and stay until that is read.

    napari cuts a text to its first line, and takes it away after four seconds.
    """
    try:  # a reader works without a window, and without Qt
        from napari._qt.dialogs.qt_notification import NapariQtNotification
    except ImportError:
        return
    shown = NapariQtNotification._instances
    if shown and shown[-1].message.text() == message:
        _fit(shown[-1], message)


def _fit(notice: "NapariQtNotification", message: str) -> None:
    from qtpy.QtCore import QRect, Qt
    from qtpy.QtGui import QFontMetrics

    notice.geom_anim.stop()
    label, layout = notice.message, notice.layout()
    label.setElideMode(Qt.TextElideMode.ElideNone)
    label.setText(breakable(message, _LONG_WORD))
    layout.activate()
    room = QRect(0, 0, label.width(), 10_000)
    flags = int(Qt.TextFlag.TextWordWrap)
    lines = QFontMetrics(label.font()).boundingRect(room, flags, label.text()).height()
    margins = notice.row1.contentsMargins()
    label.setFixedHeight(lines)
    notice.setMinimumHeight(notice.minimumHeight() - 40 + lines)
    notice.resize(notice.width(), notice.minimumHeight() + margins.top() + margins.bottom())
    notice.expand_button.hide()
    notice.source_label.hide()  # napari's own module, cut by the button beside it
    notice.move_to_bottom_right()
    notice.timer.setInterval(max(notice.DISMISS_AFTER, _MS_PER_LETTER * len(message)))
    if notice.timer.isActive():
        notice.timer.start()
