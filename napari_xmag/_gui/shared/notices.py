"""Errors and news, said where a napari user looks for them."""

import logging

from napari.utils.notifications import (
    notification_manager,
    show_error,
    show_info,
    show_warning,
)

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
