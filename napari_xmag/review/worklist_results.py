"""What was analyzed without a window, taken into a worklist."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from napari_xmag.analyze.result import SlideResult
from napari_xmag.errors import XmagError
from napari_xmag.filenames import RESULT, REVIEW
from napari_xmag.review.reopen import Reopened, adopt, image_of
from napari_xmag.review.store import ReviewStore
from napari_xmag.review.verdicts import read_review
from napari_xmag.review.worklist import RowKey, Worklist, WorklistRow
from napari_xmag.slide.fingerprint import slide_fingerprint


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one saved result.

    Attributes
    ----------
    folder
        Where it lies.
    row
        The row that it filled; None where its slide is not in the list.
    problem
        Why it could not be taken.
    """

    folder: Path
    row: WorklistRow | None = None
    problem: XmagError | None = None


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
    keys = _by_fingerprint(worklist) if found else {}
    for folder in found:
        try:
            yield _taken(worklist, folder, keys)
        except XmagError as error:
            yield Taken(folder, problem=error)


def _results(place: Path) -> list[Path]:
    if (place / RESULT).is_file():
        return [place]
    return sorted(file.parent for file in place.glob(f"*/{RESULT}"))


def _by_fingerprint(worklist: Worklist) -> dict[str, RowKey]:
    keys = {}
    for row in worklist.rows:
        with suppress(OSError):  # whoever analyses it says that it cannot be read
            keys[slide_fingerprint(row.slide, row.image)] = row.key
    return keys


def _taken(worklist: Worklist, folder: Path, keys: dict[str, RowKey]) -> Taken:
    result = SlideResult.load(folder)
    mark = str(result.slide["fingerprint"])
    key = keys.get(mark)
    if key is None:
        return Taken(folder)
    said = read_review(folder / REVIEW) if (folder / REVIEW).is_file() else ()
    reopened = Reopened(folder, result, said, key[0], image_of(result))
    worklist.finish(key, result, adopt(reopened, ReviewStore(mark)))
    return Taken(folder, worklist[key])
