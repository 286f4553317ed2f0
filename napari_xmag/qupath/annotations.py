"""The annotations in a GeoJSON file of QuPath, from 0.2 to 0.7."""

import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from shapely.geometry.base import BaseGeometry

from napari_xmag.errors import TissueError
from napari_xmag.qupath.classes import RGB, class_names, stated_color
from napari_xmag.qupath.geojson_file import read_geojson
from napari_xmag.qupath.geometry import NOWHERE, PlaceError, read_geometry


class ObjectKind(StrEnum):
    """What an object in QuPath is, in the words of its files."""

    ANNOTATION = "annotation"
    DETECTION = "detection"
    TILE = "tile"
    CELL = "cell"
    TMA_CORE = "tmaCore"
    ROOT = "root"
    UNKNOWN = "object of another kind"


_KINDS = {kind.lower(): kind for kind in ObjectKind if kind is not ObjectKind.UNKNOWN}
_KINDS["tma_core"] = ObjectKind.TMA_CORE
# 0.2 wrote the name of a Java class as the id
_LEGACY_IDS = {
    "pathannotationobject": ObjectKind.ANNOTATION,
    "pathdetectionobject": ObjectKind.DETECTION,
    "pathtileobject": ObjectKind.TILE,
    "pathcellobject": ObjectKind.CELL,
    "tmacoreobject": ObjectKind.TMA_CORE,
    "pathrootobject": ObjectKind.ROOT,
}


@dataclass(frozen=True, slots=True, eq=False)
class Annotation:
    """One annotation.

    Attributes
    ----------
    shape
        Its polygons or points, in pixels of the picture that QuPath shows.
    classes
        Its class, a derived class in its parts (``("Tumor", "Positive")``); empty for none.
    name
        As the user named it, or empty.
    z, t
        Focal plane and time point; 0 where the file names none.
    color
        Of its class, as the file states it; None where it does not.
    """

    shape: BaseGeometry
    classes: tuple[str, ...] = ()
    name: str = ""
    z: int = 0
    t: int = 0
    color: RGB | None = None


@dataclass(frozen=True, slots=True, eq=False)
class AnnotationFile:
    """What a file holds.

    Attributes
    ----------
    annotations
        Those with a shape, in the file's order.
    others
        How many objects of each other kind there are.
    refused
        How many annotations cannot be placed, by the reason in words.
    """

    annotations: tuple[Annotation, ...]
    others: Mapping[ObjectKind, int]
    refused: Mapping[str, int] = field(default_factory=dict)


def read_annotations(path: str | os.PathLike[str]) -> AnnotationFile:
    """Read the annotations in a ``.geojson``, ``.geojson.gz`` or ``.zip``.

    Parameters
    ----------
    path
        A Feature, a FeatureCollection, a list of features or a bare geometry. A feature without a
        type of object is an annotation, as in QuPath; objects below others are found too.

    Raises
    ------
    TissueError
        When the file cannot be read, an annotation in it is malformed, or none of its annotations
        can be placed.
    """
    path = Path(path)
    try:
        file = _file(feature for document in read_geojson(path) for feature in _features(document))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        if isinstance(error, TissueError):
            raise
        raise _malformed(path, error) from error
    if file.refused and not file.annotations:
        raise _malformed(path, PlaceError(f"every annotation is one {' or '.join(file.refused)}"))
    return file


def _file(features: Iterable[Mapping[str, Any]]) -> AnnotationFile:
    found: list[Annotation] = []
    others: Counter[ObjectKind] = Counter()
    refused: Counter[str] = Counter()
    for feature in features:
        kind = _kind(feature)
        if kind is not ObjectKind.ANNOTATION:
            others[kind] += 1
            continue
        try:
            found += _annotation(feature)
        except PlaceError as error:
            refused[str(error)] += 1
    return AnnotationFile(tuple(found), dict(others), dict(refused))


def _malformed(path: Path, error: Exception) -> TissueError:
    words = f"no {error}" if isinstance(error, KeyError) else str(error) or type(error).__name__
    return TissueError(
        expected=f"annotations in {path.name}",
        found=f"a file that is not GeoJSON of objects ({words})",
        hint="In QuPath, choose File > Export objects as GeoJSON.",
        causes=(error,),
    )


def _features(item: Any) -> Iterator[Mapping[str, Any]]:
    """Yield every feature, those below others included; a bare geometry becomes one."""
    if isinstance(item, list):
        for part in item:
            yield from _features(part)
        return
    kind = item["type"]
    if kind == "FeatureCollection":
        yield from _features(item["features"])
    elif kind == "Feature":
        yield item
        below = _properties(item)
        yield from _features(below.get("childObjects") or below.get("children") or [])
    else:
        yield {"type": "Feature", "geometry": item}


def _properties(feature: Mapping[str, Any]) -> Mapping[str, Any]:
    return feature.get("properties") or {}


def _kind(feature: Mapping[str, Any]) -> ObjectKind:
    properties = _properties(feature)
    stated = properties.get("objectType") or properties.get("object_type")
    if stated:
        return _KINDS.get(str(stated).lower(), ObjectKind.UNKNOWN)
    # QuPath takes "type" for the same, yet other programs keep a class of their own there
    alias = _KINDS.get(str(properties.get("type")).lower())
    legacy = _LEGACY_IDS.get(str(feature.get("id")).lower())
    return alias or legacy or ObjectKind.ANNOTATION


def _annotation(feature: Mapping[str, Any]) -> list[Annotation]:
    geometry = feature.get("geometry") or {}
    shape = read_geometry(geometry)
    if shape.is_empty and not geometry:
        return []
    properties = _properties(feature)
    plane = geometry.get("plane") or {}
    annotation = Annotation(
        shape,
        class_names(properties.get("classification")),
        str(properties.get("name") or ""),
        _number(plane.get("z")),
        _number(plane.get("t")),
        stated_color(properties.get("classification")),
    )
    return [annotation]


def _number(stated: Any) -> int:
    """Return the number of a plane or time point; the first where none is stated."""
    if isinstance(stated, float) and not math.isfinite(stated):
        raise PlaceError(NOWHERE)
    return int(stated or 0)
