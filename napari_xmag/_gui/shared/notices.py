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
    """Show an error in words; details go to the log.

    An error that the program did not foresee is shown with napari's own button for its traceback,
    since whoever reports it will be asked for that.
    """
    if isinstance(error, XmagError):
        _log.error("%s", error.details(), exc_info=error)
        show_error(in_words(error))
        return
    _log.error("Unforeseen error", exc_info=error)
    notification_manager.receive_error(type(error), error, error.__traceback__)


def in_words(error: XmagError) -> str:
    """Return an error as two sentences."""
    return f"{_sentence(error.expected, 'Needed ')} {_sentence(error.found, 'Found ')} {error.hint}"


def _sentence(words: str, start: str) -> str:
    return f"{start}{words.rstrip('.')}."


def tell_warning(message: str) -> None:
    """Show what the user must know although it stops nothing."""
    _log.warning("%s", message)
    show_warning(message)


def tell(message: str) -> None:
    """Show a piece of news."""
    show_info(message)
