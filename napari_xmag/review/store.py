"""All that is saved of one slide while it is reviewed, found again by the slide's fingerprint."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from napari_xmag.analyze.heatmap import HeatMapView
from napari_xmag.analyze.result import SlideResult
from napari_xmag.errors import GeometryError, ResultError
from napari_xmag.filenames import RESULT
from napari_xmag.files import parse_json, whole_folder, write_json
from napari_xmag.folder_limits import bytes_of, note_count, surely_fits
from napari_xmag.folders import data_folder
from napari_xmag.formatting import local_minute
from napari_xmag.geometry import Box
from napari_xmag.leftovers import part_of, remove, remove_leftovers
from napari_xmag.result_keys import entry_of
from napari_xmag.review.log import Record, RecordLog
from napari_xmag.review.verdicts import PlaceKey, PlaceReview, Verdict

_log = logging.getLogger(__name__)

MOST_RESULTS = 12
"""Kept of one slide; a further one takes the place of the oldest."""

MOST_BYTES = 4 * 2**30
"""Of the results of all slides; beyond it the oldest go. What was said of places always stays."""

_PLACES, _VIEW, _REGIONS, _RESULTS, _REVIEWER = (
    *("places.jsonl", "view.json", "regions.json", "results", "reviewer.json"),
)


@dataclass(frozen=True, slots=True)
class SavedResult:
    """One result that lies in the store.

    Attributes
    ----------
    id
        Names it for `ReviewStore.load_result`.
    headline, model, tissue, created, sha256
        What it says, of which model and tissue it is, when it was made; the model's digest.
    """

    id: str
    headline: str
    model: str
    tissue: str
    created: str
    sha256: str = ""

    @property
    def words(self) -> str:
        """All of it in one line, for a list to choose from."""
        return " · ".join((self.model, self.tissue, self.headline, local_minute(self.created)))

    def words_beside(self, other: "SavedResult") -> str:
        """Return what tells it from another result of the slide, in one line."""
        facts = (self.model, other.model), (self.tissue, other.tissue)
        return " · ".join(own for own, its in facts if own != its) or local_minute(self.created)


@dataclass(frozen=True, slots=True)
class ViewState:
    """How a slide was shown last.

    Attributes
    ----------
    result
        Id of the result; empty for none.
    view, class_name
        What the map showed; an empty class stands for the predicted one.
    opacity, threshold
        Of the map, 0 to 1.
    place
        The place that was looked at, or None.
    tissue
        Which part was chosen, a `TissueChoice`.
    """

    result: str = ""
    view: HeatMapView = HeatMapView.EVIDENCE
    class_name: str = ""
    opacity: float = 0.5
    threshold: float = 0.0
    place: Box | None = None
    tissue: str = "auto"


class ReviewStore:
    """What is saved of one slide; each write is whole, and none waits for a slide.

    Parameters
    ----------
    fingerprint
        Of the slide, as of `slide_fingerprint`.
    folder
        Holds the stores of all slides; that of the user by default.
    """

    def __init__(self, fingerprint: str, folder: Path | None = None) -> None:
        self.fingerprint = fingerprint
        self._all = data_folder() / "reviews" if folder is None else folder
        self._folder = self._all / fingerprint
        self._places = RecordLog(self._folder / _PLACES, _latest)

    # results

    def save_result(self, result: SlideResult) -> str:
        """Save a result beside the others; an earlier one of the same kind goes.

        That is of the same model and patches, and of the same image of QuPath where it is of one.

        Returns
        -------
        Its id.

        Raises
        ------
        ResultError
            When it is another slide's.
        ExportError
            When it cannot be written.
        """
        if result.slide["fingerprint"] != self.fingerprint:
            raise ResultError(
                expected=f"a result of the slide {self.fingerprint}",
                found=f"one of {result.slide['path']} ({result.slide['fingerprint']})",
                hint="This is a fault of the program; nothing was saved.",
            )
        kind = _kind(result)
        name = f"{kind}-{uuid4().hex[:8]}"
        with whole_folder(self._folder / _RESULTS / name) as part:
            result.save(part)
        for old in self._result_folders():
            if old.name.startswith(f"{kind}-") and old.name != name:
                _remove(old)
        self._make_room(name)
        return name

    def results(self) -> tuple[SavedResult, ...]:
        """Return the saved results, the newest first; damaged ones are left out."""
        found = [_saved(folder) for folder in self._result_folders()]
        known = [saved for saved in found if saved is not None]
        return tuple(sorted(known, key=lambda saved: saved.created, reverse=True))

    def load_result(self, result_id: str) -> SlideResult:
        """Load a saved result.

        Raises
        ------
        ResultError
            When it is not there, or damaged.
        """
        return SlideResult.load(self.result_folder(result_id))

    def result_folder(self, result_id: str) -> Path:
        """Return where a saved result lies, or the one that took its place when it was run again.

        It is as `SlideResult.save` wrote it.
        """
        folder = self._own_folder(result_id)
        kind = result_id.rpartition("-")[0]
        if not kind or _is_whole(folder):
            return folder
        later = (item for item in self._result_folders() if item.name.startswith(f"{kind}-"))
        return next(later, folder)

    def delete_result(self, result_id: str) -> None:
        """Remove a result; what was said of places stays."""
        _remove(self._own_folder(result_id))

    # what was said

    def record(self, review: PlaceReview) -> None:
        """Save what was said of a place, in the place of what was said of it before.

        Raises
        ------
        ExportError
            When it cannot be written.
        """
        said = {name: value for name, value in asdict(review).items() if name != "place"}
        self._places.add({**said, **asdict(review.place)})

    def reviews(self) -> tuple[PlaceReview, ...]:
        """Return what is said of each place now; nothing of what was taken back."""
        return tuple(said for said in self.last_said().values() if not said.says_nothing)

    def last_said(self) -> dict[PlaceKey, PlaceReview]:
        """Return the last words on each place and class, also those that took all back."""
        found = filter(None, map(_place_review, self._places.records()))
        return {review.key: review for review in found}

    # how it was shown

    def show_next(self, result_id: str) -> bool:
        """Let a result be the one that is shown, where it is there; return whether it was not yet.

        Raises
        ------
        ExportError
            When that cannot be written.
        """
        view, folder = self.view(), self.result_folder(result_id)
        if view.result == folder.name or not _is_whole(folder):
            return False
        self.save_view(replace(view, result=folder.name, place=None))
        return True

    def save_view(self, view: ViewState) -> None:
        """Save how the slide is shown.

        Raises
        ------
        ExportError
            When it cannot be written.
        """
        write_json(self._folder / _VIEW, asdict(view))

    def view(self) -> ViewState:
        """Return how the slide was shown last; the defaults where that is not known."""
        data = _read_json(self._folder / _VIEW)
        try:
            place = data.get("place")
            return ViewState(
                str(data["result"]),
                HeatMapView(data["view"]),
                str(data["class_name"]),
                float(data["opacity"]),
                float(data["threshold"]),
                None if place is None else Box(**place),
                str(data["tissue"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            if data:
                _log.warning("The saved view of %s cannot be read: %s", self._folder, error)
            return ViewState()

    def save_regions(self, polygons: Sequence[NDArray[np.floating]]) -> None:
        """Save the regions that were drawn, each (N, 2) as x, y in level-0 pixels.

        Raises
        ------
        ExportError
            When they cannot be written.
        """
        content = [np.asarray(polygon, np.float64).tolist() for polygon in polygons]
        write_json(self._folder / _REGIONS, {"polygons": content})

    def regions(self) -> tuple[NDArray[np.float64], ...]:
        """Return the regions that were drawn last."""
        try:
            polygons = _read_json(self._folder / _REGIONS).get("polygons", [])
            return tuple(np.array(item, np.float64).reshape(-1, 2) for item in polygons)
        except (TypeError, ValueError) as error:
            _log.warning("The saved regions of %s cannot be read: %s", self._folder, error)
            return ()

    # room

    def _own_folder(self, result_id: str) -> Path:
        return self._folder / _RESULTS / Path(result_id).name

    def _result_folders(self) -> list[Path]:
        try:
            return [item for item in (self._folder / _RESULTS).iterdir() if _is_whole(item)]
        except OSError:
            return []

    def _make_room(self, newest: str) -> None:
        own = sorted(self._result_folders(), key=_age, reverse=True)
        own.sort(key=lambda folder: folder.name != newest)
        for folder in own[MOST_RESULTS:]:
            _remove(folder)
        if not surely_fits(self._folder / _RESULTS / newest, self._all, MOST_BYTES):
            note_count(self._all, self._within_limit(newest))

    def _within_limit(self, newest: str) -> int:
        """Remove the oldest results of all slides, and unfinished ones; return what is left."""
        for results in self._all.glob(f"*/{_RESULTS}"):
            remove_leftovers(results)
        everything = [item for item in self._all.glob(f"*/{_RESULTS}/*") if _is_whole(item)]
        total = sum(map(bytes_of, everything))
        for folder in sorted(everything, key=_age):
            if total <= MOST_BYTES or folder.name == newest:
                break
            total -= bytes_of(folder)
            _log.info("Removed the saved result %s to make room", folder)
            _remove(folder)
        return total


def reviewer() -> str:
    """Return the name of whoever reviews on this computer; empty until it was given."""
    return str(_read_json(data_folder() / _REVIEWER).get("name") or "")


def remember_reviewer(name: str) -> None:
    """Remember the name that reviews and reports carry.

    Raises
    ------
    ExportError
        When it cannot be written.
    """
    write_json(data_folder() / _REVIEWER, {"name": " ".join(name.split())})


def _kind(result: SlideResult) -> str:
    """Return what tells results of a slide apart: the model, the patches, the image of QuPath."""
    digest = sha256(str(result.model["sha256"]).encode())
    digest.update(str(result.tissue.get("choice", "")).encode())
    digest.update(entry_of(result.settings).encode())
    for column in (result.patches.x, result.patches.y, result.patches.width):
        digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()[:16]


def _saved(folder: Path) -> SavedResult | None:
    data = _read_json(folder / RESULT)
    try:
        model = data["model"]
        name = model.get("display_name") or model["name"]
        return SavedResult(
            folder.name,
            str(data["headline"]),
            f"{name} ({str(model['sha256'])[:12]})",
            str(data["tissue"]["words"]),
            str(data["created"]),
            str(model["sha256"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        _log.warning("The saved result in %s cannot be read: %s", folder, error)
        return None


def _latest(records: list[Record]) -> list[Record]:
    kept = {review.key: record for record in records if (review := _place_review(record))}
    return list(kept.values())


def _place_review(record: Record) -> PlaceReview | None:
    try:
        verdict = record["verdict"]
        return PlaceReview(
            Box(record["x"], record["y"], record["width"], record["height"]),
            str(record["class_name"]),
            str(record["view"]),
            None if verdict is None else Verdict(verdict),
            str(record["comment"]),
            str(record["reviewer"]),
            str(record["date"]),
        )
    except (KeyError, TypeError, ValueError, GeometryError) as error:
        _log.warning("A saved review cannot be read: %s", error)
        return None


def _read_json(path: Path) -> Mapping[str, Any]:
    try:
        data = parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        _log.warning("%s cannot be read: %s", path, error)
        return {}
    return data if isinstance(data, dict) else {}


def _is_whole(folder: Path) -> bool:
    return not folder.name.startswith(".") and (folder / RESULT).is_file()


def _age(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0


def _remove(folder: Path) -> None:
    """Take a result away as a whole: nobody reads one that is half removed."""
    part = part_of(folder)
    with suppress(OSError):  # another process may have removed it
        folder.rename(part)
        remove(part)
