"""One map of a slide at a time: through two, neither can be read."""

from collections.abc import Sequence
from typing import Protocol
from weakref import WeakSet

from napari.components import ViewerModel
from napari.layers import Layer

from napari_xmag._gui.shared.placing import add_quietly
from napari_xmag.layer_data import MAP_ROLES, METADATA_KEY, SLIDE_ROLE, layer_role, slide_key

_COVERED = "covered"


class MapDock(Protocol):
    """A dock that shows maps of slides."""

    @property
    def viewer(self) -> ViewerModel:
        """The viewer that it serves."""

    @property
    def MAP_ROLE(self) -> str:
        """Role of its maps; empty for none."""

    def in_front(self) -> bool:
        """Say whether the user sees it."""


_docks: WeakSet[MapDock] = WeakSet()


def register_dock(dock: MapDock) -> None:
    """Let the maps of a dock give way to those of another one while that is in front."""
    if dock.MAP_ROLE:
        _docks.add(dock)


def forget_dock(dock: MapDock) -> None:
    """Ask a dock no longer."""
    _docks.discard(dock)


def add_map(viewer: ViewerModel, layer: Layer) -> None:
    """Add a map in place of another one of its slide, or behind it where the dock is."""
    if _is_behind(viewer, layer) and map_to_show(viewer, layer) is not None:
        _cover(layer)
    add_quietly(viewer, layer)


def bring_back(viewer: ViewerModel, layer: Layer | None) -> None:
    """Show a map again of which another one took the place, unless that one's dock is in front."""
    if layer is None or not _is_covered(layer) or layer not in viewer.layers:
        return
    if _has_slide_in_sight(viewer, layer) and not _is_behind(viewer, layer):
        layer.visible = True


def bring_back_all(dock: MapDock) -> None:
    """Show the maps of a dock that came in front."""
    for layer in list(dock.viewer.layers):
        if dock.MAP_ROLE and layer_role(layer) == dock.MAP_ROLE:
            bring_back(dock.viewer, layer)


def leave_one_map(viewer: ViewerModel, layer: Layer) -> None:
    """Hide the other maps of a slide where a map of it has come in sight."""
    if not _is_map(layer) or not layer.visible:
        return
    layer.metadata[METADATA_KEY].pop(_COVERED, None)
    for each in maps_in_sight(viewer, layer):
        if each is not layer:
            _cover(each)


def settle_maps(viewer: ViewerModel, slide: Layer) -> None:
    """Leave one map where a slide with several has come in sight."""
    seen = maps_in_sight(viewer, slide)
    if len(seen) > 1:
        leave_one_map(viewer, _foremost(viewer, seen))


def map_to_show(viewer: ViewerModel, slide: Layer) -> Layer | None:
    """Return which map of a slide belongs to the dock in front, or the topmost; None for none."""
    maps = [each for each in viewer.layers if _is_map_of(each, slide)]
    return _foremost(viewer, maps) if maps else None


def maps_in_sight(viewer: ViewerModel, slide: Layer) -> list[Layer]:
    """Return the maps of a slide that can be seen, the topmost last."""
    return [each for each in viewer.layers if each.visible and _is_map_of(each, slide)]


def _foremost(viewer: ViewerModel, maps: Sequence[Layer]) -> Layer:
    ahead = [each for each in maps if not _is_behind(viewer, each)]
    return (ahead or maps)[-1]


def _is_behind(viewer: ViewerModel, layer: Layer) -> bool:
    bare = _bare(viewer)
    roles = {dock.MAP_ROLE for dock in _docks if _bare(dock.viewer) is bare and dock.in_front()}
    return bool(roles) and layer_role(layer) not in roles


def _bare(viewer: ViewerModel) -> object:
    """Return a viewer itself: napari hands each dock a wrapper of its own."""
    return getattr(viewer, "__wrapped__", viewer)


def _is_map(layer: Layer) -> bool:
    return layer_role(layer) in MAP_ROLES


def _is_map_of(layer: Layer, other: Layer) -> bool:
    """Return whether a layer is a map of the slide to which the other belongs."""
    return _is_map(layer) and slide_key(layer) == slide_key(other)


def _is_covered(layer: Layer) -> bool:
    return bool(layer.metadata[METADATA_KEY].get(_COVERED))


def _cover(layer: Layer) -> None:
    layer.metadata[METADATA_KEY][_COVERED] = True
    layer.visible = False


def _has_slide_in_sight(viewer: ViewerModel, layer: Layer) -> bool:
    key = slide_key(layer)
    return any(
        each.visible and layer_role(each) == SLIDE_ROLE and slide_key(each) == key
        for each in viewer.layers
    )
