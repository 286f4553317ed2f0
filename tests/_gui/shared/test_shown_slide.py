"""Several slides in one viewer: only one is in sight, with what belongs to it."""

from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Layer, Shapes

from napari_xmag._gui.shared.shown_slide import ShownSlide
from napari_xmag.layer_data import SLIDE_ROLE, layer_metadata

A, B = Path("a.svs"), Path("b.svs")
Two = tuple[ViewerModel, ShownSlide, dict[str, Layer]]
SQUARE = np.array([[10, 10], [10, 60], [60, 60], [60, 10]])


def slide_of(path: Path, side: int = 200) -> Image:
    pixels = np.full((side, side, 3), 240, np.uint8)
    return Image(pixels, rgb=True, name=path.name, metadata=layer_metadata(path, SLIDE_ROLE))


def made_for(path: Path, role: str) -> Image:
    return Image(np.zeros((20, 20)), name=f"{role} {path}", metadata=layer_metadata(path, role))


def in_sight(viewer: ViewerModel) -> set[Layer]:
    return {layer for layer in viewer.layers if layer.visible}


@pytest.fixture
def two() -> Two:
    """Slide A with map (in sight) and tissue (hidden by the user), then slide B on top of it."""
    viewer = ViewerModel()
    shown = ShownSlide(viewer)
    layers = {
        "a": slide_of(A),
        "map": made_for(A, "map"),
        "tissue": made_for(A, "tissue"),
        "b": slide_of(B, 1000),
    }
    for name in ("a", "map", "tissue"):
        viewer.add_layer(layers[name])
    layers["tissue"].visible = False
    viewer.add_layer(layers["b"])
    return viewer, shown, layers


def test_opening_shows_it_alone_and_fitted(two: Two) -> None:
    viewer, shown, layers = two
    assert in_sight(viewer) == {layers["b"]}
    assert shown.layer is layers["b"]
    assert viewer.scene.camera.center[-2:] == pytest.approx((499.5, 499.5))


def test_no_slide_is_in_sight_for_any_dock_until_one_is_chosen(two: Two) -> None:
    viewer, shown, layers = two
    other = ShownSlide(viewer)
    heard: list[Layer | None] = []
    shown.changed.connect(heard.append)
    shown.show_none()
    assert (in_sight(viewer), heard, shown.layer) == (set(), [None], None)
    viewer.layers.remove(layers["b"])  # what was in sight before
    assert in_sight(viewer) == set()
    assert other.layer is None
    layers["a"].visible = True
    assert in_sight(viewer) == {layers["a"], layers["map"]}
    assert shown.layer is other.layer is layers["a"]


@pytest.mark.parametrize("way", ["show", "select", "select its map", "eye"])
def test_choosing_brings_back_what_was_in_sight(two: Two, way: str) -> None:
    viewer, shown, layers = two
    heard: list[Layer] = []
    shown.changed.connect(heard.append)
    if way == "show":
        shown.show(layers["a"])
    elif way == "eye":
        layers["a"].visible = True
    else:
        viewer.layers.selection.active = layers["map" if "map" in way else "a"]
    assert in_sight(viewer) == {layers["a"], layers["map"]}
    assert heard == [layers["a"]]
    assert viewer.scene.camera.center[-2:] == pytest.approx((99.5, 99.5))
    assert viewer.layers.selection.active in (layers["a"], layers["map"])


def test_a_map_that_comes_late_stays_hidden_with_its_slide(two: Two) -> None:
    viewer, shown, layers = two
    late = made_for(A, "late map")
    viewer.add_layer(late)
    assert in_sight(viewer) == {layers["b"]}
    assert shown.layer is layers["b"]
    shown.show(layers["a"])
    assert late.visible


def test_removing_takes_along_what_was_made_and_hides_what_was_drawn(two: Two) -> None:
    viewer, shown, layers = two
    shown.show(layers["a"])
    drawn = Shapes([SQUARE], shape_type="polygon")
    viewer.add_layer(drawn)
    viewer.layers.remove(layers["a"])
    assert set(viewer.layers) == {layers["b"], drawn}
    assert in_sight(viewer) == {layers["b"]}
    assert shown.layer is layers["b"]
    viewer.layers.remove(layers["b"])
    assert shown.layer is None


def test_what_is_drawn_belongs_to_the_slide_in_sight(two: Two) -> None:
    viewer, shown, layers = two
    drawn = Shapes([SQUARE], shape_type="polygon")
    viewer.add_layer(drawn)
    shown.show(layers["a"])
    assert not drawn.visible
    shown.show(layers["b"])
    assert drawn.visible


def test_several_docks_may_follow_one_viewer(two: Two) -> None:
    viewer, shown, layers = two
    second = ShownSlide(viewer)
    assert second.layer is layers["b"]
    second.show(layers["a"])
    assert shown.layer is layers["a"]
    assert in_sight(viewer) == {layers["a"], layers["map"]}
    second.disconnect()
    shown.show(layers["b"])
    assert second.layer is layers["a"]
