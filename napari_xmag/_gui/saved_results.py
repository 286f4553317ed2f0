"""Saved results that are dropped on napari: slide, map and marks come back in place."""

from collections.abc import Callable
from pathlib import Path
from typing import cast

import napari
from napari.layers import Layer
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFileDialog, QMainWindow

from napari_xmag._gui.shared.neighbour import open_analyze
from napari_xmag._gui.shared.notices import tell_error
from napari_xmag.errors import ResultError, XmagError
from napari_xmag.files import is_same_file
from napari_xmag.layer_data import LayerData, slide_image, slide_path
from napari_xmag.review.reopen import Reopened, adopt, reopen, result_folder
from napari_xmag.review.store import ReviewStore

ReadSlide = Callable[[Path], list[LayerData]]


def read_result(path: Path, read_slide: ReadSlide) -> list[LayerData]:
    """Return the slide of a saved result as a layer; *Analyze slide* shows the result over it.

    The slide is looked for beside the result, then asked for.

    Parameters
    ----------
    path
        The result's folder, or one of its files.
    read_slide
        Opens the slide.

    Raises
    ------
    ResultError
        When the result cannot be loaded, or its slide is not found. It is shown as a notification
        too, since napari's dialog leaves the reason out.
    """
    try:
        found = _reopen(path)
        adopt(found, ReviewStore(str(found.result.slide["fingerprint"])))
    except XmagError as error:
        tell_error(error)
        raise
    viewer = napari.current_viewer()
    if viewer is None:
        return read_slide(found.slide)
    window = viewer.window._qt_window
    QTimer.singleShot(0, window, lambda: _show(viewer, window, found))
    if any(_shows(layer, found) for layer in viewer.layers):
        return cast("list[LayerData]", [(None,)])  # what napari takes for nothing to add
    return read_slide(found.slide)


def _reopen(path: Path) -> Reopened:
    try:
        return reopen(path)
    except ResultError as error:
        result_folder(path)  # where there is no result at all, no slide can help
        slide = ask_for_slide(str(error))
        if slide is None:
            raise
        return reopen(path, [slide])


def ask_for_slide(reason: str) -> Path | None:
    """Let the user say where a slide lies; None when there is no answer."""
    name, _ = QFileDialog.getOpenFileName(None, f"Where is the slide? {reason}")
    return Path(name) if name else None


def _shows(layer: Layer, found: Reopened) -> bool:
    path, image = slide_path(layer), slide_image(layer)
    return path is not None and image == found.image and is_same_file(path, found.slide)


def _show(viewer: "napari.Viewer", window: QMainWindow, found: Reopened) -> None:
    open_analyze(viewer, window).show_saved(found.slide, found.image)
