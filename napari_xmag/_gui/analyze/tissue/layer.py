"""Tissue between the core and layers: a mask that can be repainted, shapes that become regions."""

from collections.abc import Sequence

import numpy as np
from napari.components import ViewerModel
from napari.layers import Labels, Layer, Shapes
from numpy.typing import NDArray

from napari_xmag._gui.analyze.state import SlideSession
from napari_xmag._gui.shared.placing import placed
from napari_xmag.errors import TissueError
from napari_xmag.layer_data import METADATA_KEY, layer_metadata, tissue_layer_data
from napari_xmag.slide.base import Slide
from napari_xmag.slide.tissue import TissueMask

_REGION_COLOR = "#00a087"
_CLOSED = ("polygon", "rectangle", "ellipse")
_ELLIPSE_POINTS = 90
_CONTOUR_PX, _CONTOUR_OPACITY = 2, 0.9


def show_tissue(
    viewer: ViewerModel, session: SlideSession, slide: Slide, mask: TissueMask
) -> Labels:
    """Make or replace the session's tissue layer, ready for repainting."""
    pixels, arguments, _ = tissue_layer_data(slide, mask)
    place = placed(session.layer, arguments["scale"], arguments["translate"])
    if session.tissue_layer in viewer.layers:
        viewer.layers.remove(session.tissue_layer)
    layer = Labels(pixels, **arguments | place)
    layer.contour, layer.opacity = _CONTOUR_PX, _CONTOUR_OPACITY  # an outline tints no tissue
    layer.brush_size = max(8, mask.pixels.shape[1] // 60)
    session.tissue_layer = layer
    viewer.add_layer(layer)
    return layer


def painted_pixels(layer: Labels) -> NDArray[np.bool_]:
    """Return what is painted, whichever label was used, as bool (H, W)."""
    return np.asarray(layer.data) > 0


def new_regions(viewer: ViewerModel, session: SlideSession) -> Shapes:
    """Add an empty layer for regions of this slide, with the polygon tool in hand."""
    layer = Shapes(
        ndim=2,
        name=f"Regions – {session.layer.name}",
        edge_color=_REGION_COLOR,
        face_color="transparent",
        edge_width=max(session.layer.data[0].shape[:2]) / 400,
        metadata=layer_metadata(session.path, "regions", session.image),
        **placed(session.layer, tuple(session.layer.scale), (0.0, 0.0)),
    )
    session.regions_layer = layer
    viewer.add_layer(layer)
    layer.mode = "add_polygon"
    return layer


def has_role(layer: Layer, role: str) -> bool:
    """Say whether the window made this layer for that purpose."""
    return bool(layer.metadata.get(METADATA_KEY, {}).get("role") == role)


def regions_layers(viewer: ViewerModel, session: SlideSession) -> list[Shapes]:
    """Return the shapes that count for this slide: its own, or all that no other slide owns."""
    own = session.regions_layer
    if own is not None and own in viewer.layers and len(own.data):
        return [own]
    return [
        layer
        for layer in viewer.layers
        if isinstance(layer, Shapes)
        and layer.visible
        and not has_role(layer, "marked patch")
        and not has_role(layer, "regions")
    ]


def polygons_of(viewer: ViewerModel, session: SlideSession) -> tuple[NDArray[np.float64], ...]:
    """Return closed shapes as (N, 2) x, y in level-0 pixels.

    Raises
    ------
    TissueError
        When nothing is drawn.
    """
    polygons = closed_shapes(regions_layers(viewer, session), session)
    if not polygons:
        raise TissueError(
            expected="at least one closed shape drawn on the slide",
            found="none",
            hint="Press “Draw regions” and outline the part to be analyzed.",
        )
    return polygons


def closed_shapes(
    layers: Sequence[Shapes], session: SlideSession
) -> tuple[NDArray[np.float64], ...]:
    """Return the closed shapes of layers as (N, 2) x, y in level-0 pixels of a slide."""
    polygons = []
    for layer in layers:
        for vertices, kind in zip(layer.data, layer.shape_type, strict=True):
            if kind in _CLOSED:
                outline = _ellipse(vertices) if kind == "ellipse" else vertices
                polygons.append(_level0(outline, layer, session))
    return tuple(polygons)


def _level0(
    vertices: NDArray[np.float64], layer: Shapes, session: SlideSession
) -> NDArray[np.float64]:
    slide = session.layer
    rows = [slide.world_to_data(layer.data_to_world(vertex))[-2:] for vertex in vertices]
    # napari counts from the centre of the first pixel, the core from its corner.
    return np.asarray(rows, np.float64)[:, ::-1] + 0.5


def _ellipse(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return points on the ellipse inside a rectangle given by its corners (4, 2)."""
    center = corners.mean(0)
    across, down = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
    angle = np.linspace(0, 2 * np.pi, _ELLIPSE_POINTS, endpoint=False)[:, None]
    outline: NDArray[np.float64] = center + np.cos(angle) * across + np.sin(angle) * down
    return outline
