"""Small GeoJSON files in every form that QuPath has written."""

import gzip
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Ring = list[list[float]]


def square(x: float, y: float, side: float) -> Ring:
    """Return a closed ring."""
    return [[x, y], [x + side, y], [x + side, y + side], [x, y + side], [x, y]]


def polygon(*rings: Ring, **members: Any) -> dict[str, Any]:
    """Return a Polygon: outline first, then holes."""
    return {"type": "Polygon", "coordinates": list(rings), **members}


def feature(geometry: Any, **properties: Any) -> dict[str, Any]:
    """Return a Feature."""
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def annotation(geometry: Any, class_name: str = "", /, **properties: Any) -> dict[str, Any]:
    """Return an annotation as QuPath 0.5 writes it."""
    classes = {"classification": {"name": class_name, "color": [1, 2, 3]}} if class_name else {}
    return feature(geometry, objectType="annotation", **classes, **properties)


def collection(*features: Mapping[str, Any]) -> dict[str, Any]:
    """Return a FeatureCollection."""
    return {"type": "FeatureCollection", "features": list(features)}


def write(path: Path, content: Any) -> Path:
    """Write JSON, packed as the name says."""
    text = json.dumps(content)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("__MACOSX/._objects.geojson", b"\0\5\26\7")
            archive.writestr("inner/objects.geojson", text)
            archive.writestr("readme.txt", "no GeoJSON")
    else:
        path.write_text(text, encoding="utf-8")
    return path
