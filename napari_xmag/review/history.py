"""Verdicts and comments of one slide, saved as they are given; undone and done again."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from napari_xmag.analyze.result import SlideResult
from napari_xmag.geometry import Box
from napari_xmag.review.store import ReviewStore, reviewer
from napari_xmag.review.verdicts import PlaceReview, Verdict, by_patch

_WORDS = ("verdict", "comment")


class ReviewHistory:
    """What a person says of the places of a slide, in the order in which it was said.

    Parameters
    ----------
    store
        Takes every change at once.
    who
        Returns the reviewer's name; that which is remembered by default.
    """

    def __init__(self, store: ReviewStore, who: Callable[[], str] = reviewer) -> None:
        self._store = store
        self._who = who
        self._said = {review.key: review for review in store.reviews()}
        self._undo: list[tuple[PlaceReview, PlaceReview]] = []
        self._redo: list[tuple[PlaceReview, PlaceReview]] = []

    @property
    def can_undo(self) -> bool:
        """Whether something was said in this session."""
        return bool(self._undo)

    @property
    def can_redo(self) -> bool:
        """Whether something was undone."""
        return bool(self._redo)

    @property
    def reviews(self) -> tuple[PlaceReview, ...]:
        """All that is said now."""
        return tuple(review for review in self._said.values() if not review.says_nothing)

    def of(self, result: SlideResult, class_name: str = "") -> dict[int, PlaceReview]:
        """Return what is said of the patches of a result as evidence for a class.

        Parameters
        ----------
        class_name
            Empty for what was said of patches by their attention.

        Returns
        -------
        By index in ``result.patches``.
        """
        return by_patch(result, [r for r in self.reviews if r.class_name == class_name])

    def mark(
        self, place: Box, verdict: Verdict | None, *, class_name: str = "", view: str = ""
    ) -> None:
        """Give a verdict on a place; None takes it back, and keeps the comment.

        Raises
        ------
        ExportError
            When it cannot be saved; nothing is changed then.
        """
        before = self._at(place, class_name)
        self._say(before, replace(before, verdict=verdict, view=view or before.view))

    def comment(self, place: Box, words: str, *, class_name: str = "", view: str = "") -> None:
        """Write a comment on a place; an empty one removes it.

        Raises
        ------
        ExportError
            When it cannot be saved; nothing is changed then.
        """
        before = self._at(place, class_name)
        self._say(before, replace(before, comment=words.strip(), view=view or before.view))

    def undo(self) -> PlaceReview | None:
        """Take the last change back; return what is said of its place now, None if there is none.

        Raises
        ------
        ExportError
            When it cannot be saved; nothing is changed then.
        """
        if not self._undo:
            return None
        before, after = self._undo[-1]
        # what is said again is news, and newer than any file that still has the other
        now = self._exchange(after, replace(before, date=_now()))
        self._redo.append(self._undo.pop())
        return now

    def redo(self) -> PlaceReview | None:
        """Make the change again that was undone last; see `undo`."""
        if not self._redo:
            return None
        before, after = self._redo[-1]
        now = self._exchange(before, replace(after, date=_now()))
        self._undo.append(self._redo.pop())
        return now

    def _at(self, place: Box, class_name: str) -> PlaceReview:
        """Return what is said of a place by now, in other windows too."""
        self._said |= self._store.last_said()
        empty = PlaceReview(place, class_name)
        return self._said.get(empty.key, empty)

    def _exchange(self, old: PlaceReview, new: PlaceReview) -> PlaceReview:
        """Say the new in place of the old; what another window said since stays."""
        now = self._at(old.place, old.class_name)
        if not _says_same(now, old):
            fields = [field for field in _WORDS if getattr(now, field) == getattr(old, field)]
            changes = {field: getattr(new, field) for field in fields}
            new = replace(now, **changes, reviewer=self._who(), date=_now())
        if not _says_same(now, new):
            self._set(new)
        return new

    def _say(self, before: PlaceReview, after: PlaceReview) -> None:
        if _says_same(before, after):
            return
        after = replace(after, reviewer=self._who(), date=_now())
        self._set(after)
        self._undo.append((before, after))
        self._redo.clear()

    def _set(self, review: PlaceReview) -> None:
        self._store.record(review)
        self._said[review.key] = review


def _says_same(one: PlaceReview, other: PlaceReview) -> bool:
    return all(getattr(one, field) == getattr(other, field) for field in _WORDS)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
