"""Which part of each slide is analyzed."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_xmag.errors import TissueError
from napari_xmag.files import json_text
from napari_xmag.result_keys import REQUESTED

if TYPE_CHECKING:
    from napari_xmag.analyze.result import SlideResult
    from napari_xmag.batch.targets import Target
    from napari_xmag.qupath.annotation_files import AnnotationFiles
    from napari_xmag.qupath.origin import Origin
    from napari_xmag.qupath.regions import Regions
    from napari_xmag.slide.base import Slide
    from napari_xmag.slide.tissue import TissueMask


@dataclass(frozen=True)
class RegionsChoice:
    """Where to look on each of many slides.

    Attributes
    ----------
    whole
        Take glass too.
    path
        A file, a folder of files, or None for the whole slide.
    classes
        Classes to take; all but starred ones when empty.
    files
        Tells the files of a folder apart by all slides that are worked on.
    """

    whole: bool
    path: Path | None
    classes: tuple[str, ...]
    files: "AnnotationFiles"

    def absolute(self) -> "RegionsChoice":
        """Return the same for processes that work elsewhere."""
        return self if self.path is None else replace(self, path=self.path.absolute())

    def require_each(self, images: Sequence[int | str | None]) -> None:
        """Do nothing when each picture of a file has regions of its own.

        Raises
        ------
        TissueError
            When one file of regions would serve for several pictures.
        """
        if self.path is not None and self.path.is_file() and len(images) > 1:
            raise TissueError(
                expected=f"regions of one image in {self.path.name}",
                found=f"a slide file of {len(images)} images",
                hint="Name the image with --image, or give a folder of regions in which those of "
                "the second are called <slide name>#2.geojson.",
            )

    def read(
        self, target: "Target", image: int | str | None = None, plane: int = 0
    ) -> "Regions | None":
        """Read the regions of a slide; None where all of it is analyzed.

        Parameters
        ----------
        target
            The slide.
        image
            Which picture of its file.
        plane
            On which focal plane they must lie, from 0.

        Raises
        ------
        TissueError
            When there is none, it could be another slide's as well, or it holds no region.
        ConfigError
            When a class that was asked for does not occur.
        """
        from napari_xmag.qupath.annotation_files import picture_mark
        from napari_xmag.qupath.regions import read_regions

        if self.path is None:
            return None
        if not self.path.is_dir():
            return read_regions(self.path, self.classes, plane=plane)
        mark = picture_mark(image)
        path = self.files.find(target.annotated, self.path, mark)
        if path is None:
            raise _none_of(target, self.path, mark)
        # not every slide of a cohort need have each class
        return read_regions(path, self.classes, all_occur=False, plane=plane)

    def mask(
        self, slide: "Slide", regions: "Regions | None", origin: "Origin"
    ) -> "TissueMask | None":
        """Return the tissue within the regions; None where it is still to be found."""
        from napari_xmag.qupath.regions import tissue_in_regions

        if regions is None:
            return None
        return tissue_in_regions(slide, regions, origin, only_tissue=not self.whole)


def _none_of(target: "Target", folder: Path, mark: str) -> TissueError:
    slide = target.annotated
    return TissueError(
        expected=f"regions of {slide.words}{mark} in {folder}",
        found=f"no {slide.file_stem}{mark}.geojson",
        hint="Export its annotations from QuPath under that name.",
    )


def outlines_mark(regions: "Regions") -> str:
    """Return what regions of other outlines do not have, a SHA-256."""
    import shapely

    return hashlib.sha256(shapely.normalize(regions.shape).wkb).hexdigest()


def words_mark(regions: "Regions") -> str:
    """Return what regions of other outlines, or of which a result says other words, do not have."""
    said = json_text(regions.to_json(), compact=True)
    return hashlib.sha256(f"{outlines_mark(regions)}\n{said}".encode()).hexdigest()


def recorded(
    result: "SlideResult", regions: "Regions | None", request: Mapping[str, Any]
) -> "SlideResult":
    """Return a result that says in settings and flags what was asked for, and of which regions.

    Parameters
    ----------
    request
        As of `napari_xmag.batch.saved.requested`.
    """
    from napari_xmag.qupath.origin import Origin
    from napari_xmag.qupath.regions import region_flags

    settings = {**result.settings, REQUESTED: request}
    if regions is None:
        return replace(result, settings=settings)
    return replace(
        result,
        settings={**settings, "regions": regions.to_json()},
        flags=(*result.flags, *region_flags(regions, result, Origin(request["origin"]))),
    )
