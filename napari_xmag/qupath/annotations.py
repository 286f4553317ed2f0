"""The annotations in a GeoJSON file of QuPath, from 0.2 to 0.7."""

import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from shapely.errors import ShapelyError
from shapely.geometry.base import BaseGeometry

from napari_xmag.errors import TissueError
from napari_xmag.printable import printable
from napari_xmag.qupath.classes import (
    RGB,
    class_names,
    is_our_patch,
    plain_name,
    stated_color,
)
from napari_xmag.qupath.forms import FormError, as_object, form_words
from napari_xmag.qupath.geojson_file import read_geojson
from napari_xmag.qupath.geometry import FAR, FARTHEST, NOWHERE, PlaceError, read_geometry


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
# Whatever a form that nobody thought of makes Python or shapely raise.
_BROKEN = (
    *(ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError),
    ShapelyError,
)


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
    shapeless
        How many annotations have no geometry at all.
    our_patches
        How many of the tiles are patches that this program exported.
    """

    annotations: tuple[Annotation, ...]
    others: Mapping[ObjectKind, int]
    refused: Mapping[str, int] = field(default_factory=dict)
    shapeless: int = 0
    our_patches: int = 0


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
    except _BROKEN as error:
        if isinstance(error, TissueError):
            raise
        raise _malformed(path, error) from error
    if file.refused and not file.annotations:
        raise _nowhere(path, file.refused)
    return file


def _file(features: Iterable[Mapping[str, Any]]) -> AnnotationFile:
    found: list[Annotation] = []
    others: Counter[ObjectKind] = Counter()
    refused: Counter[str] = Counter()
    shapeless = our_patches = 0
    for number, feature in enumerate(features, 1):
        try:
            kind = _kind(feature)
            if kind is not ObjectKind.ANNOTATION:
                others[kind] += 1
                our_patches += kind is ObjectKind.TILE and is_our_patch(_name(feature))
            elif not feature.get("geometry"):
                shapeless += 1
            else:
                found.append(_annotation(feature))
        except PlaceError as error:
            refused[str(error)] += 1
        except _BROKEN as error:
            raise FormError(f"{_words(error)}, in object {number}") from error
    return AnnotationFile(tuple(found), dict(others), dict(refused), shapeless, our_patches)


def _words(error: Exception) -> str:
    """Return what is wrong with an object, without what only programmers understand."""
    if isinstance(error, FormError):
        return str(error)
    if isinstance(error, RecursionError):
        return "objects nested too deeply"
    if isinstance(error, ShapelyError):
        return "an outline of which no area can be made"
    return "an object of an unknown form"


def _malformed(path: Path, error: Exception) -> TissueError:
    return TissueError(
        expected="GeoJSON of objects",
        found=f"{printable(path.name)} with {_words(error)}",
        hint="In QuPath, choose File > Export objects as GeoJSON.",
        causes=(error,),
    )


def _nowhere(path: Path, refused: Mapping[str, int]) -> TissueError:
    words = ", ".join(f"{count} {reason}" for reason, count in refused.items())
    return TissueError(
        expected="annotations with a place on the slide",
        found=f"{printable(path.name)} with no annotation that has a place ({words})",
        hint="In QuPath, delete or redraw them, and export the objects again.",
    )


def _features(item: Any) -> Iterator[Mapping[str, Any]]:
    """Yield every feature, those below others included; a bare geometry becomes one."""
    if isinstance(item, list):
        for part in item:
            yield from _features(part)
        return
    kind = as_object(item, "an object of GeoJSON").get("type")
    if kind is None:
        raise FormError("an object without a type")
    if kind == "FeatureCollection":
        yield from _features(item.get("features"))
    elif kind == "Feature":
        yield item
        below = _properties(item)
        yield from _features(below.get("childObjects") or below.get("children") or [])
    else:
        yield {"type": "Feature", "geometry": item}


def _properties(feature: Mapping[str, Any]) -> Mapping[str, Any]:
    return as_object(feature.get("properties") or {}, "the properties of an object")


def _name(feature: Mapping[str, Any]) -> str:
    return plain_name(str(_properties(feature).get("name") or ""))


def _kind(feature: Mapping[str, Any]) -> ObjectKind:
    properties = _properties(feature)
    stated = properties.get("objectType") or properties.get("object_type")
    if stated:
        return _KINDS.get(str(stated).lower(), ObjectKind.UNKNOWN)
    # QuPath takes "type" for the same, yet other programs keep a class of their own there
    alias = _KINDS.get(str(properties.get("type")).lower())
    legacy = _LEGACY_IDS.get(str(feature.get("id")).lower())
    return alias or legacy or ObjectKind.ANNOTATION


def _annotation(feature: Mapping[str, Any]) -> Annotation:
    geometry = feature["geometry"]
    shape = read_geometry(geometry)
    classification = _properties(feature).get("classification")
    plane = as_object(geometry.get("plane") or {}, "the plane of a geometry")
    return Annotation(
        shape,
        class_names(classification),
        _name(feature),
        _number(plane.get("z")),
        _number(plane.get("t")),
        stated_color(classification),
    )


def _number(stated: Any) -> int:
    """Return the number of a plane or time point; the first where none is stated."""
    if not isinstance(stated or 0, (int, float)):
        raise FormError(f"a plane whose number is {form_words(stated)}")
    number = stated or 0
    if isinstance(number, float) and not math.isfinite(number):
        raise PlaceError(NOWHERE)
    if abs(number) > FARTHEST:
        raise PlaceError(FAR)
    return int(number)
