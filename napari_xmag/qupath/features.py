"""Objects as QuPath writes them into GeoJSON, in keys and types that 0.4 to 0.7 read."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID, uuid5

from napari_xmag.geometry import Box
from napari_xmag.qupath.classes import RGB, classification
from napari_xmag.qupath.geometry import DECIMALS

_NAMESPACE = UUID("7a5d0d5c-6f0a-5c39-9d7e-3a2c9a1a7c11")


def feature_id(identity: str, kind: str, column: int, row: int = 0) -> str:
    """Return the id of an object, the same whenever slide, model and place are.

    Only its end differs between the objects of a kind: ten thousand random ids would be a fifth of
    a compressed file.

    Parameters
    ----------
    identity
        Of slide and model.
    kind
        Of the object.
    column, row
        Its place, or its number.
    """
    return f"{_beginning(identity, kind)}{column << 24 | row:012x}"


@lru_cache(maxsize=64)
def _beginning(identity: str, kind: str) -> str:
    return str(uuid5(_NAMESPACE, f"{identity}/{kind}"))[:-12]


def box_geometry(box: Box) -> dict[str, Any]:
    """Return a box as a GeoJSON polygon."""
    edges = (round(edge, DECIMALS) for edge in (box.x, box.y, box.right, box.bottom))
    return rectangle(*edges)


def rectangle(left: float, top: float, right: float, bottom: float) -> dict[str, Any]:
    """Return a rectangle as a GeoJSON polygon."""
    ring = [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]
    return {"type": "Polygon", "coordinates": [ring]}


def tile(
    identity: str,
    geometry: Mapping[str, Any],
    name: str,
    color: Sequence[int],
    measurements: Mapping[str, float],
) -> dict[str, Any]:
    """Return a tile.

    Without ``metadata``: QuPath 0.5 cannot set it on tiles, and logs a stack trace for each.
    """
    properties = {
        "objectType": "tile",
        "name": name,
        "color": list(color),
        "measurements": dict(measurements),
    }
    return {"type": "Feature", "id": identity, "geometry": geometry, "properties": properties}


def annotation(
    identity: str,
    geometry: Mapping[str, Any],
    name: str,
    classes: Sequence[str],
    color: RGB,
    *,
    metadata: Mapping[str, str] | None = None,
    locked: bool = True,
) -> dict[str, Any]:
    """Return an annotation; locked, so that it is not moved by accident."""
    properties: dict[str, Any] = {
        "objectType": "annotation",
        "name": name,
        "classification": classification(classes, color),
        "isLocked": locked,
    }
    if metadata:
        properties["metadata"] = dict(metadata)
    return {"type": "Feature", "id": identity, "geometry": geometry, "properties": properties}
