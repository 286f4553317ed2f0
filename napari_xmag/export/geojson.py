"""What QuPath shows of an analysis, as its GeoJSON: drop the file on the open slide."""

import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xmag._about import NOTICE
from napari_xmag.analyze.heatmap import attention_rank
from napari_xmag.analyze.result import SlideResult
from napari_xmag.analyze.table import PatchTable
from napari_xmag.export.palette import heat_colors
from napari_xmag.files import json_text, whole_file
from napari_xmag.geometry import Box
from napari_xmag.nets.heads.patch_classifier import NOT_TAUGHT
from napari_xmag.qupath.class_polygons import class_polygons
from napari_xmag.qupath.classes import XMAG, class_color
from napari_xmag.qupath.features import (
    annotation,
    box_geometry,
    feature_id,
    rectangle,
    tile,
)
from napari_xmag.qupath.geometry import DECIMALS, geometry_json, shown_box, shown_shape
from napari_xmag.qupath.hotspots import RULE, hotspots
from napari_xmag.qupath.origin import Origin, result_frame
from napari_xmag.qupath.planes import on_plane, result_plane
from napari_xmag.review.verdicts import PlaceReview

PATCH_NAME = "XMAG patch"
HOTSPOT_NAME = "XMAG hotspot"
REVIEW_NAME = "XMAG review"
AREA_NAME = "XMAG area"
"""How the names of our objects begin, by which the script in QuPath finds them again."""

_AREAS = "None: the areas of the classes that were taught stand in their place."
_NO_AREAS = (
    "None, and no areas of the classes that were taught either: there is no reliable prediction."
)
_CLASSES_IN_FULL, _MOST_CLASSES, _FEW_DIGITS = 5, 10, 3
_HAS_COMMENT, _ANY_SYSTEM = 16, 255
_AT_ONCE = 16

Feature = dict[str, Any]


def write_geojson(
    result: SlideResult,
    path: Path | str,
    origin: Origin | str = Origin.BOUNDS,
    *,
    patches: str | None = None,
) -> None:
    """Write the patches alone, as plain GeoJSON that any program can read.

    Parameters
    ----------
    result
        A finished analysis.
    path
        File to write.
    origin
        Where (0, 0) lies; see `Origin`. The file states it.
    patches
        As of `patches_json`, where it was made before.

    Raises
    ------
    ExportError
        When the file cannot be written.
    """
    origin = Origin(origin)
    text = _collection(result, origin, patches_json(result, origin) if patches is None else patches)
    with whole_file(Path(path)) as part:
        part.write_text(text, encoding="utf-8")


def write_qupath(
    result: SlideResult,
    path: Path | str,
    origin: Origin | str = Origin.BOUNDS,
    reviews: Sequence[PlaceReview] = (),
    *,
    patches: str | None = None,
) -> None:
    """Write ``qupath.geojson.gz``: coloured patches, hotspots and reviewed patches.

    Of a model that examples taught, the areas of its classes take the place of hotspots; it has
    neither where its result abstains.

    QuPath adds what it reads: importing a file twice shows everything twice, unless the earlier
    objects are deleted first, as the script in QuPath does.

    Parameters
    ----------
    result, path, origin, patches
        As for `write_geojson`.
    reviews
        What was said of places of the slide.

    Raises
    ------
    ExportError
        When the file cannot be written.
    """
    origin = Origin(origin)
    marked = [
        *(_class_areas if result.is_shares else _hotspots)(result, origin),
        *_reviewed(result, origin, reviews),
    ]
    patches = patches_json(result, origin) if patches is None else patches
    text = _collection(result, origin, patches, _listed(on_plane(marked, result_plane(result))))
    with whole_file(Path(path)) as part:
        part.write_bytes(_gzip(text.encode("utf-8"), NOTICE))


def patches_json(result: SlideResult, origin: Origin) -> str:
    """Return the JSON of all patches, one after another: the longest part of both files."""
    return _listed(patch_features(result, origin))


def _listed(features: Iterable[Feature]) -> str:
    """Return the JSON of features as it stands between the brackets of a list.

    Few are made at once: Python's garbage collector would walk through ten thousands of them again
    and again.
    """
    left = iter(features)
    batches = iter(lambda: list(islice(left, _AT_ONCE)), [])
    return ",".join(json_text(batch, finite=True, compact=True)[1:-1] for batch in batches)


def _gzip(content: bytes, comment: str) -> bytes:
    """Pack bytes, with a comment that can be read without unpacking (RFC 1952).

    There is no time stamp in it, so that the same result gives the same bytes.
    """
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    head = struct.pack("<4BL2B", 0x1F, 0x8B, zlib.DEFLATED, _HAS_COMMENT, 0, 0, _ANY_SYSTEM)
    body = deflate.compress(content) + deflate.flush()
    tail = struct.pack("<2L", zlib.crc32(content), len(content) % 2**32)
    return head + comment.encode("latin-1") + b"\0" + body + tail


def _collection(result: SlideResult, origin: Origin, *listed: str) -> str:
    """Return the JSON of a collection of features, of which each part was made by `_listed`."""
    empty = json_text(_heading(result, origin), finite=True, compact=True)
    return f'{empty[:-1]},"features":[{",".join(filter(None, listed))}]}}\n'


def _heading(result: SlideResult, origin: Origin) -> dict[str, Any]:
    """Return what a collection says beside its features."""
    frame = result_frame(result.slide, origin)
    place = f"at level-0 pixel ({frame.x:g}, {frame.y:g}) of the file"
    return {
        "type": "FeatureCollection",
        # QuPath and RFC 7946 readers ignore members they do not know
        "napari_xmag": {
            "notice": NOTICE,
            "slide": result.slide["path"],
            "model": result.model["name"],
            "headline": result.headline,
            "answer": result.answer,
            "abstained": list(result.abstained),
            "tissue": result.tissue_words,
            "hotspots": _rule(result),
            "units": "level-0 pixels",
            "origin": str(origin),
            "origin_words": f"(0, 0) is the corner of {origin.words}, {place}",
            "origin_x": frame.x,
            "origin_y": frame.y,
        },
    }


def _rule(result: SlideResult) -> str:
    """Say which places are marked beside the patches."""
    if not result.is_shares:
        return RULE
    return _NO_AREAS if result.answer is None else _AREAS


def _identity(result: SlideResult) -> str:
    return f"{result.slide['fingerprint']}/{result.model['sha256']}"


def patch_features(result: SlideResult, origin: Origin) -> Iterator[Feature]:
    """Yield the patches of a result as GeoJSON features, coloured and measured."""
    table, frame, identity = result.patches, result_frame(result.slide, origin), _identity(result)
    rank = attention_rank(table.attention)
    colors = heat_colors(rank).tolist()
    columns = {
        "Attention rank": _shortest(rank),
        "Attention": _shortest(table.attention),
        "Attention logit": _shortest(table.attention_logit),
        **_evidence(result),
    }
    plane = result_plane(result)
    for index, (left, top, right, bottom) in enumerate(_shown_edges(table, frame)):
        column, row = int(table.column[index]), int(table.row[index])
        if left < right and top < bottom:
            feature = tile(
                feature_id(identity, "patch", column, row),
                rectangle(left, top, right, bottom),
                f"{PATCH_NAME} {column}, {row}",
                colors[index],
                {name: values[index] for name, values in columns.items()},
            )
            yield from on_plane([feature], plane)


def _evidence(result: SlideResult) -> dict[str, list[float]]:
    """Return the evidence for each class; of many classes fewer digits, and the likeliest ones.

    A file that grows with each class would be too large to drop on a slide; ``tiles.csv`` has all.
    """
    shares = dict(zip(result.classes, result.probabilities, strict=False))
    likeliest = sorted(result.classes, key=lambda name: -shares.get(name, 0.0))[:_MOST_CLASSES]
    digits = _FEW_DIGITS if len(result.classes) > _CLASSES_IN_FULL else None
    return {
        f"Evidence: {name}": _shortest(result.patches.evidence[:, index], digits)
        for index, name in enumerate(result.classes)
        if name in likeliest
    }


def _shown_edges(table: PatchTable, frame: Box) -> list[list[float]]:
    """Return left, top, right and bottom of what QuPath shows of each patch, in its pixels."""
    edges = np.stack([table.x, table.y, table.x + table.width, table.y + table.height], axis=1)
    corner = [frame.x, frame.y, frame.x, frame.y]
    far = [frame.width, frame.height, frame.width, frame.height]
    shown: list[list[float]] = np.clip(edges - corner, 0, far).round(DECIMALS).tolist()
    return shown


def _shortest(values: NDArray[np.float32], digits: int | None = None) -> list[float]:
    """Return the shortest numbers that mean the same float32 (QuPath keeps no more), or round."""
    if digits is not None:
        return [float(f"{value:.{digits}g}") for value in values]
    return [float(str(value)) for value in values]


def _hotspots(result: SlideResult, origin: Origin) -> list[Feature]:
    frame, name = result_frame(result.slide, origin), result.answer or ""
    features = []
    for number, spot in enumerate(hotspots(result), 1):
        geometry = geometry_json(shown_shape(spot.shape, frame))
        if geometry is not None:
            feature = annotation(
                feature_id(_identity(result), f"hotspot {name}", number),
                geometry,
                f"{HOTSPOT_NAME} {number}",
                [XMAG, name],
                class_color(name),
                metadata={"XMAG evidence": f"{spot.evidence:.3g}"},
            )
            features.append(feature)
    return features


def _class_areas(result: SlideResult, origin: Origin) -> list[Feature]:
    """Return the map of a taught model as polygons; what is not taught has none."""
    if result.answer is None:
        return []
    frame, classes = result_frame(result.slide, origin), result.classes
    labels = result.patches.evidence.argmax(1)
    taught = [name for name in classes if name != NOT_TAUGHT]
    stated = zip(classes, result.model.get("colors", ()), strict=False)
    colors = {name: (red, green, blue) for name, (red, green, blue) in stated}
    features = []
    for number, area in enumerate(class_polygons(result, labels, taught, result.mpp), 1):
        geometry = geometry_json(shown_shape(area.shape, frame))
        if geometry is not None:
            name = area.class_name
            feature = annotation(
                feature_id(_identity(result), f"area {name}", number),
                geometry,
                f"{AREA_NAME} {number}: {area.area_um2 / 1e6:.3g} mm²",
                [XMAG, name],
                colors.get(name, class_color(name)),
            )
            features.append(feature)
    return features


def _reviewed(result: SlideResult, origin: Origin, reviews: Sequence[PlaceReview]) -> list[Feature]:
    frame = result_frame(result.slide, origin)
    features = []
    for number, said in enumerate(sorted(reviews, key=lambda said: said.key), 1):
        box = shown_box(said.place, frame)
        name = said.class_name or result.answer or "reviewed"
        if box is not None:
            feature = annotation(
                feature_id(_identity(result), f"review {said.key}", 0),
                box_geometry(box),
                f"{REVIEW_NAME} {number}: {said.verdict or 'comment'}",
                [XMAG, name],
                class_color(name),
                metadata=_said(said),
            )
            features.append(feature)
    return features


def _said(review: PlaceReview) -> dict[str, str]:
    words = {
        "verdict": str(review.verdict or ""),
        "comment": review.comment,
        "reviewer": review.reviewer,
        "date": review.date,
    }
    return {f"XMAG {name}": text for name, text in words.items() if text}
