"""The mouse on the slide: clicks and strokes become patches of the slide in sight."""

from collections.abc import Callable, Generator
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
        place = _place(shown, event)
        patches = _patches(shown, place, place)
        moved = False
        yield
        while event.type == "mouse_move":
            before, place = place, _place(shown, event)
            moved = True
            patches += [p for p in _patches(shown, before, place) if p not in patches]
            if self._state.tool is not Tool.SIMILAR:
                self._touch(patches)
            yield
        if patches:
            self._done(patches, moved)
        else:
            self._miss()


def _place(shown: TeachSlide, event: Any) -> tuple[float, float]:
    """Return where the mouse is, x and y in level-0 pixels."""
    y, x = shown.layer.world_to_data(event.position)[-2:]
    # napari counts from the middle of the first pixel, the core from its corner
    return float(x) + 0.5, float(y) + 0.5


def _patches(shown: TeachSlide, start: tuple[float, float], end: tuple[float, float]) -> list[int]:
    """Return the patches on a line, each once."""
    prepared = shown.prepared
    if prepared is None:
        return []
    step = min(prepared.features.stride_x, prepared.features.stride_y) / 3
    count = 1 + int(np.hypot(end[0] - start[0], end[1] - start[1]) / step)
    found: list[int] = []
    for part in np.linspace(0, 1, count + 1):
        x, y = (a + part * (b - a) for a, b in zip(start, end, strict=True))
        patch = prepared.patch_at(x, y)
        if patch is not None and patch not in found:
            found.append(patch)
    return found
