"""The heat map as one napari layer over its slide, and the patch that is pointed at."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Shapes
from napari.utils.colormaps import Colormap

from napari_xmag._gui.analyze.scores import PatchScores, Shown, shown_values
from napari_xmag._gui.analyze.state import SlideSession
from napari_xmag._gui.shared.maps import add_map
from napari_xmag._gui.shared.placing import add_quietly, drop_layer, placed
from napari_xmag._gui.shared.shown_slide import put_out_of_sight
from napari_xmag.analyze.heatmap import (
    HeatMap,
    HeatMapView,
    MapLook,
    fill_between,
    heat_map,
    hide_below,
    on_tissue,
)
from napari_xmag.geometry import Box
from napari_xmag.layer_data import layer_metadata, map_arguments, map_colors
from napari_xmag.slide.tissue import TissueMask

_MARK_COLOR = "#ffe600"


@cache
def colormap(diverging: bool) -> Colormap:
    """Return the colours of a map: those of the exported pictures; glass is transparent."""
    return Colormap(**map_colors(HeatMapView.EVIDENCE if diverging else HeatMapView.RANK))


def show_map(
    viewer: ViewerModel, session: SlideSession, scores: PatchScores, look: MapLook
) -> None:
    """Make or update the session's map layer; a slide that is not open has none.

    A layer of the right size is filled in place: replacing its data would make napari measure all
    layers anew a few times a second. Only tissue has colour, where it is known.
    """
    slide = session.slide
    if slide is None:
        return
    other = session.compared.scores if session.compared is not None else None
    shown = shown_values(scores, look.view, look.class_name, other)
    masks = [each.mask for each in (scores, other) if each is not None and each.mask is not None]
    picture = _picture(scores, shown, look.threshold, masks, runs=session.progress is not None)
    layer = session.map_layer
    arguments = map_arguments(slide, picture)
    place = placed(session.layer, arguments["scale"], arguments["translate"])
    if layer is None or layer not in viewer.layers:
        limits = shown.low, shown.high
        layer = Image(picture.pixels, contrast_limits=limits, **arguments | place)
        session.map_layer = layer
        _style(layer, look, shown)
        add_map(viewer, layer)
        return
    if layer.data.shape == picture.pixels.shape:
        layer.data[...] = picture.pixels
    else:
        layer.data = picture.pixels
    for name in ("scale", "translate"):
        if not np.array_equal(getattr(layer, name), place[name]):
            setattr(layer, name, place[name])
    _style(layer, look, shown)
    layer.refresh(extent=False, highlight=False)


def _picture(
    scores: PatchScores, shown: Shown, threshold: float, masks: Sequence[TissueMask], *, runs: bool
) -> HeatMap:
    # while it runs, the whole slide is roughly coloured as soon as a few tiles everywhere are in
    rough = runs and not scores.final
    values = fill_between(scores.grid, shown.values) if rough else shown.values
    picture = heat_map(scores.grid, hide_below(values, shown.high, threshold))
    for mask in masks:
        picture = on_tissue(picture, mask)
    return picture


def _style(layer: Image, look: MapLook, shown: Shown) -> None:
    colors = colormap(shown.diverging)
    if layer.colormap.name != colors.name:
        layer.colormap = colors
    if tuple(layer.contrast_limits) != (shown.low, shown.high):
        layer.contrast_limits_range = (shown.low, shown.high)
        layer.contrast_limits = (shown.low, shown.high)
    if layer.opacity != look.opacity:
        layer.opacity = look.opacity


def mark_patch(viewer: ViewerModel, session: SlideSession, box: Box) -> None:
    """Outline a patch. The outline is moved: a layer made anew would hold up the window."""
    layer, (x, y) = session.mark_layer, box.center
    place = placed(session.layer, tuple(session.layer.scale), (0.0, 0.0))
    # Pixel 0 has its centre at 0: half a pixel less than the core counts.
    offset = np.multiply(session.layer.scale, (y - 0.5, x - 0.5))
    place["translate"] = tuple(np.add(place["translate"], offset))
    if layer is not None and layer in viewer.layers and _has_size(layer, box):
        layer.translate = place["translate"]
        layer.visible = True
        return
    drop_layer(viewer, layer)
    right, bottom = box.width / 2, box.height / 2
    corners = [[-bottom, -right], [-bottom, right], [bottom, right], [bottom, -right]]
    session.mark_layer = Shapes(
        [np.array(corners)],
        shape_type="polygon",
        face_color="transparent",
        edge_color=_MARK_COLOR,
        edge_width=max(box.width, box.height) / 40,
        name=f"Patch – {session.layer.name}",
        metadata=layer_metadata(session.path, "marked patch", session.image),
        **place,
    )
    add_quietly(viewer, session.mark_layer)


def unmark_patch(session: SlideSession) -> None:
    """Put the outline away: no patch is looked at."""
    if session.mark_layer is not None:
        put_out_of_sight(session.mark_layer)


def _has_size(mark: Shapes, box: Box) -> bool:
    bottom, right = mark.data[0].max(axis=0)  # napari keeps them in single precision
    return bool(np.allclose((2 * right, 2 * bottom), (box.width, box.height), rtol=1e-5))
