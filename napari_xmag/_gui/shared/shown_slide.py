"""One slide at a time: of all layers that belong to slides, only those of one are in sight."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from napari.components import ViewerModel
from napari.layers import Labels, Layer, Points, Shapes
from psygnal import Signal

from napari_xmag._gui.shared.maps import leave_one_map, settle_maps
from napari_xmag.layer_data import (
    METADATA_KEY,
    SlideKey,
    bear_units,
    layer_metadata,
    layer_role,
    own_units,
    part_units,
    slide_key,
    slide_path,
)

DRAWN_ROLE = "drawn"
"""Role of what the user drew over a slide with napari's own tools."""

_PUT_AWAY = "put away"
_DRAWN = (Shapes, Labels, Points)


class ShownSlide:
    """Shows one slide of a viewer alone and fitted, with all layers that belong to it.

    A slide is chosen by opening it, by selecting one of its layers or clicking its eye, or by
    `show`. The others' layers are hidden; what was in sight of them comes back with them. What the
    user draws belongs to the slide in sight. A slide that is removed takes along what the program
    made for it. Every layer says in its metadata whose it is (`layer_metadata`), so that several
    docks may each follow one viewer.

    Parameters
    ----------
    viewer
        Followed until `disconnect`.

    Attributes
    ----------
    changed
        Says that another slide is in sight; carries its layer, or None.
    layer
        The layer of the slide in sight.
    """

    changed = Signal(object)

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._busy = False
        self._inserted_last: Layer | None = None
        self.layer: Layer | None = None
        layers = viewer.layers
        layers.events.inserted.connect(self._inserted)
        layers.events.removed.connect(self._removed)
        layers.selection.events.active.connect(self._selected)
        for layer in layers:
            self._follow(layer)
        top = next(
            (layer for layer in reversed(layers) if _is_slide(layer) and layer.visible), None
        )
        if top is not None:
            self.show(top, fit=False)

    def disconnect(self) -> None:
        """Follow the viewer no longer."""
        layers = self._viewer.layers
        layers.events.inserted.disconnect(self._inserted)
        layers.events.removed.disconnect(self._removed)
        layers.selection.events.active.disconnect(self._selected)
        for layer in layers:
            self._unfollow(layer)
            part_units(layer)

    def show(self, layer: Layer, *, fit: bool = True) -> None:
        """Bring a slide in sight, alone; ``fit`` moves the camera so that all of it is seen."""
        other = layer is not self.layer
        self.layer = layer
        self.share_units()
        with self._quiet():
            for each in self._viewer.layers:
                _arrange(each, slide_key(layer))
            settle_maps(self._viewer, layer)
            self._select(layer)
        if fit and other:
            self.fit()
        if other:
            self.changed.emit(layer)

    def show_none(self) -> None:
        """Hide all that belongs to slides, until one is chosen."""
        self.layer = None
        with self._quiet():
            for each in self._viewer.layers:
                _put_away(each)
        self.changed.emit(None)

    def share_units(self) -> None:
        """Let all layers that belong to slides bear the units of the one in sight."""
        if self.layer is not None:
            units = own_units(self.layer)
            for each in self._viewer.layers:
                if slide_key(each) is not None:
                    bear_units(each, units)

    def fit(self) -> None:
        """Move the camera so that the whole slide in sight is seen."""
        if self.layer is not None:
            self._viewer.fit_to_view(layers=[self.layer])

    def take_tools_off(self, *layers: Layer | None) -> None:
        """Select the slide in sight where one of these layers is selected."""
        active = self._viewer.layers.selection.active
        if self.layer is not None and active is not None and active in layers:
            self._viewer.layers.selection.active = self.layer

    def _select(self, layer: Layer) -> None:
        """Take the tools off the layers of other slides."""
        active = self._viewer.layers.selection.active
        if active is None or slide_key(active) not in (None, slide_key(layer)):
            self._viewer.layers.selection.active = layer

    def _show_owner(self, layer: Layer) -> None:
        key = slide_key(layer)
        if key is None or (self.layer is not None and key == slide_key(self.layer)):
            return
        slides = [each for each in self._viewer.layers if _is_slide(each)]
        owner = next((each for each in slides if slide_key(each) == key), None)
        if owner is not None:
            self.show(owner)

    def _inserted(self, event: Any) -> None:
        layer = event.value
        self._follow(layer)
        self._inserted_last = layer
        shown = slide_key(self.layer) if self.layer is not None else None
        if _is_slide(layer):
            if layer.visible or self.layer is None:
                self.show(layer)
            self.share_units()
            return
        if shown is not None and slide_key(layer) is None and isinstance(layer, _DRAWN):
            layer.metadata.update(layer_metadata(shown.path, DRAWN_ROLE, shown.image))
        if shown is not None:
            self.share_units()
            with self._quiet():
                _arrange(layer, shown)
                leave_one_map(self._viewer, layer)

    def _selected(self, event: Any) -> None:
        layer = event.value
        # napari selects each layer that comes in; a map that comes late must not change the slide.
        if layer is None or layer is self._inserted_last:
            return
        self._inserted_last = None
        if not self._busy:
            self._show_owner(layer)

    def _seen(self, event: Any) -> None:
        layer = event.source
        if layer.visible and not self._busy and layer in self._viewer.layers:
            self._show_owner(layer)
            with self._quiet():
                leave_one_map(self._viewer, layer)

    def _removed(self, event: Any) -> None:
        layer = event.value
        self._unfollow(layer)
        if not _is_slide(layer):
            return
        layers, key = self._viewer.layers, slide_key(layer)
        if not any(_is_slide(each) and slide_key(each) == key for each in layers):
            with layers.batched_update():  # each for itself, napari would collect garbage anew
                for each in [each for each in layers if slide_key(each) == key]:
                    self._part(each)
        if layer is self.layer:
            self._show_next(layer)

    def _part(self, layer: Layer) -> None:
        """Let go of a removed slide's layer; what the user drew is hidden, never thrown away."""
        if layer_role(layer) == DRAWN_ROLE:
            layer.visible = False
        elif layer in self._viewer.layers:
            self._viewer.layers.remove(layer)

    def _show_next(self, removed: Layer) -> None:
        self.layer = None
        slides = (each for each in reversed(self._viewer.layers) if _is_slide(each))
        # where another dock put it away, no slide is to be in sight
        left = None if removed.metadata[METADATA_KEY].get(_PUT_AWAY) else next(slides, None)
        if left is not None:
            self.show(left)
        else:
            self.changed.emit(None)

    def _follow(self, layer: Layer) -> None:
        layer.events.visible.connect(self._seen)

    def _unfollow(self, layer: Layer) -> None:
        layer.events.visible.disconnect(self._seen)

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        busy, self._busy = self._busy, True
        try:
            yield
        finally:
            self._busy = busy


def put_out_of_sight(layer: Layer) -> None:
    """Hide what was made for a slide; it stays hidden when the slide comes in sight again."""
    layer.metadata[METADATA_KEY].pop(_PUT_AWAY, None)
    _set_visible(layer, False)


def _is_slide(layer: Layer) -> bool:
    return slide_path(layer) is not None


def _arrange(layer: Layer, shown: SlideKey | None) -> None:
    """Show a layer that belongs to the slide in sight, unless the user hid it; hide it if not."""
    key = slide_key(layer)
    if key is None or key != shown:
        _put_away(layer)
    elif layer.metadata[METADATA_KEY].pop(_PUT_AWAY, False) or _is_slide(layer):
        _set_visible(layer, True)


def _put_away(layer: Layer) -> None:
    """Hide what belongs to a slide, until the slide is in sight again."""
    if slide_key(layer) is not None and layer.visible:
        layer.metadata[METADATA_KEY][_PUT_AWAY] = True
        _set_visible(layer, False)


def _set_visible(layer: Layer, visible: bool) -> None:
    if layer.visible != visible:
        layer.visible = visible
