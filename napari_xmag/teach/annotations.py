"""Examples and maps as annotations of QuPath, and annotations as examples."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xmag.errors import TissueError
from napari_xmag.files import write_json
from napari_xmag.geometry import Box
from napari_xmag.qupath.class_polygons import class_polygons, polygon_features
from napari_xmag.qupath.features import annotation, feature_id
from napari_xmag.qupath.labelled_regions import (
    NO_LABEL,
    LabelledRegion,
    label_boxes,
    parts_apart,
    read_labelled_file,
    read_labelled_regions,
    unused_words,
)
from napari_xmag.qupath.planes import on_plane
from napari_xmag.teach.classifier import Taught
from napari_xmag.teach.lesson import Example, Lesson, SlideId, TaughtClass
from napari_xmag.teach.prepared import PreparedSlide


@dataclass(frozen=True, slots=True)
class PolygonSettings:
    """How a map becomes polygons.

    Attributes
    ----------
    least_um2
        Smaller places are left out.
    smooth
        Round the steps between patches off.
    """

    least_um2: float = 0.0
    smooth: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedLesson:
    """Annotations of a file as examples.

    Attributes
    ----------
    lesson
        Their classes and the examples.
    left_out
        Which annotations were not looked at, and why, in words; empty for none.
    unused
        Which of the others give no example, and why, likewise.
    """

    lesson: Lesson
    left_out: str
    unused: str

    @property
    def words(self) -> str:
        """What was taken and what was not, for a person."""
        taken = f"{len(self.lesson.examples)} examples were imported"
        lost = "; ".join(filter(None, (self.left_out, self.unused)))
        return f"{taken}; annotations left out: {lost}" if lost else taken


def read_examples(path: Path, slide: PreparedSlide, frame: Box, plane: int = 0) -> AnnotatedLesson:
    """Take the annotations of a file as examples: each patch whose middle lies in one.

    Parameters
    ----------
    frame
        The level-0 box that QuPath shows of the slide.
    plane
        The focal plane on which QuPath shows it, from 0; annotations on others are left out.

    Raises
    ------
    TissueError
        When the file cannot be read, annotates no class, or none of it lies on the slide's tissue.
    """
    found = read_labelled_file(path, origin_x=frame.x, origin_y=frame.y, plane=plane)
    regions = found.regions
    corners = slide.features.corners()
    labels = label_boxes(regions, corners)
    if (labels == NO_LABEL).all():
        raise TissueError(
            expected=f"annotations of {path.name} on the tissue of {slide.name}",
            found="none there, or only where two classes overlap",
            hint="Check that the file belongs to this slide; mark tissue, not glass.",
        )
    classes = tuple(TaughtClass(region.class_name, region.color) for region in regions)
    chosen = np.flatnonzero(labels != NO_LABEL)
    examples = tuple(
        Example(slide.id, x, y, classes[label].name)
        for (x, y), label in zip(slide.centers[chosen].tolist(), labels[chosen], strict=True)
    )
    unused = _unused(regions, corners, labels)
    return AnnotatedLesson(Lesson(classes, examples), found.left_out, unused)


def places_beyond_tissue(
    path: Path, slide: PreparedSlide, frame: Box, plane: int = 0
) -> NDArray[np.float64]:
    """Return what `read_examples` would take if there were tissue, float (N, 2): x, y on level 0.

    Those are the middles of places without a patch that the areas and points of a file name which
    touch no patch. An area that touches one teaches what of it is tissue.

    Raises
    ------
    TissueError
        When the file cannot be read, or annotates no class.
    """
    found = read_labelled_regions(path, origin_x=frame.x, origin_y=frame.y, plane=plane)
    beyond = parts_apart(found, slide.features.corners())
    if not beyond:
        return np.zeros((0, 2))
    corners = slide.free_corners()
    chosen = corners[label_boxes(beyond, corners) != NO_LABEL]
    places: NDArray[np.float64] = (chosen[:, :2] + chosen[:, 2:]) / 2
    return places


def _unused(
    regions: Sequence[LabelledRegion], corners: NDArray[np.float64], labels: NDArray[np.int64]
) -> str:
    taught = labels != NO_LABEL
    words = {region.class_name: unused_words([region.shape], corners, taught) for region in regions}
    return ", ".join(f"{name} ({'; '.join(some)})" for name, some in words.items() if some)


def example_features(
    lesson: Lesson, slide: SlideId, frame: Box, plane: int = 0
) -> list[dict[str, Any]]:
    """Return the examples on a slide as points, an annotation for each class.

    Parameters
    ----------
    frame
        The level-0 box that QuPath shows; coordinates count from its corner.
    plane
        The focal plane on which QuPath shows the slide, from 0.
    """
    features = []
    for number, kind in enumerate(lesson.classes, 1):
        points = [
            [round(example.x - frame.x, 2), round(example.y - frame.y, 2)]
            for example in lesson.on(slide)
            if example.class_name == kind.name
        ]
        if points:
            identity = feature_id(slide.fingerprint, f"examples {kind.name}", number)
            geometry = {"type": "MultiPoint", "coordinates": points}
            name = f"{kind.name}, {len(points)} examples"
            features.append(
                annotation(identity, geometry, name, [kind.name], kind.color, locked=False)
            )
    return on_plane(features, plane)


def map_features(
    taught: Taught,
    slide: PreparedSlide,
    frame: Box,
    settings: PolygonSettings | None = None,
    plane: int = 0,
) -> list[dict[str, Any]]:
    """Return the map of an open slide as annotations: merged places with class and colour.

    What is not taught has none. ``frame`` and ``plane`` are as for `example_features`.
    """
    settings = settings or PolygonSettings()
    labels: NDArray[np.int64] = taught.shown[slide.id].labels
    polygons = class_polygons(
        slide.map_grid,
        labels,
        taught.classes,
        slide.mpp,
        least_um2=settings.least_um2,
        smooth=settings.smooth,
    )
    colors = taught.request.lesson.colors
    features = polygon_features(polygons, frame, f"{slide.id.fingerprint} taught", colors)
    return on_plane(features, plane)


def write_annotations(features: Sequence[dict[str, Any]], path: Path) -> None:
    """Write annotations as GeoJSON, to be dropped on the open slide in QuPath.

    Raises
    ------
    ExportError
        When the file cannot be written.
    """
    write_json(path, {"type": "FeatureCollection", "features": list(features)})
