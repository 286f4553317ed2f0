"""What a person says of places on a slide, and the table ``review.csv`` that holds it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from pathlib import Path

import numpy as np

from napari_xmag._about import NOTICE
from napari_xmag.analyze.result import SlideResult
from napari_xmag.cohort.table import read_table
from napari_xmag.errors import CohortError, GeometryError, ResultError
from napari_xmag.geometry import Box
from napari_xmag.spreadsheets import write_csv

_PLACE = ("x", "y", "width", "height")
_COLUMNS = (*_PLACE, "class", "view", "verdict", "comment", "reviewer", "date", "notice")
_LEAST_OVERLAP = 0.5


PlaceKey = tuple[float, float, float, float, str]
"""What a review is about: the place, to a hundredth of a pixel, and the class."""


class Verdict(StrEnum):
    """Whether the model was right to look at a place."""

    RIGHT = "right"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class PlaceReview:
    """What was said of one place.

    Attributes
    ----------
    place
        Where, in level-0 pixels.
    class_name
        The class that the place was shown as evidence for; empty for attention.
    view
        Of the map, in words.
    verdict
        None where there is only a comment, or where the verdict was taken back.
    comment
        Free text.
    reviewer
        Who said so; empty where no name was given.
    date
        When, ISO 8601 with time zone.
    """

    place: Box
    class_name: str = ""
    view: str = ""
    verdict: Verdict | None = None
    comment: str = ""
    reviewer: str = ""
    date: str = ""

    @property
    def key(self) -> PlaceKey:
        """About this result about: the place, to a hundredth of a pixel, and the class."""
        place = self.place
        sides = (round(v, 2) for v in (place.x, place.y, place.width, place.height))
        x, y, width, height = sides
        return x, y, width, height, self.class_name

    @property
    def says_nothing(self) -> bool:
        """Whether there is neither a verdict nor a comment."""
        return self.verdict is None and not self.comment


def patches_of(result: SlideResult, reviews: Sequence[PlaceReview]) -> list[int | None]:
    """Return which patch of a result each review is about; None where there is none.

    It is the one that covers the place best; both must share half of what they cover together, so
    that a verdict stays when the slide is analyzed anew, with whatever grid.
    """
    table = result.patches
    found: list[int | None] = []
    for review in reviews:
        place = review.place
        wide = np.minimum(table.x + table.width, place.right) - np.maximum(table.x, place.x)
        high = np.minimum(table.y + table.height, place.bottom) - np.maximum(table.y, place.y)
        common = np.clip(wide, 0, None) * np.clip(high, 0, None)
        share = common / (table.width * table.height + place.width * place.height - common)
        best = int(share.argmax()) if len(share) else -1
        found.append(best if best >= 0 and share[best] >= _LEAST_OVERLAP else None)
    return found


def by_patch(result: SlideResult, reviews: Iterable[PlaceReview]) -> dict[int, PlaceReview]:
    """Return reviews by index of the patch that each is about; of two, the later one."""
    ordered = sorted(reviews, key=lambda review: review.date)
    places = patches_of(result, ordered)
    return {
        patch: review for patch, review in zip(places, ordered, strict=True) if patch is not None
    }


def last_words(*said: Iterable[PlaceReview]) -> dict[PlaceKey, PlaceReview]:
    """Return the last words on each place and class; of the same date, those that come later."""
    last: dict[PlaceKey, PlaceReview] = {}
    for review in chain.from_iterable(said):
        known = last.get(review.key)
        if known is None or known.date <= review.date:
            last[review.key] = review
    return last


def write_review(reviews: Iterable[PlaceReview], path: Path | str) -> None:
    """Write what was said as a table, places in level-0 pixels.

    Raises
    ------
    ExportError
        When the file cannot be written.
    """
    rows = []
    for said in sorted(reviews, key=lambda said: said.key):
        place = (repr(float(getattr(said.place, name))) for name in _PLACE)
        words = (said.class_name, said.view, said.verdict or "", said.comment, said.reviewer)
        rows.append(dict(zip(_COLUMNS, (*place, *words, said.date, NOTICE), strict=True)))
    write_csv(Path(path), _COLUMNS, rows)


def read_review(path: Path | str) -> tuple[PlaceReview, ...]:
    """Read what `write_review` wrote, also where a spreadsheet program saved it anew.

    Raises
    ------
    ResultError
        When the file is no such table.
    """
    number = 1
    try:
        found = []
        for number, cells in read_table(Path(path), (*_PLACE, "verdict")):  # noqa: B007
            found.append(_review(cells))
        return tuple(found)
    except CohortError as error:
        raise _no_review(path, error.found, error) from error
    except (ValueError, GeometryError) as error:
        raise _no_review(path, f"in row {number}: {error}", error) from error


def _review(row: Mapping[str, str]) -> PlaceReview:
    verdict = row["verdict"].lower()
    return PlaceReview(
        # spreadsheets of many countries write a decimal comma
        Box(*(float(row.get(name, "").replace(",", ".")) for name in _PLACE)),
        row.get("class", ""),
        row.get("view", ""),
        Verdict(verdict) if verdict else None,
        row.get("comment", ""),
        row.get("reviewer", ""),
        row.get("date", ""),
    )


def _no_review(path: Path | str, found: str, error: Exception) -> ResultError:
    return ResultError(
        expected=f"verdicts on places of a slide in {path}",
        found=found,
        hint="Choose the review.csv that was exported with a result.",
        causes=(error,),
    )
