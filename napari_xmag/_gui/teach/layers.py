"""What Teach shows over a slide: the map, the examples, and a region while it is drawn."""

from collections.abc import Sequence

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Points, Shapes
from numpy.typing import NDArray

from napari_xmag._gui.shared.maps import add_map, bring_back
from napari_xmag._gui.shared.placing import add_quietly, drop_layer, placed
from napari_xmag._gui.teach.state import TeachSlide
from napari_xmag.layer_data import TAUGHT_MAP_ROLE, layer_metadata, slide_title
from napari_xmag.qupath.classes import RGB
from napari_xmag.slide.base import Slide, require_mpp
from napari_xmag.teach.lesson import Lesson

EXAMPLES_ROLE, REGION_ROLE = "examples", "taught region"
"""Roles of the layers; see `napari_xmag.layer_data.layer_metadata`."""

_REGION_COLOR = "#ffffff"

UNDRAWN: RGB = (255, 255, 255)
"""Of a stroke that is of no class: it erases."""


def show_taught_map(
    viewer: ViewerModel, shown: TeachSlide, picture: NDArray[np.uint8], opacity: float
) -> None:
    """Make or update a slide's map; its pixels are those of ``shown.ground``."""
    slide, ground = shown.slide, shown.ground
    if slide is None or ground is None or shown.layer not in viewer.layers:
        return
    mpp = require_mpp(slide)
    place = placed(
        shown.layer,
        (ground.scale_y * mpp.y, ground.scale_x * mpp.x),
        ((ground.scale_y - 1) / 2 * mpp.y, (ground.scale_x - 1) / 2 * mpp.x),
    )
    layer = shown.map_layer
    if layer is not None and layer in viewer.layers:
        if layer.data.shape != picture.shape:  # another encoder, or a finer map
            layer.scale, layer.translate = place["scale"], place["translate"]
        layer.data = picture
        bring_back(viewer, layer)
        return
    made = Image(
        picture,
        rgb=True,
        name=f"Taught map – {slide_title(slide)}",
        opacity=opacity,
        interpolation2d="nearest",
        metadata=layer_metadata(shown.path, TAUGHT_MAP_ROLE, shown.image),
        **place,
    )
    shown.map_layer = made
    add_map(viewer, made)
    if shown.marks_layer is not None and shown.marks_layer in viewer.layers:
        # the outlines of the examples must not be tinted by the map
        viewer.layers.move(viewer.layers.index(shown.marks_layer), len(viewer.layers))


def blank_map(viewer: ViewerModel, shown: TeachSlide) -> None:
    """Let a slide's map show nothing.

    The layer stays, here as elsewhere: to take those of several slides out and to add them again
    crashes napari where it draws by Mesa's software OpenGL, as on remote desktops.
    """
    layer = shown.map_layer
    if layer is not None and layer in viewer.layers:
        layer.data = np.zeros_like(layer.data)


def show_examples(
    viewer: ViewerModel,
    shown: TeachSlide,
    lesson: Lesson,
    stroke: Sequence[int] = (),
    stroke_color: RGB = UNDRAWN,
) -> None:
    """Outline the patches of a slide that are examples, in the colours of their classes.

    What is hidden stays as it is: napari keeps what it last drew of a hidden layer and fails where
    other data do not fit it, up to a fault in the graphics driver.

    Parameters
    ----------
    stroke
        Patches of a stroke that is being drawn, which are outlined too.
    stroke_color
        In which colour.
    """
    prepared, slide = shown.prepared, shown.slide
    if prepared is None or slide is None or shown.layer not in viewer.layers:
        return
    examples = lesson.on(prepared.id)
    colors = lesson.colors
    places = [(each.x, each.y) for each in examples] + prepared.centers[list(stroke)].tolist()
    rgb = [colors[each.class_name] for each in examples] + [stroke_color] * len(stroke)
    _mark(viewer, shown, slide, places, rgb)


def _mark(
    viewer: ViewerModel,
    shown: TeachSlide,
    slide: Slide,
    places: Sequence[tuple[float, float]],
    colors: Sequence[RGB],
) -> None:
    """Outline patches by their middles, x and y in level-0 pixels."""
    # napari counts from the middle of the first pixel, the core from its corner
    middles = np.array([(y - 0.5, x - 0.5) for x, y in places], float).reshape(-1, 2)
    layer = shown.marks_layer
    if layer is None or layer not in viewer.layers:
        if not len(middles) or not shown.layer.visible:
            return
        layer = _new_marks(shown, slide)
        shown.marks_layer = layer
        add_quietly(viewer, layer)
    if not layer.visible:
        return
    with layer.events.blocker():  # drawn once, not for each of these
        layer.data = middles
        if layer.selected_data:
            layer.selected_data = set()
        if len(middles):
            rgb = np.array(colors, float) / 255
            layer.border_color = np.hstack([rgb, np.ones((len(rgb), 1))])
            if not (layer.size == _patch_side(shown)).all():  # another encoder, another patch
                layer.size = _patch_side(shown)
    layer.refresh()


def new_region(viewer: ViewerModel, shown: TeachSlide) -> Shapes:
    """Add an empty layer with the lasso in hand, to draw a region of a class."""
    drop_layer(viewer, shown.region_layer)
    layer = Shapes(
        ndim=2,
        name=f"Region – {shown.layer.name}",
        edge_color=_REGION_COLOR,
        face_color="transparent",
        edge_width=max(shown.layer.data[0].shape[:2]) / 400,
        metadata=layer_metadata(shown.path, REGION_ROLE, shown.image),
        **placed(shown.layer, tuple(shown.layer.scale), (0.0, 0.0)),
    )
    shown.region_layer = layer
    viewer.add_layer(layer)
    layer.mode = "add_polygon_lasso"
    return layer


def _new_marks(shown: TeachSlide, slide: Slide) -> Points:
    return Points(
        ndim=2,
        symbol="square",
        size=_patch_side(shown),
        face_color="transparent",
        border_width=0.1,
        border_width_is_relative=True,
        name=f"Examples – {slide_title(slide)}",
        metadata=layer_metadata(shown.path, EXAMPLES_ROLE, shown.image),
        **placed(shown.layer, tuple(shown.layer.scale), (0.0, 0.0)),
    )


def _patch_side(shown: TeachSlide) -> float:
    prepared = shown.prepared
    return float(prepared.features.stride_x) if prepared is not None else 1.0
