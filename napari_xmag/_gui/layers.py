"""A slide as one napari layer, and the way back from the layer to the slide."""

from pathlib import Path
from typing import Any

from napari.components import ViewerModel
from napari.layers import Image, Layer
from napari.utils.notifications import show_info

from napari_xmag.geometry import Mpp
from napari_xmag.slide.base import Slide
from napari_xmag.slide.color import srgb_transform
from napari_xmag.slide.open import open_slide
from napari_xmag.slide.pyramid import dask_pyramid

METADATA_KEY = "napari-xmag"
"""The one key of ``layer.metadata`` that is ours; it holds a dict with "role" and "path"."""

SLIDE_ROLE = "slide"
TRUE_COLORS = "sRGB"

LayerData = tuple[Any, dict[str, Any], str]


def slide_layer_data(slide: Slide) -> LayerData:
    """Return a slide as napari wants it from a reader: data, arguments, layer type.

    Without mpp the layer is in pixels until :func:`calibrate` is called.
    """
    arguments = {
        "name": slide.path.name,
        "rgb": True,
        "multiscale": True,
        "contrast_limits": (0, 255),
        "metadata": {METADATA_KEY: {"role": SLIDE_ROLE, "path": str(slide.path)}},
        **_placement(slide.mpp),
    }
    return dask_pyramid(slide), arguments, "image"


def calibrate(layer: Image, mpp: Mpp) -> None:
    """Put a slide's layer in µm once its pixel size is known.

    Parameters
    ----------
    layer
        Of a slide; where the user moved it, its place in µm stays the same.
    mpp
        µm per level-0 pixel.
    """
    placement = _placement(mpp)
    layer.units = placement["units"]
    layer.scale = placement["scale"]


def is_calibrated(layer: Image) -> bool:
    """Say whether a slide's layer is in µm."""
    return all(str(unit) == "micrometer" for unit in layer.units)


def slide_path(layer: Layer) -> Path | None:
    """Return the file or folder of the slide that a layer shows; None when it shows none.

    Maps and masks that belong to a slide show none themselves.
    """
    ours = layer.metadata.get(METADATA_KEY, {})
    return Path(ours["path"]) if ours.get("role") == SLIDE_ROLE else None


def slide_layers(viewer: ViewerModel) -> list[Image]:
    """Return the layers that show slides, in the order of the viewer."""
    return [layer for layer in viewer.layers if slide_path(layer) is not None]


def toggle_true_colors(layer: Layer) -> None:
    """Show a slide in sRGB by its scanner's ICC profile, or as stored again (a napari command)."""
    path = slide_path(layer)
    if path is None:
        show_info("Select the layer of a slide first.")
        return
    slide = open_slide(path)
    ours = layer.metadata[METADATA_KEY]
    transform = None if ours.get("colors") == TRUE_COLORS else srgb_transform(slide)
    if transform is None and "colors" not in ours:
        slide.close()
        show_info(f"{path.name} has no colour profile that changes anything.")
        return
    layer.data = dask_pyramid(slide, transform)
    if transform is None:
        del ours["colors"]
    else:
        ours["colors"] = TRUE_COLORS


def _placement(mpp: Mpp | None) -> dict[str, Any]:
    if mpp is None:
        return {"scale": (1.0, 1.0), "units": ("pixel", "pixel")}
    return {"scale": (mpp.y, mpp.x), "units": ("um", "um")}
