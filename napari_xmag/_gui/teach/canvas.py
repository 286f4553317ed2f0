"""The mouse on the slide: clicks and strokes become patches of the slide in sight."""

from collections.abc import Callable, Generator, Sequence
from typing import Any

import numpy as np
from napari.components import ViewerModel

from napari_xmag._gui.teach.state import TeachSlide, TeachState, Tool

_LEFT = 1


class SlideMouse:
    """Hears the mouse while a tool is in the hand.

    Shift leaves the mouse to napari, which moves the slide; so does a layer that is drawn on.

    Parameters
    ----------
    viewer
        Whose canvas it is.
    state
        Says which slide is in sight, and which tool is in the hand.
    touch
        Gets the patches while the button is down.
    done
        Gets all patches, in the order in which they were touched, and whether the mouse moved.
    miss
        Called when a click met glass.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        state: TeachState,
        touch: Callable[[list[int]], None],
        done: Callable[[list[int], bool], None],
        miss: Callable[[], None],
    ) -> None:
        self._viewer, self._state = viewer, state
        self._touch, self._done, self._miss = touch, done, miss
        viewer.mouse_drag_callbacks.append(self._press)

    def disconnect(self) -> None:
        """Hear nothing any more."""
        self._viewer.mouse_drag_callbacks.remove(self._press)

    def _press(self, viewer: ViewerModel, event: Any) -> Generator[None, None, None]:
        shown = self._state.current
        if shown is None or shown.prepared is None or not self._ours(event):
            return
        camera = viewer.scene.camera
        camera.mouse_pan = False
        try:
            yield from self._stroke(shown, event)
        finally:
            camera.mouse_pan = True

    def _ours(self, event: Any) -> bool:
        active = self._viewer.layers.selection.active
        mode = str(getattr(active, "mode", "pan_zoom"))
        free = self._state.tool is not Tool.LOOK and not event.modifiers
        return free and event.button == _LEFT and mode == "pan_zoom"

    def _stroke(self, shown: TeachSlide, event: Any) -> Generator[None, None, None]:
        line = [_place(shown, event)]
        yield
        while event.type == "mouse_move":
            line.append(_place(shown, event))
            if self._state.tool is not Tool.SIMILAR:
                self._touch(_patches(shown, line))
            yield
        # found at the end: meanwhile more may have been encoded, and numbers changed
        if patches := _patches(shown, line):
            self._done(patches, len(line) > 1)
        else:
            self._miss()


def _place(shown: TeachSlide, event: Any) -> tuple[float, float]:
    """Return where the mouse is, x and y in level-0 pixels."""
    y, x = shown.layer.world_to_data(event.position)[-2:]
    # napari counts from the middle of the first pixel, the core from its corner
    return float(x) + 0.5, float(y) + 0.5


def _patches(shown: TeachSlide, line: Sequence[tuple[float, float]]) -> list[int]:
    """Return the patches on a line, each once, in their order on it."""
    prepared = shown.prepared
    if prepared is None:
        return []
    step = min(prepared.features.stride_x, prepared.features.stride_y) / 3
    corners = np.array([line[0], *line])
    lengths = np.hypot(*np.diff(corners, axis=0).T)
    places = [
        np.linspace(start, end, 2 + int(length / step))
        for start, end, length in zip(corners[:-1], corners[1:], lengths, strict=True)
    ]
    found = prepared.patches_at(np.concatenate(places))
    return list(dict.fromkeys(found[found >= 0].tolist()))
