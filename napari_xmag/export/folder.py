"""All files of one result, in one folder of its own, together or not at all."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from napari_xmag.analyze.heatmap import HeatMapView
from napari_xmag.analyze.result import SlideResult
from napari_xmag.errors import ExportError
from napari_xmag.export.geojson import patch_features, write_geojson, write_qupath
from napari_xmag.export.ome_tiff import write_heatmap_ome
from napari_xmag.export.overlay import write_overlay
from napari_xmag.export.result_folders import owner_of
from napari_xmag.filenames import GEOJSON, HEAT_MAP, OVERLAY, PATCHES, QUPATH, RESULT, REVIEW
from napari_xmag.files import whole_folder
from napari_xmag.qupath.origin import Origin
from napari_xmag.review.verdicts import PlaceReview, write_review
from napari_xmag.slide.base import Slide

NAMES = (RESULT, PATCHES, HEAT_MAP, GEOJSON, QUPATH, OVERLAY)


def export_all(
    slide: Slide,
    result: SlideResult,
    folder: Path | str,
    origin: Origin | str = Origin.BOUNDS,
    reviews: Sequence[PlaceReview] = (),
    view: HeatMapView = HeatMapView.EVIDENCE,
    class_name: str = "",
) -> dict[str, Path]:
    """Write everything that this program says of a slide.

    Parameters
    ----------
    slide
        The slide that was analyzed, still open; for the picture.
    result
        Its result.
    folder
        Made when missing; files of the same names are replaced, another slide's result never.
    origin
        Where (0, 0) lies in the files for QuPath; see `Origin`.
    reviews
        What was said of places of the slide; without any, no ``review.csv`` stays in the folder.
    view, class_name
        What the picture shows; see `view_values`.

    Returns
    -------
    Name of each file and its path.

    Raises
    ------
    TileReadError
        When the slide cannot be read any more.
    ExportError
        When the folder holds the result of another slide, or cannot be written; nothing
        half-written is left.
    """
    folder = Path(folder)
    _require_own(folder, str(result.slide["fingerprint"]))
    _refuse_foreign(folder)
    with whole_folder(folder) as part, ThreadPoolExecutor(1, "xmag-export") as aside:
        # Drawing and packing leave Python to the tables meanwhile. They stay in this thread: they
        # read the slide, which may take long, and Ctrl-C ends only what runs here.
        tables = aside.submit(_write_tables, result, part, Origin(origin), reviews)
        write_heatmap_ome(result, part / HEAT_MAP)
        write_overlay(slide, result, part / OVERLAY, view, class_name)
        tables.result()
    if not reviews:
        _remove(folder / REVIEW)  # what was said was taken back
    return {name: folder / name for name in (*NAMES, *([REVIEW] if reviews else []))}


def _write_tables(
    result: SlideResult, folder: Path, origin: Origin, reviews: Sequence[PlaceReview]
) -> None:
    result.save(folder)
    if reviews:
        write_review(reviews, folder / REVIEW)
    patches = patch_features(result, origin)
    write_geojson(result, folder / GEOJSON, origin, patches=patches)
    write_qupath(result, folder / QUPATH, origin, reviews, patches=patches)


def _refuse_foreign(folder: Path) -> None:
    """Refuse to replace files that no result of this program explains."""
    foreign = [name for name in (*NAMES, REVIEW) if (folder / name).exists()]
    if foreign and not (folder / RESULT).exists():
        raise ExportError(
            expected=f"{folder} to hold an export of this slide, or none of its files",
            found=f"{', '.join(foreign)} of something else",
            hint="Choose another folder, or move these files away.",
        )


def _remove(file: Path) -> None:
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise ExportError(
            expected=f"to remove {file}, which no longer holds",
            found=error.strerror or str(error),
            hint="Close it in other programs, and export again.",
            causes=(error,),
        ) from error


def _require_own(folder: Path, fingerprint: str) -> None:
    """Refuse a folder that holds the result of another slide."""
    if (folder / RESULT).exists() and owner_of(folder) != fingerprint:
        raise ExportError(
            expected=f"{folder} to hold no result but this slide's",
            found="one of another slide",
            hint="Choose another folder.",
        )
