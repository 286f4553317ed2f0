"""The pictures of a DICOM path and their focal planes, by the numbers that open them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from napari_xmag.geometry import Mpp
from napari_xmag.slide.base import SlideImage
from napari_xmag.slide.dicom.instances import DIRECTORY, Instance, read_instances, slide_files
from napari_xmag.slide.dicom.levels import DicomLevel, find_levels
from napari_xmag.slide.dicom.series import DicomSeries, dicom_series
from napari_xmag.slide.images import plane_images
from napari_xmag.slide.mpp import plausible


def numbered_series(path: Path) -> tuple[DicomSeries, ...]:
    """Return the slides of a DICOM path: the first is number 1.

    Parameters
    ----------
    path
        A folder, a DICOMDIR, or a file: then only the slide that it belongs to.

    Raises
    ------
    pydicom.errors.InvalidDicomError, OSError
        When a DICOMDIR cannot be read.
    """
    series = dicom_series(slide_files(path))
    if path.is_dir() or path.name.upper() == DIRECTORY:
        return series
    return tuple(one for one in series if path in one.files)


def level_files(series: Sequence[DicomSeries]) -> dict[int, list[Instance]]:
    """Return the levels of each slide by its number; those without levels are left out."""
    return {
        number: instances
        for number, one in enumerate(series, 1)
        if (instances := [item for item in read_instances(one.files) if item.is_level])
    }


def picture_image(number: int, levels: Sequence[DicomLevel]) -> SlideImage:
    """Return what is told of a picture by its levels, the finest first."""
    first = levels[0]
    width, height = first.first.size
    # Descriptions and container identifiers may name a patient: a number says as much.
    layout = first.layout
    several = len(first.depths) > 1
    planes = len(first.depths) * layout.held_planes if several else layout.focal_planes
    shown = first.plane + 1 if first.plane != len(first.stack) // 2 else 0
    return SlideImage(
        number, f"series {number}", width, height, stated_mpp(first.first), planes, shown
    )


def stated_mpp(instance: Instance) -> Mpp | None:
    """Return the pixel size that a file states, in µm; None where it states none."""
    spacing = instance.spacing
    return None if spacing is None else plausible(1000 * spacing[0], 1000 * spacing[1])


def focal_planes(
    images: Sequence[SlideImage], pictures: Mapping[int, Sequence[DicomLevel]], first: int
) -> tuple[SlideImage, ...]:
    """Return the focal planes that the pictures do not show, numbered on from the first."""
    found: list[SlideImage] = []
    for image in images:
        stack = pictures[image.index][0].stack
        if len(stack) == image.focal_planes:
            found += plane_images(image, stack, first + len(found), len(images) > 1)
    return tuple(found)


def plane_by_number(
    series: Sequence[DicomSeries], number: int
) -> tuple[DicomSeries, int, DicomLevel] | None:
    """Return the slide, the plane from 0, and the finest level of a plane by its number.

    Returns
    -------
    None where no plane has the number.

    Raises
    ------
    SlideOpenError
        When its frames do not lie on one grid.
    """
    files = level_files(series)
    found = {key: find_levels(instances) for key, instances in files.items()}
    pictures = {key: own for key, levels in found.items() if (own := readable(levels))}
    images = [picture_image(key, levels) for key, levels in pictures.items()]
    for plane in focal_planes(images, pictures, len(series) + 1):
        if plane.index == number:
            place, key = plane.plane - 1, plane.plane_of
            return series[key - 1], place, find_levels(files[key], place)[0]
    return None


def readable(levels: Sequence[DicomLevel]) -> list[DicomLevel]:
    """Return the levels that can be read; none where the finest one cannot."""
    return [] if levels[0].problem else [level for level in levels if not level.problem]
