"""Corners of annotations, for tests that measure them."""

from collections.abc import Sequence
from typing import Any


def outline_rings(features: Sequence[dict[str, Any]]) -> list[list[list[float]]]:
    """Return all rings of polygons, outer ones and holes."""
    shapes = []
    for feature in features:
        geometry = feature["geometry"]
        single = geometry["type"] == "Polygon"
        shapes += [geometry["coordinates"]] if single else geometry["coordinates"]
    return [ring for shape in shapes for ring in shape]
