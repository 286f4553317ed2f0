"""Annotations as examples of classes, for teaching a classifier."""

import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from napari_xmag.errors import TissueError
from napari_xmag.qupath.annotations import Annotation, AnnotationFile, read_annotations
from napari_xmag.qupath.classes import RGB, class_color, class_words, is_ignored, is_ours
from napari_xmag.qupath.geometry import union
from napari_xmag.qupath.regions import elsewhere, elsewhere_hint, is_elsewhere

_log = logging.getLogger(__name__)

NO_LABEL = -1
"""The label of a place that no annotation names, or that two name differently."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledRegion:
    """All that a file annotates as one class.

    Attributes
    ----------
    class_name
        The class as QuPath shows it.
    color
        As the file states it; QuPath's own where it does not.
    shape
        Its areas and points, in level-0 pixels.
    """

    class_name: str
    color: RGB
    shape: BaseGeometry

    @property
    def number(self) -> int:
        """How many areas and points these are; areas that touch are one."""
        return len(shapely.get_parts(self.shape))


@dataclass(frozen=True, slots=True, eq=False)
class LabelledFile:
    """What a file annotates.

    Attributes
    ----------
    regions
        Of each class, in the order in which the classes first occur.
    left_out
        Which annotations were left out, and why, in words; empty for none.
    """

    regions: tuple[LabelledRegion, ...]
    left_out: str = ""


def read_labelled_file(
    path: str | os.PathLike[str],
    *,
    origin_x: float = 0.0,
    origin_y: float = 0.0,
    plane: int | None = 0,
) -> LabelledFile:
    """Read the annotations of each class.

    Annotations without a class teach nothing; neither do those of starred classes (``Ignore*``),
    nor what this program itself left on the slide. Those that cannot be placed, or lie on another
    focal plane or time point, are left out, which is said and logged as a warning.

    Parameters
    ----------
    origin_x, origin_y
        Where the file's (0, 0) lies in level-0 pixels.
    plane
        The focal plane that is analyzed, from 0, see `shown_plane`; None takes all, for whoever
        only wants to know of the classes.

    Raises
    ------
    TissueError
        When the file cannot be read or annotates no class.
    """
    classes, left_out = _sorted(read_annotations(path), plane)
    if not classes:
        raise _no_class(Path(path), left_out, plane)
    words = _counted(left_out)
    if words:
        _log.warning("%s: left out, %s", os.fspath(path), words)
    regions = tuple(
        LabelledRegion(
            name,
            next((item.color for item in items if item.color), class_color(name)),
            shapely.transform(
                union([item.shape for item in items]), lambda at: np.add(at, [origin_x, origin_y])
            ),
        )
        for name, items in classes.items()
    )
    return LabelledFile(regions, words)


def read_labelled_regions(
    path: str | os.PathLike[str],
    *,
    origin_x: float = 0.0,
    origin_y: float = 0.0,
    plane: int | None = 0,
) -> tuple[LabelledRegion, ...]:
    """Return the regions alone; see `read_labelled_file`."""
    return read_labelled_file(path, origin_x=origin_x, origin_y=origin_y, plane=plane).regions


def _sorted(
    file: AnnotationFile, plane: int | None
) -> tuple[dict[str, list[Annotation]], Counter[str]]:
    """Return the annotations of each class, and how many were left out for which reason."""
    classes: dict[str, list[Annotation]] = {}
    left_out = Counter(file.refused)
    for item in _classed(file):
        away = "" if plane is None else elsewhere(item, plane)
        if words := away or ("without an area" if item.shape.is_empty else ""):
            left_out[words] += 1
        else:
            classes.setdefault(class_words(item.classes), []).append(item)
    return classes, left_out


def _counted(left_out: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in left_out.items())


def _no_class(path: Path, left_out: Mapping[str, int], plane: int | None) -> TissueError:
    left = _counted(left_out)
    away = plane is not None and any(is_elsewhere(words) for words in left_out)
    return TissueError(
        expected=f"annotations with a class in {path}",
        found=f"none that counts ({left})" if left else "none",
        hint=elsewhere_hint(plane)
        if away and plane is not None
        else "In QuPath, draw areas or points and give each a class (Annotations > Set selected).",
    )


def annotates_classes(path: str | os.PathLike[str]) -> bool:
    """Return whether a file holds an annotation that can teach a class, on whatever focal plane.

    Raises
    ------
    TissueError
        When it cannot be read.
    """
    return any(True for _ in _classed(read_annotations(path)))


def _classed(file: AnnotationFile) -> Iterator[Annotation]:
    for item in file.annotations:
        ours = is_ours(item.classes, item.name)
        if item.classes and not is_ignored(item.classes) and not ours:
            yield item


def label_boxes(
    regions: Sequence[LabelledRegion], corners: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Say which class each box of a slide is an example of.

    A box is an example of a class when its centre lies in an area of the class, or one of the
    class's points lies in the box.

    Parameters
    ----------
    corners
        float (N, 4) as left, top, right, bottom in level-0 pixels.

    Returns
    -------
    int64 (N,), an index into ``regions``; `NO_LABEL` where none or more than one applies.
    """
    tree = shapely.STRtree(np.asarray(shapely.box(*corners.T)))
    centers = shapely.points((corners[:, :2] + corners[:, 2:]) / 2)
    labels = np.full(len(corners), NO_LABEL)
    claims = np.zeros(len(corners), np.int64)
    for index, region in enumerate(regions):
        parts = shapely.get_parts(region.shape)
        is_point = shapely.get_type_id(parts) == shapely.GeometryType.POINT
        area = union(parts[~is_point])
        shapely.prepare(area)
        meant = np.asarray(shapely.covers(area, centers))
        meant[tree.query(parts[is_point], predicate="intersects")[1]] = True
        labels[meant] = index
        claims += meant
    labels[claims > 1] = NO_LABEL
    return labels


def parts_apart(
    regions: Sequence[LabelledRegion], corners: NDArray[np.float64]
) -> tuple[LabelledRegion, ...]:
    """Return the areas and points that touch none of these boxes, by class.

    Parameters
    ----------
    corners
        Float (N, 4), boxes as for `label_boxes`.
    """
    boxes = shapely.STRtree(np.asarray(shapely.box(*corners.T)))
    found = []
    for region in regions:
        parts = shapely.get_parts(region.shape)
        apart = parts[~_among(boxes.query(parts, predicate="intersects")[0], parts)]
        if len(apart):
            found.append(replace(region, shape=shapely.GeometryCollection([*apart])))
    return tuple(found)


def unused_words(
    shapes: Sequence[BaseGeometry], corners: NDArray[np.float64], taught: NDArray[np.bool_]
) -> list[str]:
    """Say how many areas and points are no examples, and why.

    Parameters
    ----------
    shapes
        Of regions, in level-0 pixels.
    corners
        Float (N, 4), boxes as for `label_boxes`.
    taught
        bool (N,), which of them have a class.
    """
    parts: NDArray[np.object_] = np.array([*chain(*map(shapely.get_parts, shapes))], object)
    boxes = shapely.STRtree(np.asarray(shapely.box(*corners.T)))
    centers = shapely.STRtree(np.asarray(shapely.points((corners[:, :2] + corners[:, 2:]) / 2)))
    met, box = boxes.query(parts, predicate="intersects")
    inside, center = centers.query(parts, predicate="covers")
    points = shapely.get_type_id(parts[met]) == shapely.GeometryType.POINT
    touched = _among(met, parts)
    meant = _among(np.append(inside, met[points]), parts)
    useful = np.append(inside[taught[center]], met[points & taught[box]])
    counts = {
        "on glass or outside the slide": ~touched,
        "smaller than a patch": touched & ~meant,
        "only where classes overlap": meant & ~_among(useful, parts),
    }
    total = f"of {len(parts)} areas and points"
    return [f"{found.sum()} {total} {words}" for words, found in counts.items() if found.any()]


def _among(numbers: NDArray[np.int64], parts: NDArray[np.object_]) -> NDArray[np.bool_]:
    return np.isin(np.arange(len(parts)), numbers)
