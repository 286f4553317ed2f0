"""Annotations as examples of classes, for teaching a classifier."""

import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from napari_xmag.errors import TissueError
from napari_xmag.printable import printable
from napari_xmag.qupath.annotations import Annotation, AnnotationFile, read_annotations
from napari_xmag.qupath.classes import RGB, class_color, class_words, is_ignored, is_ours
from napari_xmag.qupath.geometry import union
from napari_xmag.qupath.regions import elsewhere, elsewhere_hint, is_elsewhere, not_drawn

_log = logging.getLogger(__name__)

NO_LABEL = -1
"""The label of a place that no annotation names, or that two name differently."""

_DRAW = "In QuPath, draw areas or points and give each a class (Annotations > Set selected)."


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
        Which annotations of a class were left out, and why, in words; empty for none.
    unlabelled
        Which others are no examples, likewise: those without a class, of a starred one, and what
        this program left. Objects of other kinds are not counted: whoever exports all of them
        means the annotations.
    """

    regions: tuple[LabelledRegion, ...]
    left_out: str = ""
    unlabelled: str = ""

    @property
    def words(self) -> str:
        """All that was left out, whether it was meant as an example or not."""
        return ", ".join(filter(None, (self.left_out, self.unlabelled)))


def read_labelled_file(
    path: str | os.PathLike[str],
    *,
    origin_x: float = 0.0,
    origin_y: float = 0.0,
    plane: int = 0,
    log: bool = True,
) -> LabelledFile:
    """Read the annotations of each class.

    Annotations without a class teach nothing; neither do those of starred classes (``Ignore*``),
    nor what this program itself left on the slide. Others that cannot be placed, have no area, or
    lie on another focal plane or time point are left out. All of this is counted in the answer.

    Parameters
    ----------
    origin_x, origin_y
        Where the file's (0, 0) lies in level-0 pixels.
    plane
        The focal plane that is analyzed, from 0, see `shown_plane`.
    log
        Whether ``left_out`` is logged as a warning; whoever shows it has no need of that.

    Raises
    ------
    TissueError
        When the file cannot be read or annotates no class.
    """
    file = read_annotations(path)
    classes, left_out = _sorted(file, plane)
    unlabelled = _unlabelled(file)
    if not classes:
        raise _no_class(Path(path), file, left_out, plane)
    words = _counted(left_out)
    if words and log:
        _log.warning("%s: left out, %s", printable(os.fspath(path)), words)
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
    return LabelledFile(regions, words, _counted(unlabelled))


def read_labelled_regions(
    path: str | os.PathLike[str],
    *,
    origin_x: float = 0.0,
    origin_y: float = 0.0,
    plane: int = 0,
) -> tuple[LabelledRegion, ...]:
    """Return the regions alone, and log nothing; see `read_labelled_file`."""
    return read_labelled_file(
        path, origin_x=origin_x, origin_y=origin_y, plane=plane, log=False
    ).regions


def _sorted(file: AnnotationFile, plane: int) -> tuple[dict[str, list[Annotation]], Counter[str]]:
    """Return the annotations of each class, and how many were left out for which reason."""
    classes: dict[str, list[Annotation]] = {}
    left_out = Counter(file.refused)
    for item in file.annotations:
        if _no_example(item):
            continue
        if words := elsewhere(item, plane) or ("without an area" if item.shape.is_empty else ""):
            left_out[words] += 1
        else:
            classes.setdefault(class_words(item.classes), []).append(item)
    return classes, left_out


def _unlabelled(file: AnnotationFile) -> Counter[str]:
    """Return how many annotations nobody meant as examples of a class, in words."""
    return Counter(filter(None, map(_no_example, file.annotations)))


def _no_example(item: Annotation) -> str:
    """Return why an annotation is meant as no example, whatever its shape; empty where it is."""
    if not item.classes:
        return "without a class"
    if is_ignored(item.classes) or is_ours(item.classes, item.name):
        return f"of class {class_words(item.classes)}"
    return ""


def _counted(left_out: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in left_out.items())


def _no_class(
    path: Path,
    file: AnnotationFile,
    left_out: Mapping[str, int],
    plane: int,
) -> TissueError:
    hint = _DRAW
    if any(map(is_elsewhere, left_out)):
        hint = elsewhere_hint(plane)
    elif _only_ours(file):
        hint = "Name a file with annotations of your own: what XMAG found teaches it nothing."
    elif file.annotations and all(is_ignored(item.classes) for item in file.annotations):
        hint = "Starred classes are left out: give the areas or points another class in QuPath."
    return TissueError(
        expected=f"annotations with a class in {path}",
        found=f"{printable(path.name)} with {_held(file, left_out)}",
        hint=hint,
    )


def _held(file: AnnotationFile, left_out: Mapping[str, int]) -> str:
    """Say what a file holds, none of which is an example."""
    counts = {**left_out, **_unlabelled(file), **not_drawn(file)}
    words = _counted(counts)
    if not words:
        return "nothing in it"
    if _only_ours(file):
        return f"only what XMAG exported ({words})"
    if not (file.annotations or file.refused or file.shapeless):
        return f"{words} and no annotation"
    return f"no annotation that counts ({words})"


def _only_ours(file: AnnotationFile) -> bool:
    """Return whether this program exported all that a file holds."""
    others = file.shapeless + sum(file.others.values()) - file.our_patches
    ours = [is_ours(item.classes, item.name) for item in file.annotations]
    return not (others or file.refused) and all(ours) and bool(ours or file.our_patches)


def annotates_classes(path: str | os.PathLike[str]) -> bool:
    """Return whether a file holds an annotation that can teach a class, on whatever focal plane.

    Raises
    ------
    TissueError
        When it cannot be read.
    """
    return not all(map(_no_example, read_annotations(path).annotations))


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
