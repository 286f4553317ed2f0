"""All files of one result, in one folder of its own, together or not at all."""

import os
import re
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from napari_xmag.analyze.heatmap import HeatMapView
from napari_xmag.analyze.result import SlideResult
from napari_xmag.errors import ExportError
from napari_xmag.export.geojson import patch_features, write_geojson, write_qupath
from napari_xmag.export.ome_tiff import write_heatmap_ome
from napari_xmag.export.overlay import write_overlay
from napari_xmag.filenames import GEOJSON, HEAT_MAP, OVERLAY, PATCHES, QUPATH, RESULT, REVIEW
from napari_xmag.files import parse_json, safe_name, whole_folder
from napari_xmag.qupath.origin import Origin
from napari_xmag.review.verdicts import PlaceReview, write_review
from napari_xmag.slide.base import Slide

_MOST_OF_ONE_NAME = 10_000

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
        The slide that was analysed, still open; for the picture.
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


def result_name(slide: Path, image: int = 1) -> str:
    """Return what the result of a slide is called, before other slides of its name are known.

    That is its stem (a folder's whole name), and of a further picture of a file its number too:
    ``case#2``.
    """
    slide = slide.absolute()
    # ``..`` is called as the folder that it means
    stem = slide.resolve().name if os.path.isdir(slide) else slide.name.removesuffix(slide.suffix)
    return safe_name(stem if image == 1 else f"{stem}#{image}")


class ResultFolders:
    """Gives each slide a folder of its own below one parent.

    The first slide of a name gets ``<name>``, others ``<name>-2``, ``<name>-3``, …; the fingerprint
    in a result tells whose folder it is, so that a slide finds its own again, wherever it is.
    Processes that write below one parent at once stay out of one another's folders.

    Parameters
    ----------
    parent
        Holds the folders of all slides; made when the first is reserved.
    """

    def __init__(self, parent: Path) -> None:
        self._parent = parent
        self._given: set[Path] = set()

    @contextmanager
    def reserve(
        self, name: str, fingerprint: str, number: int = 1, others: Collection[int] = ()
    ) -> Iterator[Path]:
        """Give the folder for the result of a slide, which need not exist yet.

        Parameters
        ----------
        name
            As of `result_name`.
        fingerprint
            As of `slide_fingerprint`.
        number
            Which slide of this name it is, from 1: where it has no folder yet, it gets the first
            free one from there on.
        others
            Numbers of copies of the slide, whose folders are not its own.

        Raises
        ------
        ExportError
            When nothing can be written there.
        """
        for folder in self._candidates(name, fingerprint, number, others):
            with self._claimed(folder, fingerprint) as free:
                if free:
                    self._given.add(folder)
                    yield folder
                    return

    def suggest(self, name: str, fingerprint: str) -> Path:
        """Return the folder that would be reserved now, without reserving it."""
        candidates = self._candidates(name, fingerprint, 1, ())
        return next(folder for folder in candidates if self._is_free(folder, fingerprint))

    def _candidates(
        self, name: str, fingerprint: str, first: int, others: Collection[int]
    ) -> Iterator[Path]:
        """Yield the slide's own folders, then those that may be free."""
        for number in self._numbers(name, first):
            folder = self._numbered(name, number)
            if number not in others and _owner_of_result(folder) == fingerprint:
                yield folder
        for number in range(first, _MOST_OF_ONE_NAME):
            if number not in others:
                yield self._numbered(name, number)
        raise _no_room(self._parent, name)

    def _numbered(self, name: str, number: int) -> Path:
        return self._parent / (name if number == 1 else f"{name}-{number}")

    def _numbers(self, name: str, first: int) -> list[int]:
        """Return the numbers of all folders of a name, that of ``first`` before others."""
        if not self._parent.is_dir():
            return []
        numbered = re.compile(re.escape(name) + r"(?:-([1-9]\d*))?")
        found = (numbered.fullmatch(item.name) for item in self._parent.iterdir())
        numbers = {int(match[1] or 1) for match in found if match}
        return sorted(numbers, key=lambda number: (number != first, number))

    @contextmanager
    def _claimed(self, folder: Path, fingerprint: str) -> Iterator[bool]:
        """Claim a folder for the time of the block, unless it is another slide's."""
        # Two names that differ in case only are one folder on many systems.
        claim = self._parent / f".{folder.name.casefold()}.claim"
        claimed = self._write_claim(claim, fingerprint) or _text_of(claim) == fingerprint
        try:
            yield claimed and folder not in self._given and self._is_free(folder, fingerprint)
        finally:
            if claimed:
                claim.unlink(missing_ok=True)

    def _write_claim(self, claim: Path, fingerprint: str) -> bool:
        try:
            self._parent.mkdir(parents=True, exist_ok=True)
            with claim.open("x", encoding="utf-8") as stream:
                stream.write(fingerprint)
        except FileExistsError:
            if self._parent.is_dir():
                return False  # another process has it, or had it when it was killed
            raise _no_folder(self._parent, "a file of that name") from None
        except OSError as error:
            raise _no_folder(self._parent, error.strerror or str(error)) from error
        return True

    def _is_free(self, folder: Path, fingerprint: str) -> bool:
        if not self._parent.is_dir():
            return True
        same = [item for item in self._parent.iterdir() if _same_name(item, folder)]
        return all(item == folder and _owner(item) in ("", fingerprint) for item in same)


def _same_name(one: Path, other: Path) -> bool:
    return one.name.casefold() == other.name.casefold()


def _require_own(folder: Path, fingerprint: str) -> None:
    """Refuse a folder that holds the result of another slide."""
    if (folder / RESULT).exists() and _owner(folder) != fingerprint:
        raise ExportError(
            expected=f"{folder} to hold no result but this slide's",
            found="one of another slide",
            hint="Choose another folder.",
        )


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def _owner(folder: Path) -> str:
    """Return the fingerprint of the slide whose result lies in a folder; empty for none."""
    if (folder / RESULT).exists() or any(folder.iterdir()):
        return _owner_of_result(folder) or "something else"
    return ""


def _owner_of_result(folder: Path) -> str:
    try:
        result = parse_json((folder / RESULT).read_text(encoding="utf-8"))
        return str(result["slide"]["fingerprint"])
    except (OSError, ValueError, TypeError, KeyError):
        return ""


def _no_folder(folder: Path, found: str) -> ExportError:
    return ExportError(
        expected=f"a folder for results at {folder}",
        found=found,
        hint="Choose a folder that you may write to.",
    )


def _no_room(folder: Path, name: str) -> ExportError:
    return ExportError(
        expected=f"a free name for the result of {name} in {folder}",
        found=f"{_MOST_OF_ONE_NAME} folders of that name",
        hint="Choose another folder.",
    )
