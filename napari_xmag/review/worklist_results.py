"""What was analyzed without a window, taken into a worklist."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from napari_xmag.analyze.result import SlideResult
from napari_xmag.errors import XmagError
from napari_xmag.filenames import RESULT, REVIEW
from napari_xmag.result_keys import entry_of
from napari_xmag.review.reopen import Reopened, adopt, image_of
from napari_xmag.review.store import ReviewStore
from napari_xmag.review.verdicts import read_review
from napari_xmag.review.worklist import Worklist
from napari_xmag.review.worklist_row import RowKey, WorklistRow
from napari_xmag.slide.fingerprint import slide_fingerprint

_SEVERAL = "could be of several images in the list that show this slide"
_ANOTHER = "is not of the image in the list that shows this slide, or its project lay elsewhere"


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one saved result.

    Attributes
    ----------
    folder
        Where it lies.
    row
        The row that it filled; None where it is of none.
    problem
        Why it could not be taken.
    why
        Why it is of no row, where there are some of its slide; empty where there are none.
    """

    folder: Path
    row: WorklistRow | None = None
    problem: XmagError | None = None
    why: str = ""


def take_results(worklist: Worklist, folders: Sequence[Path]) -> Iterator[Taken]:
    """Take saved results into a list, and into the stores of their slides.

    Parameters
    ----------
    folders
        Of results, or folders that hold such folders.

    Yields
    ------
    Each result, when it was taken in.
    """
    found = [folder for place in folders for folder in _results(place)]
    rows = _Rows(worklist if found else Worklist())
    for folder in found:
        try:
            yield _taken(worklist, folder, rows)
        except XmagError as error:
            yield Taken(folder, problem=error)


def _results(place: Path) -> list[Path]:
    if (place / RESULT).is_file():
        return [place]
    return sorted(file.parent for file in place.glob(f"*/{RESULT}"))


class _Rows:
    """Finds the row of a result: its own image of QuPath, or the slide itself.

    Images of projects may show one slide; each has results of its own.
    """

    def __init__(self, worklist: Worklist) -> None:
        self._slides: dict[str, RowKey] = {}
        self._images: dict[str, dict[str, WorklistRow]] = {}
        self._filled: set[RowKey] = set()
        for row in worklist.rows:
            with suppress(OSError):  # whoever analyzes it says that it cannot be read
                mark = slide_fingerprint(row.slide, row.image)
                if row.entry:
                    self._images.setdefault(mark, {})[row.entry] = row
                else:
                    self._slides[mark] = row.key

    def find(self, result: SlideResult) -> tuple[RowKey | None, str]:
        """Return the row of a result; or None, and why although there are rows of its slide."""
        mark, entry = str(result.slide["fingerprint"]), entry_of(result.settings)
        images = self._images.get(mark, {})
        if entry in images:
            self._filled.add(images[entry].key)
            return images[entry].key, ""
        known = [row for row in images.values() if not entry or entry in row.marks]
        slide = self._slides.get(mark)
        if len(known) == 1 and (entry or slide is None):
            key = known[0].key
            return (None, _ANOTHER) if key in self._filled else (key, "")
        if slide is None and images:
            return None, _SEVERAL if known else _ANOTHER
        return slide, ""


def _taken(worklist: Worklist, folder: Path, rows: _Rows) -> Taken:
    result = SlideResult.load(folder)
    key, why = rows.find(result)
    if key is None:
        return Taken(folder, why=why)
    said = read_review(folder / REVIEW) if (folder / REVIEW).is_file() else ()
    reopened = Reopened(folder, result, said, key[0], image_of(result))
    store = ReviewStore(str(result.slide["fingerprint"]))
    worklist.finish(key, result, adopt(reopened, store))
    return Taken(folder, worklist[key])
