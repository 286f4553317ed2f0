"""Verdicts can be undone, are saved at once, and stay for the next analysis."""

from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from napari_xmag.errors import ExportError
from napari_xmag.review.history import ReviewHistory
from napari_xmag.review.store import ReviewStore
from napari_xmag.review.verdicts import PlaceReview, Verdict, last_words
from tests.analyze.test_result import make_result

RESULT = make_result()
PLACE = RESULT.patches.box


@pytest.fixture
def store(tmp_path: Path) -> ReviewStore:
    return ReviewStore("abc", tmp_path)


@pytest.fixture
def history(store: ReviewStore) -> ReviewHistory:
    return ReviewHistory(store, lambda: "Dr. A")


def verdicts(history: ReviewHistory, class_name: str = "") -> dict[int, Verdict | None]:
    return {patch: said.verdict for patch, said in history.of(RESULT, class_name).items()}


def test_each_change_is_saved_at_once(history: ReviewHistory, store: ReviewStore) -> None:
    history.mark(PLACE(4), Verdict.RIGHT, class_name="malignant", view="evidence")
    history.comment(PLACE(4), "  a gland ", class_name="malignant")
    (said,) = store.reviews()
    assert (said.verdict, said.comment, said.view) == (Verdict.RIGHT, "a gland", "evidence")
    assert said.reviewer == "Dr. A"
    assert said.date.startswith("20")
    assert ReviewHistory(store).reviews == history.reviews


def test_classes_are_judged_apart(history: ReviewHistory) -> None:
    history.mark(PLACE(4), Verdict.RIGHT, class_name="malignant")
    history.mark(PLACE(4), Verdict.WRONG, class_name="benign")
    assert verdicts(history, "malignant") == {4: Verdict.RIGHT}
    assert verdicts(history, "benign") == {4: Verdict.WRONG}
    assert verdicts(history) == {}


def test_undo_and_redo(history: ReviewHistory, store: ReviewStore) -> None:
    states = [verdicts(history)]
    for patch, verdict in ((4, Verdict.RIGHT), (5, Verdict.WRONG), (4, Verdict.WRONG), (4, None)):
        history.mark(PLACE(patch), verdict)
        states.append(verdicts(history))
    assert states[-1] == {5: Verdict.WRONG}
    for state in reversed(states[:-1]):
        assert history.undo() is not None
        assert verdicts(history) == verdicts(ReviewHistory(store)) == state
    assert (history.undo(), history.can_undo, history.can_redo) == (None, False, True)
    for state in states[1:]:
        assert history.redo() is not None
        assert verdicts(history) == verdicts(ReviewHistory(store)) == state
    assert (history.redo(), history.can_redo) == (None, False)


def test_what_is_undone_is_newer_than_an_export(
    history: ReviewHistory, store: ReviewStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = count()
    monkeypatch.setattr("napari_xmag.review.history._now", lambda: f"2026-01-{next(seconds):05}")
    history.mark(PLACE(4), Verdict.RIGHT)
    history.mark(PLACE(4), Verdict.WRONG)

    def exported_again(before: tuple[PlaceReview, ...]) -> list[Verdict | None]:
        return [said.verdict for said in last_words(before, store.reviews()).values()]

    exported = store.reviews()
    history.undo()
    assert exported_again(exported) == [Verdict.RIGHT]
    exported = store.reviews()
    history.redo()
    assert exported_again(exported) == [Verdict.WRONG]


def test_a_new_verdict_ends_what_was_undone(history: ReviewHistory) -> None:
    history.mark(PLACE(4), Verdict.RIGHT)
    history.undo()
    history.mark(PLACE(5), Verdict.RIGHT)
    assert history.redo() is None
    assert verdicts(history) == {5: Verdict.RIGHT}


def test_saying_the_same_again_is_no_change(history: ReviewHistory) -> None:
    history.mark(PLACE(4), Verdict.RIGHT)
    history.mark(PLACE(4), Verdict.RIGHT)
    history.undo()
    assert not history.can_undo


def test_taking_a_verdict_back_keeps_the_comment(history: ReviewHistory) -> None:
    history.mark(PLACE(4), Verdict.RIGHT)
    history.comment(PLACE(4), "a fold")
    history.mark(PLACE(4), None)
    assert [(said.verdict, said.comment) for said in history.reviews] == [(None, "a fold")]
    history.comment(PLACE(4), "")
    assert history.reviews == ()


def test_a_rerun_on_another_grid_keeps_what_was_said(history: ReviewHistory) -> None:
    history.mark(PLACE(14), Verdict.WRONG)
    table = RESULT.patches
    moved = replace(RESULT, patches=replace(table, x=table.x + 100, y=table.y - 90))
    assert {patch: said.verdict for patch, said in history.of(moved).items()} == {14: Verdict.WRONG}


def test_what_cannot_be_saved_is_not_shown_as_said(
    history: ReviewHistory, store: ReviewStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object) -> None:
        raise ExportError(expected="room", found="none", hint="Make some.")

    monkeypatch.setattr(store, "record", full)
    with pytest.raises(ExportError):
        history.mark(PLACE(4), Verdict.RIGHT)
    assert (history.reviews, history.can_undo) == ((), False)


def test_two_windows_take_in_what_the_other_says_of_a_place(store: ReviewStore) -> None:
    one, other = ReviewHistory(store, lambda: "A"), ReviewHistory(store, lambda: "B")
    one.mark(PLACE(4), Verdict.RIGHT)
    other.comment(PLACE(4), "mitosis")
    one.mark(PLACE(4), Verdict.WRONG)
    said = ReviewHistory(store).of(RESULT)[4]
    assert (said.verdict, said.comment) == (Verdict.WRONG, "mitosis")
    for undo, words in (
        (other.undo, (Verdict.WRONG, "")),
        (one.undo, (Verdict.RIGHT, "")),
        (other.redo, (Verdict.RIGHT, "mitosis")),
        (one.redo, (Verdict.WRONG, "mitosis")),
    ):
        undo()
        now = ReviewHistory(store).of(RESULT)[4]
        assert (now.verdict, now.comment) == words


def test_what_another_window_said_since_is_not_undone(store: ReviewStore) -> None:
    one, other = ReviewHistory(store, lambda: "A"), ReviewHistory(store, lambda: "B")
    one.mark(PLACE(4), Verdict.RIGHT)
    other.mark(PLACE(4), Verdict.WRONG)
    one.undo()
    assert verdicts(ReviewHistory(store)) == verdicts(one) == {4: Verdict.WRONG}
