"""Maps of one slide that two docks show: one of them at a time."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Layer
from napari.utils._proxies import PublicOnlyProxy

from napari_xmag._gui.shared import maps
from napari_xmag._gui.shared.shown_slide import ShownSlide
from napari_xmag.layer_data import MAP_ROLE, SLIDE_ROLE, TAUGHT_MAP_ROLE, layer_metadata

A, B = Path("a.svs"), Path("b.svs")


class Dock:
    """A dock that is in front, or not."""

    def __init__(self, viewer: ViewerModel, role: str) -> None:
        self.viewer, self.MAP_ROLE, self.front = viewer, role, False
        maps.register_dock(self)

    def in_front(self) -> bool:
        return self.front

    def come_in_front(self, other: "Dock") -> None:
        self.front, other.front = True, False
        maps.bring_back_all(self)


def layer_of(path: Path, role: str) -> Image:
    return Image(np.zeros((20, 20)), name=role, metadata=layer_metadata(path, role))


@pytest.fixture
def viewer() -> Iterator[ViewerModel]:
    viewer = ViewerModel()
    shown = ShownSlide(viewer), ShownSlide(viewer)  # one of each dock
    viewer.add_layer(layer_of(A, SLIDE_ROLE))
    yield viewer
    for each in shown:
        each.disconnect()


@pytest.fixture
def docks(viewer: ViewerModel) -> tuple[Dock, Dock]:
    """Those of heat maps and of taught maps."""
    return Dock(viewer, MAP_ROLE), Dock(viewer, TAUGHT_MAP_ROLE)


@pytest.fixture
def layers(viewer: ViewerModel) -> tuple[Layer, Layer]:
    """Return a heat map, and a taught map that came later."""
    both = layer_of(A, MAP_ROLE), layer_of(A, TAUGHT_MAP_ROLE)
    for layer in both:
        maps.add_map(viewer, layer)
    return both


def seen(layers: tuple[Layer, Layer]) -> tuple[bool, bool]:
    return layers[0].visible, layers[1].visible


def test_the_one_that_comes_or_is_shown_takes_the_place(layers: tuple[Layer, Layer]) -> None:
    assert seen(layers) == (False, True)
    layers[0].visible = True
    assert seen(layers) == (True, False)
    layers[0].visible = False  # by the user, who wants to see the slide
    assert seen(layers) == (False, False)


def test_each_dock_brings_its_own_back(
    docks: tuple[Dock, Dock], layers: tuple[Layer, Layer]
) -> None:
    analyze, teach = docks
    analyze.come_in_front(teach)
    assert seen(layers) == (True, False)
    teach.come_in_front(analyze)
    assert seen(layers) == (False, True)


def test_what_the_user_hid_stays_hidden(
    docks: tuple[Dock, Dock], layers: tuple[Layer, Layer]
) -> None:
    layers[1].visible = False
    docks[1].come_in_front(docks[0])
    assert seen(layers) == (False, False)


def test_a_map_of_the_dock_behind_comes_behind(
    viewer: ViewerModel, docks: tuple[Dock, Dock]
) -> None:
    analyze, teach = docks
    analyze.front = True
    both = layer_of(A, MAP_ROLE), layer_of(A, TAUGHT_MAP_ROLE)
    maps.add_map(viewer, both[0])
    maps.add_map(viewer, both[1])
    assert seen(both) == (True, False)
    maps.bring_back(viewer, both[1])  # painted anew, still behind
    assert seen(both) == (True, False)
    teach.come_in_front(analyze)
    assert seen(both) == (False, True)


def test_of_a_slide_out_of_sight_too(viewer: ViewerModel, docks: tuple[Dock, Dock]) -> None:
    docks[0].front = True
    heat, taught = layer_of(A, MAP_ROLE), layer_of(A, TAUGHT_MAP_ROLE)
    maps.add_map(viewer, heat)
    other = layer_of(B, SLIDE_ROLE)
    viewer.add_layer(other)
    docks[0].front = False
    maps.add_map(viewer, taught)
    docks[0].front = True
    assert seen((heat, taught)) == (False, False)
    maps.bring_back(viewer, taught)
    assert other.visible
    viewer.layers[0].visible = True  # slide A is chosen
    assert seen((heat, taught)) == (True, False)
    assert maps.map_to_show(viewer, viewer.layers[0]) is heat


def test_maps_of_two_slides_have_nothing_to_do_with_each_other(
    viewer: ViewerModel, layers: tuple[Layer, Layer]
) -> None:
    viewer.add_layer(layer_of(B, SLIDE_ROLE))
    maps.add_map(viewer, layer_of(B, MAP_ROLE))
    viewer.layers[0].visible = True
    assert seen(layers) == (False, True)


def test_docks_know_one_viewer_by_wrappers_of_their_own(viewer: ViewerModel) -> None:
    analyze = Dock(PublicOnlyProxy(viewer), MAP_ROLE)
    analyze.front = True
    both = layer_of(A, MAP_ROLE), layer_of(A, TAUGHT_MAP_ROLE)
    for layer in both:
        maps.add_map(PublicOnlyProxy(viewer), layer)
    assert seen(both) == (True, False)
