"""Layers that lie over a slide, and the camera over a place of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Layer

from napari_xmag.geometry import Box, Mpp

_PLACE_PART = 3  # a place that is looked at fills one part in so many of the canvas


def placed(
    slide_layer: Image, scale: tuple[float, float], translate: tuple[float, float]
) -> dict[str, Any]:
    """Return layer arguments that put something over the slide, wherever the slide was moved."""
    return {
        "scale": scale,
        "translate": tuple(np.add(slide_layer.translate, translate)),
        "affine": slide_layer.affine.affine_matrix,
        "units": slide_layer.units,
    }


@contextmanager
def selection_kept(viewer: ViewerModel) -> Iterator[None]:
    """Leave the user's tool and selection alone while layers are added."""
    selected = viewer.layers.selection.copy()
    yield
    if selected:
        viewer.layers.selection = selected


def add_quietly(viewer: ViewerModel, layer: Layer) -> None:
    """Add a layer but leave the user's tool and selection alone."""
    with selection_kept(viewer):
        viewer.add_layer(layer)


def drop_layer(viewer: ViewerModel, layer: Layer | None) -> None:
    """Take a layer out of the viewer, if it is there."""
    if layer is not None and layer in viewer.layers:
        viewer.layers.remove(layer)


def look_at(viewer: ViewerModel, slide: Image, mpp: Mpp, box: Box) -> None:
    """Move the camera so that a patch lies in the middle, with some of what is around it."""
    x, y = box.center
    camera = viewer.scene.camera
    camera.center = (0.0, *slide.data_to_world((y - 0.5, x - 0.5)))
    side = max(box.width * mpp.x, box.height * mpp.y)
    camera.zoom = min(viewer.canvas.size) / (_PLACE_PART * side)
