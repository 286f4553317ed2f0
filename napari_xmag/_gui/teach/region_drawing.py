"""Draws a region around examples, also where no tissue was found."""

from collections.abc import Callable

import numpy as np
from napari.components import ViewerModel
from numpy.typing import NDArray

from napari_xmag._gui.shared.notices import tell
from napari_xmag._gui.shared.placing import drop_layer
from napari_xmag._gui.teach.layers import new_region
from napari_xmag._gui.teach.state import TeachSlide, TeachState
from napari_xmag.teach.lesson import Example, Lesson, SlideId


class RegionDrawing:
    """A lasso on the slide in sight.

    Parameters
    ----------
    viewer, state
        Of the window.
    mark
        Gets the slide, the patches in a region, and the class in the hand.
    add
        Gets examples where no tissue was found: the whole region lies there.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        state: TeachState,
        mark: Callable[[SlideId, list[int], str], None],
        add: Callable[[Lesson], None],
    ) -> None:
        self._viewer, self._state = viewer, state
        self._mark, self._add = mark, add

    def draw(self) -> None:
        """Put the lasso into the hand."""
        shown = self._state.current
        if shown is None or shown.prepared is None:
            return
        layer = new_region(self._viewer, shown)
        layer.events.data.connect(lambda event: self._drawn(shown, event))

    def _drawn(self, shown: TeachSlide, event: object) -> None:
        layer, prepared = shown.region_layer, shown.prepared
        if layer is None or str(getattr(event, "action", "")) != "added" or not len(layer.data):
            return
        outline = np.asarray(layer.data[-1], float)[:, -2:][:, ::-1] + 0.5
        self._viewer.layers.selection.active = shown.layer
        drop_layer(self._viewer, layer)
        if prepared is None:
            return
        if not self._state.class_name:
            tell("Add a class first.")
            return
        inside = prepared.patches_inside(outline)
        if len(inside):
            self._mark(prepared.id, inside.tolist(), self._state.class_name)
        else:
            self._beyond(prepared.id, prepared.free_inside(outline))

    def _beyond(self, of: SlideId, places: NDArray[np.float64]) -> None:
        if not len(places):
            tell("The region holds no patch: it lies beside the slide, or where it is unreadable.")
            return
        count = "1 patch" if len(places) == 1 else f"{len(places)} patches"
        tell(f"No tissue was found there: {count} will be encoded and count as tissue.")
        name = self._state.class_name
        self._add(Lesson((), tuple(Example(of, x, y, name) for x, y in places.tolist())))
