"""All files of one result, in one folder of its own, together or not at all."""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from napari_xmag.analyze.heatmap import AS_MADE, MapLook
from napari_xmag.analyze.kept_tissue import has_chosen_tissue
from napari_xmag.analyze.result import SlideResult
from napari_xmag.errors import ExportError, ResultError
from napari_xmag.export.geojson import patches_json, write_geojson, write_qupath
from napari_xmag.export.ome_tiff import write_heatmap_ome
from napari_xmag.export.overlay import write_overlay
from napari_xmag.export.result_folders import slide_of
from napari_xmag.filenames import (
    GEOJSON,
    HEAT_MAP,
    OVERLAY,
    PATCHES,
    QUPATH,
    RESULT,
    REVIEW,
    TISSUE,
)
from napari_xmag.files import whole_folder
from napari_xmag.qupath.origin import Origin
from napari_xmag.review.verdicts import PlaceReview, last_words, read_review, write_review
from napari_xmag.slide.base import Slide
from napari_xmag.slide.tissue import TissueMask

_log = logging.getLogger(__name__)

NAMES = (RESULT, PATCHES, HEAT_MAP, GEOJSON, QUPATH, OVERLAY)
"""Of the files that are always written."""

SOMETIMES = (REVIEW, TISSUE)
"""Of those that are written where there is something to say."""


def export_all(
    slide: Slide,
    result: SlideResult,
    folder: Path | str,
    origin: Origin | str = Origin.BOUNDS,
    reviews: Sequence[PlaceReview] = (),
    look: MapLook = AS_MADE,
    mask: TissueMask | None = None,
) -> dict[str, Path]:
    """Write everything that this program says of a slide.

    Parameters
    ----------
    slide
        The slide that was analyzed, still open; for the picture.
    result
        Its result.
    folder
        Made when missing. A new folder takes the place of one with a result of this slide; other
        files in it come along. Another slide's result is never replaced.
    origin
        Where (0, 0) lies in the files for QuPath; see `Origin`.
    reviews
        The last words on places of the slide. What the folder's ``review.csv`` holds of other
        places, or later words, stays; words that say nothing take back what was said before.
    look
        How the picture shows the map; an empty class stands for the predicted one.
    mask
        The tissue that was analyzed; see `map_picture`.

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
    said = _all_said(folder / REVIEW, reviews)
    replaced = [REVIEW] if said is not None else []
    replaced += [TISSUE] if has_chosen_tissue(folder / RESULT) else []
    with whole_folder(folder, replaced) as part, ThreadPoolExecutor(1, "xmag-export") as aside:
        # Drawing and packing leave Python to the tables meanwhile. They stay in this thread: they
        # read the slide, which may take long, and Ctrl-C ends only what runs here.
        tables = aside.submit(_write_tables, result, part, Origin(origin), said or ())
        write_heatmap_ome(result, part / HEAT_MAP)
        write_overlay(slide, result, part / OVERLAY, look, mask)
        tables.result()
    names = [*NAMES, *(name for name in SOMETIMES if (folder / name).exists())]
    return {name: folder / name for name in names}


def _all_said(table: Path, reviews: Sequence[PlaceReview]) -> tuple[PlaceReview, ...] | None:
    """Return what is said of all places; None where a table of it that cannot be read must stay."""
    try:
        before = read_review(table) if table.is_file() else ()
    except ResultError as error:
        if reviews:
            raise
        _log.warning("%s stays as it is. %s", table, error)
        return None
    said = last_words(before, reviews).values()
    return tuple(review for review in said if not review.says_nothing)


def _write_tables(
    result: SlideResult, folder: Path, origin: Origin, reviews: Sequence[PlaceReview]
) -> None:
    result.save(folder)
    if reviews:
        write_review(reviews, folder / REVIEW)
    patches = patches_json(result, origin)
    write_geojson(result, folder / GEOJSON, origin, patches=patches)
    write_qupath(result, folder / QUPATH, origin, reviews, patches=patches)


def _refuse_foreign(folder: Path) -> None:
    """Refuse to replace files that no result of this program explains."""
    foreign = [name for name in (*NAMES, *SOMETIMES) if (folder / name).exists()]
    if foreign and not (folder / RESULT).exists():
        raise ExportError(
            expected=f"{folder} to contain either an export of this slide or no export at all",
            found=f"{', '.join(foreign)} of unknown origin",
            hint="Choose another folder, or move these files away.",
        )


def _require_own(folder: Path, fingerprint: str) -> None:
    """Refuse a folder that holds the result of another slide."""
    if (folder / RESULT).exists() and slide_of(folder) != fingerprint:
        raise ExportError(
            expected=f"{folder} to contain results of this slide only",
            found="a result of another slide",
            hint="Choose another folder.",
        )
