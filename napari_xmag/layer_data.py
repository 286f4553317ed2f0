"""Slide, heat map and tissue as layers for napari: data, arguments, layer type.

Nothing here imports napari, so that a script can make layers wherever it runs:

>>> from napari.layers import Layer  # doctest: +SKIP
>>> viewer.add_layer(Layer.create(*slide_layer_data(slide)))  # doctest: +SKIP
>>> viewer.add_layer(Layer.create(*map_layer_data(slide, result)))  # doctest: +SKIP
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_xmag.analyze.heatmap import HeatMap, HeatMapView, heat_map
from napari_xmag.analyze.result import SlideResult
from napari_xmag.export.palette import diverging_colors, heat_colors, map_limits
from napari_xmag.geometry import Mpp
from napari_xmag.slide.base import Slide, require_mpp
from napari_xmag.slide.pyramid import dask_pyramid
from napari_xmag.slide.tissue import TissueMask

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer

METADATA_KEY = "napari-xmag"
"""The one key of ``layer.metadata`` that is ours: a dict with "role", "path" and "image"."""

_PLANE_OF = "plane of"
_OWN_UNITS = "own units"
_IN_STEP = "in step"

SLIDE_ROLE = "slide"
MAP_ROLE = "attention map"
TAUGHT_MAP_ROLE = "taught map"
MAP_ROLES = MAP_ROLE, TAUGHT_MAP_ROLE
TISSUE_ROLE = "tissue"

_TISSUE_COLOR = "#00a087"
_MAP_OPACITY = 0.5
_TISSUE_OPACITY = 0.35

LayerData = tuple[Any, dict[str, Any], str]
"""What ``napari.layers.Layer.create`` takes: data, arguments, layer type."""


def slide_layer_data(slide: Slide) -> LayerData:
    """Return a slide as a multiscale image in µm, read only where it is looked at.

    Of a file with several images, each is called by its number: ``case #2``. Without mpp the
    layer is in pixels until :func:`calibrate` is called.
    """
    arguments = {
        "name": slide_title(slide),
        "rgb": True,
        "multiscale": True,
        "contrast_limits": (0, 255),
        "metadata": _slide_layer_metadata(slide),
        **_slide_placement(slide.mpp),
    }
    return dask_pyramid(slide), arguments, "image"


def map_layer_data(
    slide: Slide,
    result: SlideResult,
    view: HeatMapView = HeatMapView.RANK,
    class_name: str = "",
) -> LayerData:
    """Return a result's heat map as an image in µm, float32 (H, W); glass is transparent.

    Parameters
    ----------
    slide
        The slide that was analyzed.
    result
        Its result.
    view, class_name
        What the colours mean; see :func:`napari_xmag.analyze.heatmap.view_values`.

    Raises
    ------
    ConfigError
        When the model does not know the class.
    MppMissingError
        When the slide has no mpp.
    """
    picture = heat_map(result, view, class_name)
    low_high = map_limits(view, picture.pixels, is_shares=result.is_shares)
    arguments = {
        **map_arguments(slide, picture),
        "colormap": map_colors(view),
        "contrast_limits": low_high,
        "opacity": _MAP_OPACITY,
    }
    return picture.pixels, arguments, "image"


def map_arguments(slide: Slide, picture: HeatMap) -> dict[str, Any]:
    """Return name, place in µm and metadata of a slide's heat map, whatever its colours mean.

    Raises
    ------
    MppMissingError
        When the slide has no mpp.
    """
    mpp = require_mpp(slide)
    return {
        "name": f"Heat map – {slide_title(slide)}",
        "rgb": False,
        "interpolation2d": "nearest",
        "metadata": layer_metadata(slide.path, MAP_ROLE, slide.image.index),
        "scale": picture.scale_um(mpp),
        "translate": picture.translate_um(mpp),
        "units": ("um", "um"),
    }


def map_colors(view: HeatMapView) -> dict[str, Any]:
    """Return the arguments of a napari ``Colormap``: the colours of the exported pictures."""
    if view is HeatMapView.EVIDENCE:
        colors, name = diverging_colors(np.linspace(-1, 1, 256)), "against, for"
    else:
        colors, name = heat_colors(np.linspace(0, 1, 256)), "attention"
    return {"colors": colors / 255, "name": name, "nan_color": (0.0, 0.0, 0.0, 0.0)}


def tissue_layer_data(slide: Slide, mask: TissueMask) -> LayerData:
    """Return a tissue mask as labels in µm: 1 is tissue, 0 is not.

    Raises
    ------
    MppMissingError
        When the slide has no mpp.
    """
    mpp = require_mpp(slide)
    arguments = {
        "name": f"Tissue – {slide_title(slide)}",
        "opacity": _TISSUE_OPACITY,
        "colormap": {0: "transparent", 1: _TISSUE_COLOR, None: _TISSUE_COLOR},
        "metadata": layer_metadata(slide.path, TISSUE_ROLE, slide.image.index),
        "scale": (mask.scale_y * mpp.y, mask.scale_x * mpp.x),
        # The first mask pixel's corner, not its centre, lies on the slide's corner.
        "translate": ((mask.scale_y - 1) / 2 * mpp.y, (mask.scale_x - 1) / 2 * mpp.x),
        "units": ("um", "um"),
    }
    return mask.pixels.astype(np.uint8), arguments, "labels"


def slide_title(slide: Slide) -> str:
    """Return what a slide is called: its file's name; one of several images has its number."""
    if slide.image.plane_of:
        return f"{slide.path.name} {slide.image.name}"
    if len(slide.images) == 1:
        return slide.path.name
    stem = slide.path.name if slide.path.is_dir() else slide.path.stem
    return f"{stem} #{slide.image.index}"


def layer_metadata(path: Path, role: str, image: int = 1) -> dict[str, dict[str, Any]]:
    """Return the metadata of a layer that belongs to a slide, of a file's picture by its number."""
    return {METADATA_KEY: {"role": role, "path": str(path), "image": image}}


def _slide_layer_metadata(slide: Slide) -> dict[str, dict[str, Any]]:
    metadata = layer_metadata(slide.path, SLIDE_ROLE, slide.image.index)
    if slide.image.plane_of:
        metadata[METADATA_KEY][_PLANE_OF] = slide.image.plane_of
    return metadata


def calibrate(layer: "Image", mpp: Mpp) -> None:
    """Put a slide's layer in µm once its pixel size is known.

    Parameters
    ----------
    layer
        Of a slide; where the user moved it, its place in µm stays the same.
    mpp
        µm per level-0 pixel.
    """
    placement = _slide_placement(mpp)
    layer.metadata[METADATA_KEY].pop(_OWN_UNITS, None)
    layer.scale = placement["scale"]
    layer.units = placement["units"]  # last: drawing between the two would compare units


def is_calibrated(layer: "Image") -> bool:
    """Say whether a slide's layer is in µm."""
    return all(str(unit) == "micrometer" for unit in own_units(layer))


def own_units(layer: "Layer") -> tuple[Any, ...]:
    """Return the units of a slide's layer, also while it bears those of another slide."""
    own: tuple[Any, ...] = layer.metadata.get(METADATA_KEY, {}).get(_OWN_UNITS, layer.units)
    return own


def bear_units(layer: "Layer", units: tuple[Any, ...]) -> None:
    """Let a layer bear the units of the slide in sight; a slide's own are remembered.

    napari draws no units, and warns, where those of any two layers differ: a slide without pixel
    size is in pixels, all others in µm. Only what is hidden bears units that are not its own.
    """
    ours = layer.metadata[METADATA_KEY]
    if slide_path(layer) is not None:
        ours.setdefault(_OWN_UNITS, layer.units)
        ours[_IN_STEP] = True
    if tuple(layer.units) != tuple(units):
        layer.units = units
        layer.events.extent()  # napari keeps what it knows of all layers until one says so


def part_units(layer: "Layer") -> None:
    """Say that nobody brings a slide's layer in step with others any more."""
    layer.metadata.get(METADATA_KEY, {}).pop(_IN_STEP, None)


def join_units(data: LayerData, layers: "Iterable[Layer]") -> LayerData:
    """Let a slide come in with the units that the others bear; see `bear_units`.

    napari compares the units of a layer that comes in before anyone else hears of it.

    Parameters
    ----------
    data
        Of a slide, as of `slide_layer_data`.
    layers
        Of the viewer into which it comes. Where nobody shows one slide at a time, nothing changes.
    """
    pixels, arguments, kind = data
    joined = (layer.units for layer in layers if layer.metadata.get(METADATA_KEY, {}).get(_IN_STEP))
    units = next(joined, None)
    if units is None:
        return data
    from pint import application_registry

    own = tuple(application_registry.parse_units(unit) for unit in arguments["units"])
    ours = {**arguments["metadata"][METADATA_KEY], _OWN_UNITS: own}
    metadata = {**arguments["metadata"], METADATA_KEY: ours}
    return pixels, {**arguments, "units": units, "metadata": metadata}, kind


def slide_path(layer: "Layer") -> Path | None:
    """Return the file or folder of the slide that a layer shows; None when it shows none.

    Maps and masks that belong to a slide show none themselves.
    """
    ours = layer.metadata.get(METADATA_KEY, {})
    return Path(ours["path"]) if ours.get("role") == SLIDE_ROLE else None


def layer_role(layer: "Layer") -> str:
    """Return what a layer shows, such as `MAP_ROLE`; empty where it is not ours."""
    return str(layer.metadata.get(METADATA_KEY, {}).get("role", ""))


def slide_image(layer: "Layer") -> int:
    """Return which picture of the file a slide's layer shows, from 1."""
    return int(layer.metadata.get(METADATA_KEY, {}).get("image", 1))


@dataclass(frozen=True, slots=True)
class SlideKey:
    """Which slide a layer belongs to: the file or folder, and the picture in it, from 1."""

    path: Path
    image: int


def slide_key(layer: "Layer") -> SlideKey | None:
    """Return whose layer it is: the slide's own, or one made for it; None for all others."""
    ours = layer.metadata.get(METADATA_KEY, {})
    return SlideKey(Path(ours["path"]), int(ours.get("image", 1))) if "path" in ours else None


def slide_of_plane(layer: "Layer") -> SlideKey | None:
    """Return the slide of which a layer shows another focal plane; None for all other layers."""
    ours = layer.metadata.get(METADATA_KEY, {})
    return SlideKey(Path(ours["path"]), int(ours[_PLANE_OF])) if _PLANE_OF in ours else None


def slide_layers(viewer: "ViewerModel") -> "list[Image]":
    """Return the layers that show slides, in the order of the viewer."""
    return [layer for layer in viewer.layers if slide_path(layer) is not None]


def _slide_placement(mpp: Mpp | None) -> dict[str, Any]:
    if mpp is None:
        return {"scale": (1.0, 1.0), "units": ("pixel", "pixel")}
    return {"scale": (mpp.y, mpp.x), "units": ("um", "um")}
