"""The heat map as one napari layer over its slide, and the tile that is pointed at."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Layer, Shapes
from napari.utils.colormaps import Colormap
from numpy.typing import NDArray

from napari_xmag._gui.analyze.scores import PatchScores
from napari_xmag._gui.analyze.state import SlideSession
from napari_xmag._gui.layers import METADATA_KEY
from napari_xmag.analyze.heatmap import HeatMapView, heat_map
from napari_xmag.export.palette import diverging_colors, heat_colors
from napari_xmag.geometry import Box, Mpp

_MARK_COLOR = "#ffe600"
_MARK_PART = 3  # the marked tile fills one part in so many of the canvas


@dataclass(frozen=True, slots=True)
class MapLook:
    """How a map is shown; see ``WindowState``."""

    view: HeatMapView
    class_name: str
    opacity: float
    threshold: float


@cache
def colormap(view: HeatMapView) -> Colormap:
    """Return the colours of a view: those of the exported pictures; glass is transparent."""
    if view is HeatMapView.EVIDENCE:
        colors, name = diverging_colors(np.linspace(-1, 1, 256)), "against, for"
    else:
        colors, name = heat_colors(np.linspace(0, 1, 256)), "attention"
    return Colormap(colors / 255, name=name, nan_color=(0.0, 0.0, 0.0, 0.0))


def limits(view: HeatMapView, values: NDArray[np.floating]) -> tuple[float, float]:
    """Return the values at both ends of the colours."""
    if view is HeatMapView.RANK:
        return 0.0, 1.0
    known = np.abs(values[np.isfinite(values)])
    top = float(known.max()) if known.size and known.max() > 0 else 1.0
    return (-top, top) if view is HeatMapView.EVIDENCE else (0.0, top)


def hide_below(values: NDArray[np.float32], high: float, threshold: float) -> NDArray[np.float32]:
    """Return the values, NaN where they are weaker than this part of the strongest."""
    if threshold <= 0:
        return values
    return np.where(np.abs(values) >= threshold * high, values, np.float32(np.nan))


def show_map(
    viewer: ViewerModel, session: SlideSession, scores: PatchScores, look: MapLook
) -> None:
    """Make or update the session's map layer.

    A layer of the right size is filled in place: replacing its data would make napari measure all
    layers anew a few times a second.
    """
    values = scores.values(look.view, look.class_name)
    low, high = limits(look.view, values)
    picture = heat_map(scores.grid, hide_below(values, high, look.threshold))
    layer = session.map_layer
    if layer is None or layer.data.shape != picture.pixels.shape:
        _drop(viewer, layer)
        mpp = session.slide.mpp
        layer = Image(
            picture.pixels,
            name=f"Heat map – {session.path.name}",
            rgb=False,
            interpolation2d="nearest",
            contrast_limits=(low, high),
            metadata={METADATA_KEY: {"role": "attention map", "path": str(session.path)}},
            **placed(session.layer, picture.scale_um(mpp), picture.translate_um(mpp)),
        )
        session.map_layer = layer
        _style(layer, look, low, high)
        add_quietly(viewer, layer)
        return
    mpp = session.slide.mpp
    layer.data[...] = picture.pixels
    place = placed(session.layer, picture.scale_um(mpp), picture.translate_um(mpp))
    for name in ("scale", "translate"):
        if not np.array_equal(getattr(layer, name), place[name]):
            setattr(layer, name, place[name])
    _style(layer, look, low, high)
    layer.refresh(extent=False, highlight=False)


def placed(
    slide_layer: Image, scale: tuple[float, float], translate: tuple[float, float]
) -> dict[str, object]:
    """Return layer arguments that put something over the slide, wherever the slide was moved."""
    return {
        "scale": scale,
        "translate": tuple(np.add(slide_layer.translate, translate)),
        "affine": slide_layer.affine.affine_matrix,
        "units": slide_layer.units,
    }


def add_quietly(viewer: ViewerModel, layer: Layer) -> None:
    """Add a layer but leave the user's tool and selection alone."""
    selected = viewer.layers.selection.copy()
    viewer.add_layer(layer)
    if selected:
        viewer.layers.selection = selected


def _style(layer: Image, look: MapLook, low: float, high: float) -> None:
    if layer.colormap.name != colormap(look.view).name:
        layer.colormap = colormap(look.view)
    if tuple(layer.contrast_limits) != (low, high):
        layer.contrast_limits_range = (low, high)
        layer.contrast_limits = (low, high)
    if layer.opacity != look.opacity:
        layer.opacity = look.opacity


def _drop(viewer: ViewerModel, layer: Layer | None) -> None:
    if layer is not None and layer in viewer.layers:
        viewer.layers.remove(layer)


def mark_patch(viewer: ViewerModel, session: SlideSession, box: Box) -> None:
    """Outline a tile, once for each slide."""
    # A shape's corner lies on pixel corners, half a pixel before the first pixel's centre.
    left, top, right, bottom = (v - 0.5 for v in (box.x, box.y, box.right, box.bottom))
    corners = np.array([[top, left], [top, right], [bottom, right], [bottom, left]])
    _drop(viewer, session.mark_layer)
    session.mark_layer = Shapes(
        [corners],
        shape_type="polygon",
        face_color="transparent",
        edge_color=_MARK_COLOR,
        edge_width=max(box.width, box.height) / 40,
        name=f"Tile – {session.path.name}",
        metadata={METADATA_KEY: {"role": "marked tile", "path": str(session.path)}},
        **placed(session.layer, tuple(session.layer.scale), (0.0, 0.0)),
    )
    add_quietly(viewer, session.mark_layer)


def look_at(viewer: ViewerModel, session: SlideSession, box: Box, canvas_px: int) -> None:
    """Move the camera so that a tile lies in the middle, with some of what is around it."""
    x, y = box.center
    camera = viewer.scene.camera
    camera.center = (0.0, *session.layer.data_to_world((y - 0.5, x - 0.5)))
    mpp: Mpp = session.slide.mpp
    camera.zoom = canvas_px / (_MARK_PART * max(box.width * mpp.x, box.height * mpp.y))
