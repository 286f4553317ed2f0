"""Tiles for QuPath, as its documented GeoJSON: drop the file on the open slide."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from napari_xmag._about import NOTICE
from napari_xmag.analyze.heatmap import attention_rank
from napari_xmag.analyze.result import SlideResult
from napari_xmag.files import whole_file

_NAMESPACE = UUID("7a5d0d5c-6f0a-5c39-9d7e-3a2c9a1a7c11")


class Origin(StrEnum):
    """Where an export's (0, 0) lies.

    QuPath shows an OpenSlide slide cropped to its bounds and counts from their corner, unless it
    was opened with ``--no-crop``; OpenSlide itself, and QuPath with other readers, counts from the
    corner of the whole slide. Without bounds both are the same.
    """

    SLIDE = "slide"
    BOUNDS = "bounds"


def origin_of(result: SlideResult, origin: Origin) -> tuple[float, float]:
    """Return the level-0 position (x, y) of an export's (0, 0)."""
    if origin is Origin.SLIDE:
        return 0.0, 0.0
    bounds = result.slide["bounds"]
    return float(bounds["x"]), float(bounds["y"])


def write_geojson(
    result: SlideResult, path: Path | str, origin: Origin | str = Origin.BOUNDS
) -> None:
    """Write one QuPath tile object for each tile.

    Parameters
    ----------
    result
        A finished analysis.
    path
        File to write.
    origin
        ``"bounds"`` for QuPath as it opens slides by default, ``"slide"`` for QuPath with
        ``--no-crop`` and for other programs; the file states which.

    Raises
    ------
    ExportError
        When the file cannot be written.
    """
    text = json.dumps(_collection(result, Origin(origin)), allow_nan=False, ensure_ascii=False)
    with whole_file(Path(path)) as part:
        part.write_text(text + "\n", encoding="utf-8")


def _collection(result: SlideResult, origin: Origin) -> dict[str, Any]:
    x, y = origin_of(result, origin)
    words = "the corner of the slide's scanned bounds" if origin is Origin.BOUNDS else "the slide"
    names = _measurement_names(result)
    return {
        "type": "FeatureCollection",
        # QuPath and RFC 7946 readers ignore members they do not know
        "napari_xmag": {
            "notice": NOTICE,
            "slide": result.slide["path"],
            "model": result.model["name"],
            "predicted": result.predicted,
            "units": "level-0 pixels",
            "origin": str(origin),
            "origin_words": f"(0, 0) is {words}; at level-0 pixel ({x:g}, {y:g}) of the file",
            "origin_x": x,
            "origin_y": y,
        },
        "features": [
            _feature(result, index, names, values, x, y)
            for index, values in enumerate(_measurements(result))
        ],
    }


def _measurement_names(result: SlideResult) -> list[str]:
    names = ["Attention rank", "Attention", "Attention logit"]
    return names + [f"Evidence: {name}" for name in result.classes]


def _measurements(result: SlideResult) -> list[list[float]]:
    tiles = result.patches
    columns = [attention_rank(tiles.attention), tiles.attention, tiles.attention_logit]
    return [
        [*(float(column[index]) for column in columns), *tiles.evidence[index].tolist()]
        for index in range(len(tiles))
    ]


def _feature(
    result: SlideResult, index: int, names: list[str], values: list[float], x: float, y: float
) -> dict[str, Any]:
    box = result.patches.box(index).shifted(-x, -y)
    corners = [
        [box.x, box.y],
        [box.right, box.y],
        [box.right, box.bottom],
        [box.x, box.bottom],
        [box.x, box.y],
    ]
    column, row = int(result.columns[index]), int(result.rows[index])
    key = f"{result.slide['fingerprint']}/{result.model['sha256']}/{column}/{row}"
    return {
        "type": "Feature",
        # the same slide and model give the same ids, so that importing twice replaces
        "id": str(uuid5(_NAMESPACE, key)),
        "geometry": {"type": "Polygon", "coordinates": [corners]},
        "properties": {
            "objectType": "tile",
            "name": f"Tile {column}, {row}",
            "measurements": dict(zip(names, values, strict=True)),
            "metadata": {"notice": NOTICE},
        },
    }
