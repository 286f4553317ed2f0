"""Open what was saved: from a result's files back to its slide and what was said of it."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from napari_xmag.analyze.result import SlideResult
from napari_xmag.errors import ResultError
from napari_xmag.filenames import HEAT_MAP, RESULT, REVIEW
from napari_xmag.geometry import Mpp
from napari_xmag.printable import printable
from napari_xmag.review.store import ReviewStore
from napari_xmag.review.verdicts import PlaceReview, last_words, read_review
from napari_xmag.slide.base import Slide
from napari_xmag.slide.find import SLIDE_SUFFIXES, is_slide
from napari_xmag.slide.fingerprint import slide_fingerprint

_LEVELS_UP = 3
_LEVELS_DOWN = 3
_MOST_FOLDERS = 2000
_MOST_RENAMED = 50


@dataclass(frozen=True, slots=True, eq=False)
class Reopened:
    """A saved result with its slide.

    Attributes
    ----------
    folder
        Where the result lies.
    result
        What was found out.
    reviews
        What was said of its places, by its ``review.csv``.
    slide
        File or folder of the slide; its fingerprint is that of the result.
    image
        Which picture of the file.
    """

    folder: Path
    result: SlideResult
    reviews: tuple[PlaceReview, ...]
    slide: Path
    image: int


def result_folder(path: Path | str) -> Path:
    """Return the folder of a result that was named by itself or by one of its files.

    Raises
    ------
    ResultError
        When there is none.
    """
    path = Path(path)
    folder = path.parent if path.name in (RESULT, HEAT_MAP) else path
    if (folder / RESULT).is_file():
        return folder
    raise ResultError(
        expected=f"a saved result: a folder with {RESULT}, that file, or {HEAT_MAP} beside it",
        found=f"{path}" if path.exists() else f"no file or folder {path}",
        hint="Choose a folder that napari-xmag analyze or an export wrote.",
    )


def reopen(path: Path | str, near: Sequence[Path] = ()) -> Reopened:
    """Load a saved result and find its slide.

    The slide is looked for in the places named, then beside the result: in its folder, up to three
    folders above, and in the folders below these. It is known by its fingerprint, under whatever
    name.

    Parameters
    ----------
    path
        The result's folder, its ``result.json`` or its ``heatmap.ome.tif``.
    near
        Files or folders where the slide may be; a file that is another slide is refused.

    Raises
    ------
    ResultError
        When the result cannot be loaded, or the slide is not found.
    """
    folder = result_folder(path)
    result = SlideResult.load(folder)
    said = read_review(folder / REVIEW) if (folder / REVIEW).is_file() else ()
    slide = find_slide(result, folder, near)
    return Reopened(folder, result, said, slide, image_of(result))


def image_of(result: SlideResult) -> int:
    """Return which picture of its file a result is of, from 1."""
    return int((result.slide.get("image") or {}).get("index", 1))


def require_same_picture(result: SlideResult, slide: Slide) -> None:
    """Refuse a result of another picture: those of a file may be numbered anew by a later version.

    Raises
    ------
    ResultError
        When the picture that was analyzed has another size.
    """
    size = slide.levels[0].width, slide.levels[0].height
    made = result.slide.get("width"), result.slide.get("height")
    if None not in made and made != size:
        raise ResultError(
            expected=f"a result of {slide.path.name}, {size[0]} × {size[1]} px",
            found=f"one of another image of the file, {made[0]} × {made[1]} px",
            hint="Analyze the slide again.",
        )


def require_same_mpp(result: SlideResult, slide: Slide) -> None:
    """Refuse a result that was made with another pixel size, which was given by hand.

    Raises
    ------
    ResultError
        When the pixel sizes differ.
    """
    if slide.mpp is not None and slide.mpp != result.mpp:
        raise ResultError(
            expected=f"a result for the pixel size of {slide.path.name}, {_exactly(slide.mpp)}",
            found=f"one that was made with {_exactly(result.mpp)}",
            hint="Analyze the slide again.",
        )


def _exactly(mpp: Mpp) -> str:
    return f"{mpp.x:.6g} × {mpp.y:.6g} µm per pixel"


def reviews_of(reopened: Reopened, store: ReviewStore) -> tuple[PlaceReview, ...]:
    """Return what was said of a slide, in its files and in the store, in each case the last."""
    said = last_words(reopened.reviews, store.last_said().values())
    return tuple(review for review in said.values() if not review.says_nothing)


def find_slide(result: SlideResult, folder: Path, near: Sequence[Path] = ()) -> Path:
    """Return the slide of a result; see `reopen`.

    Raises
    ------
    ResultError
        When it is not found; slides of its name that are other ones are named.
    """
    name, others = str(result.slide["path"]), []
    for candidate in _candidates(name, folder, near):
        if _is_slide_of(result, candidate):
            return candidate
        if candidate.name == name or candidate in near:
            others.append(candidate)
    found = f"no such slide next to {folder}"
    if others:
        found = f"another slide: {', '.join(map(str, others))}"
    raise ResultError(
        expected=f"the slide {name} of this result",
        found=found,
        hint="Choose the slide file; it may have been renamed or moved.",
    )


def adopt(reopened: Reopened, store: ReviewStore) -> str:
    """Take a reopened result, and what was said of it, among what is saved of its slide.

    What was said later stands: the store's own words on a place are kept where they are newer.

    Returns
    -------
    The result's id in the store, which is also that of the view to be shown.

    Raises
    ------
    ExportError
        When nothing can be saved.
    """
    for review in set(reviews_of(reopened, store)) - set(store.reviews()):
        store.record(review)
    name = store.save_result(reopened.result)
    store.save_view(replace(store.view(), result=name))
    return name


def _is_slide_of(result: SlideResult, path: Path) -> bool:
    with suppress(OSError):
        # a plain folder is none, though its bytes may be those of the one slide in it
        if path.is_dir() and not is_slide(path):
            return False
        return slide_fingerprint(path, image_of(result)) == str(result.slide["fingerprint"])
    return False


def _candidates(name: str, folder: Path, near: Sequence[Path]) -> Iterator[Path]:
    """Yield what may be the slide: what was named, what is called so, then any slide beside."""
    yield from (path for path in near if path.exists())
    folder = folder.absolute()
    places = [*(path for path in near if path.is_dir()), folder, *folder.parents[:_LEVELS_UP]]
    folders = list(dict.fromkeys(_below(places)))
    yield from (item / name for item in folders if (item / name).exists())
    if "\\" in name:  # perhaps a name of which something was escaped
        yield from (f for item in folders for f in _files(item) if printable(f.name) == name)
    others = (f for item in folders for f in _files(item) if f.name != name)
    yield from islice((f for f in others if f.suffix.lower() in SLIDE_SUFFIXES), _MOST_RENAMED)


def _below(places: Sequence[Path]) -> Iterator[Path]:
    """Yield folders and those below them, the nearest first; a bounded number."""
    waiting = [(place, 0) for place in places]
    seen: set[Path] = set()
    while waiting and len(seen) < _MOST_FOLDERS:
        place, depth = waiting.pop(0)
        if place in seen:
            continue
        seen.add(place)
        yield place
        if depth < _LEVELS_DOWN:
            waiting += [(item, depth + 1) for item in _folders(place)]


def _folders(folder: Path) -> list[Path]:
    with suppress(OSError):
        return sorted(i for i in folder.iterdir() if i.is_dir() and not i.name.startswith("."))
    return []


def _files(folder: Path) -> list[Path]:
    with suppress(OSError):
        return sorted(item for item in folder.iterdir() if item.is_file())
    return []
