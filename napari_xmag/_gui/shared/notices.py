"""Errors and news, said where a napari user looks for them."""

import logging
from collections.abc import Mapping
from pathlib import Path

from napari.utils.notifications import (
    Notification,
    NotificationSeverity,
    notification_manager,
    show_error,
    show_info,
    show_warning,
)
from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices

from napari_xmag.errors import XmagError

_log = logging.getLogger(__name__)


def tell_error(error: Exception) -> None:
    """Show an error as its message; details go to the log.

    An error that the program did not foresee is shown with napari's own button for its traceback,
    since whoever reports it will be asked for that.
    """
    if isinstance(error, XmagError):
        _log.error("%s", error.details(), exc_info=error)
        show_error(str(error))
        return
    _log.error("Unexpected error", exc_info=error)
    notification_manager.receive_error(type(error), error, error.__traceback__)


def tell_warning(message: str) -> None:
    """Show what the user must know although it stops nothing."""
    _log.warning("%s", message)
    show_warning(message)


def tell(message: str) -> None:
    """Show a piece of news."""
    show_info(message)


def tell_written(message: str, files: Mapping[str, Path]) -> None:
    """Say that files were written, with a button that opens their folder."""
    folder = next(iter(files.values())).parent
    actions = [("Open folder", lambda *_: _open(folder))]
    notice = Notification(message, NotificationSeverity.INFO, actions)
    notification_manager.dispatch(notice)


def _open(folder: Path) -> None:
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))
