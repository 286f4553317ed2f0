"""Marks, undo and redo, and that none of them is ever lost."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_xmag.errors import ConfigError, ExportError, ResultError
from napari_xmag.teach.classifier import fit
from napari_xmag.teach.lesson import Example, Lesson, TaughtClass
from napari_xmag.teach.saved_lesson import load_lesson, save_lesson
from napari_xmag.teach.session import TeachSession
from tests.teach.slides import (
    ORIGIN_X,
    ORIGIN_Y,
    STRIDE_X,
    STRIDE_Y,
    prepared_slide,
    slide_id,
    tissue_kinds,
)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return tmp_path / "lesson.json"


@pytest.fixture
def session(saved: Path) -> TeachSession:
    session = TeachSession(saved)
    session.open_slide(prepared_slide(tissue_kinds()))
    return session


def again(saved: Path) -> TeachSession:
    session = TeachSession(saved)
    session.open_slide(prepared_slide(tissue_kinds()))
    return session


def test_a_click_marks_the_patch_under_it(session: TeachSession) -> None:
    x, y = ORIGIN_X + 5.2 * STRIDE_X, ORIGIN_Y + 3.9 * STRIDE_Y
    (slide,) = session.slides
    patch = slide.patch_at(x, y)
    assert patch is not None
    session.mark(slide_id(), [patch], "Tumor")
    assert (slide.features.columns[patch], slide.features.rows[patch]) == (5, 3)
    assert session.class_of(slide_id(), patch) == "Tumor"
    (example,) = session.lesson.examples
    assert (example.x, example.y) == (ORIGIN_X + 5.5 * STRIDE_X, ORIGIN_Y + 3.5 * STRIDE_Y)


@pytest.mark.parametrize(("column", "row"), [(5, 0), (-3, 4), (99, 4), (5, 99)])
def test_there_is_no_patch_on_glass(session: TeachSession, column: int, row: int) -> None:
    x, y = ORIGIN_X + (column + 0.5) * STRIDE_X, ORIGIN_Y + (row + 0.5) * STRIDE_Y
    assert session.slides[0].patch_at(x, y) is None


def test_a_patch_shows_one_class_and_changes_over(session: TeachSession) -> None:
    session.mark(slide_id(), [3, 4, 5, 4], "Tumor")
    session.mark(slide_id(), [5, 6], "Other")
    names = [session.class_of(slide_id(), patch) for patch in range(3, 8)]
    assert names == ["Tumor", "Tumor", "Other", "Other", None]
    assert len(session.lesson.examples) == 4
    session.erase(slide_id(), [4, 6, 100])
    assert len(session.lesson.examples) == 2


def test_undo_and_redo_walk_through_every_change(session: TeachSession) -> None:
    seen = [session.lesson]
    session.lesson_changed.connect(seen.append)
    session.mark(slide_id(), [1, 2], "Tumor")
    session.add_class("Stroma")
    session.mark(slide_id(), [2], "Stroma")
    session.change_class("Stroma", TaughtClass("Fibrosis", (1, 2, 3)))
    session.erase(slide_id(), [1])
    session.remove_class("Fibrosis")
    done = list(seen)
    for lesson in reversed(done[:-1]):
        session.undo()
        assert session.lesson == lesson
    assert not session.can_undo
    session.undo()
    for lesson in done[1:]:
        session.redo()
        assert session.lesson == lesson
    assert not session.can_redo
    session.undo()
    session.mark(slide_id(), [9], "Other")
    assert not session.can_redo


def test_marking_again_what_is_marked_is_no_change(session: TeachSession) -> None:
    session.mark(slide_id(), [1, 2], "Tumor")
    session.mark(slide_id(), [2], "Tumor")
    session.erase(slide_id(), [50])
    session.undo()
    assert session.lesson == Lesson()


def test_every_change_is_there_in_a_new_session(session: TeachSession, saved: Path) -> None:
    session.mark(slide_id(), [1, 2], "Tumor")
    assert again(saved).lesson == session.lesson
    session.add_class("Nécrose, tumorale")
    session.mark(slide_id(), [7], "Nécrose, tumorale")
    session.undo()
    assert again(saved).lesson == session.lesson == load_lesson(saved)
    assert again(saved).class_of(slide_id(), 2) == "Tumor"


def test_a_full_disk_is_said_and_loses_nothing(
    session: TeachSession, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.mark(slide_id(), [1], "Tumor")

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", full)
        with pytest.raises(ExportError, match="No space left on device"):
            session.mark(slide_id(), [2], "Tumor")
    assert session.class_of(slide_id(), 2) == "Tumor"
    assert len(load_lesson(saved).examples) == 1
    session.mark(slide_id(), [3], "Tumor")
    assert len(load_lesson(saved).examples) == 3


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"format": "napari-xmag lesson", "format_version": 9}',
        '{"format": "napari-xmag lesson", "format_version": 1, "classes": [], "slides": '
        '[{"fingerprint": "a", "image": 1, "examples": [{"class": "X", "x": 1, "y": 2}]}]}',
    ],
)
def test_a_damaged_file_is_refused_and_stays(saved: Path, content: str) -> None:
    saved.write_text(content)
    with pytest.raises(ResultError, match="saved examples"):
        TeachSession(saved)
    assert saved.read_text() == content


@pytest.mark.parametrize("name", ["", "  ", " Tumor", "tumor", "Other", "Not taught", "not Taught"])
def test_a_class_needs_a_name_of_its_own(session: TeachSession, name: str) -> None:
    with pytest.raises(ConfigError, match="name"):
        session.add_class(name)
    with pytest.raises(ConfigError, match="classes"):
        session.mark(slide_id(), [1], "Stroma")


def test_a_renamed_class_takes_its_examples_along(session: TeachSession) -> None:
    session.mark(slide_id(), [1, 2], "Tumor")
    session.change_class("Tumor", TaughtClass("TUMOR", (9, 9, 9)))
    assert session.lesson.class_names == ("TUMOR", "Other")
    assert session.lesson.count("TUMOR") == 2
    with pytest.raises(ConfigError):
        session.change_class("TUMOR", TaughtClass("other", (9, 9, 9)))


def test_examples_on_glass_take_no_part(session: TeachSession) -> None:
    session.mark(slide_id(), [1, 2], "Tumor")
    session.mark(slide_id(), [3], "Other")
    lost = Example(slide_id(), 0.0, 0.0, "Other")
    lesson = session.lesson.with_examples([lost, Example(slide_id("z"), 1, 2, "Tumor")])
    session.add_examples(Lesson((), lesson.examples))
    taught = fit(session.request())
    assert taught.request.lesson is session.lesson  # whole, so that an export loses none
    assert lost in session.lesson.examples
    examples = taught.examples
    assert (len(examples), examples.elsewhere, examples.on_glass) == (3, 1, 1)


def test_classes_have_the_colours_of_qupath(session: TeachSession) -> None:
    assert [kind.color for kind in session.lesson.classes] == [(200, 0, 0), (255, 200, 0)]
    session.add_class("Necrosis")
    session.add_class("Positive")  # near the red of Tumor, but QuPath's
    assert [kind.color for kind in session.lesson.classes[2:]] == [(50, 50, 50), (200, 50, 50)]


def test_no_two_classes_have_nearly_the_same_colour() -> None:
    session = TeachSession()
    for name in ("Fat", "Inflammation", "Fibrosis", "Glands", "Keratin", "Benign", "Normal"):
        session.add_class(name)
    colors = np.array([kind.color for kind in session.lesson.classes], float)
    apart = np.linalg.norm(colors[:, None] - colors, axis=2)
    assert apart[~np.eye(len(colors), dtype=bool)].min() > 60
    again = TeachSession()
    again.add_class("Fat")
    assert again.lesson.colors["Fat"] == session.lesson.colors["Fat"]


def test_slides_of_another_encoder_are_refused(session: TeachSession) -> None:
    with pytest.raises(ResultError, match="one encoder"):
        session.open_slide(prepared_slide(tissue_kinds(), "b", encoder="f"))
    assert len(session.slides) == 1


def test_a_closed_slide_goes_on_teaching(session: TeachSession) -> None:
    session.open_slide(prepared_slide(tissue_kinds(), "b"))
    session.mark(slide_id("a"), [1], "Tumor")
    session.close_slide(slide_id("a"))
    session.close_slide(slide_id("a"))
    request = session.request()
    assert [slide.name for slide in request.slides] == ["b.svs", "a.svs"]
    assert request.opened == 1
    with pytest.raises(ResultError, match="not"):
        session.mark(slide_id("a"), [2], "Tumor")
    session.close_slide(slide_id("b"))
    assert [slide.name for slide in session.request().slides] == ["a.svs"]


def test_the_newest_request_has_the_largest_number(session: TeachSession) -> None:
    numbers = [session.request().number]
    for step in (
        lambda: session.mark(slide_id(), [1], "Tumor"),
        session.undo,
        session.redo,
        lambda: session.open_slide(prepared_slide(tissue_kinds(), "b")),
    ):
        step()
        numbers.append(session.request().number)
    assert numbers == sorted(set(numbers))
    assert session.request().number == numbers[-1]


def test_examples_of_annotations_join_those_that_are_there(session: TeachSession) -> None:
    session.mark(slide_id(), [1, 2], "Tumor")
    other = TeachSession()
    other.open_slide(prepared_slide(tissue_kinds()))
    other.change_class("Tumor", TaughtClass("TUMOR", (1, 1, 1)))
    other.add_class("Stroma")
    other.mark(slide_id(), [2, 3], "Stroma")
    other.mark(slide_id(), [4], "TUMOR")
    session.add_examples(other.lesson)
    found = [session.class_of(slide_id(), patch) for patch in range(1, 5)]
    assert found == ["Tumor", "Stroma", "Stroma", "Tumor"]
    assert session.lesson.class_names == ("Tumor", "Other", "Stroma")
    assert np.isfinite([example.x for example in session.lesson.examples]).all()


def test_a_class_that_was_not_used_yet_takes_the_colour_of_annotations(
    session: TeachSession,
) -> None:
    session.mark(slide_id(), [1], "Other")
    other = TeachSession()
    other.open_slide(prepared_slide(tissue_kinds()))
    other.change_class("Tumor", TaughtClass("TUMOR", (1, 2, 3)))
    other.change_class("Other", TaughtClass("Other", (4, 5, 6)))
    before = session.lesson.colors["Other"]
    session.add_examples(other.lesson)
    assert session.lesson.colors == {"Tumor": (1, 2, 3), "Other": before}


def test_two_windows_lose_no_example_of_each_others(session: TeachSession, saved: Path) -> None:
    prepared = session.slides[0]
    other = TeachSession(saved)
    other.open_slide(prepared)
    session.mark(prepared.id, [0, 1], "Tumor")
    other.mark(prepared.id, [3], "Other")
    other.add_class("Fat")
    session.mark(prepared.id, [2], "Other")
    session.erase(prepared.id, [1])
    session.change_class("Tumor", TaughtClass("Cancer", (1, 2, 3)))

    tomorrow = TeachSession(saved)
    tomorrow.open_slide(prepared)
    shown = {patch: tomorrow.class_of(prepared.id, patch) for patch in range(4)}
    assert shown == {0: "Cancer", 1: None, 2: "Other", 3: "Other"}
    assert sorted(tomorrow.lesson.class_names) == ["Cancer", "Fat", "Other"]
    session.undo()
    assert "Tumor" in TeachSession(saved).lesson.class_names
    assert len(TeachSession(saved).lesson.examples) == 3


@pytest.mark.parametrize("renamed", [True, False])
def test_a_class_that_another_window_took_away_stays_while_it_is_used(
    session: TeachSession, saved: Path, renamed: bool
) -> None:
    session.mark(slide_id(), [1, 2], "Other")
    other = again(saved)
    if renamed:
        other.change_class("Other", TaughtClass("Stroma", (1, 2, 3)))
    else:
        other.remove_class("Other")
    session.mark(slide_id(), [5], "Other")
    session.mark(slide_id(), [6], "Tumor")
    tomorrow = again(saved)
    assert tomorrow.lesson.class_names == ("Tumor", "Other") + ("Stroma",) * renamed
    assert tomorrow.lesson.colors["Other"] == session.lesson.colors["Other"]
    shown = [tomorrow.class_of(slide_id(), patch) for patch in (1, 2, 5, 6)]
    assert shown == ["Stroma" if renamed else None] * 2 + ["Other", "Tumor"]


def test_a_colour_stays_that_another_window_chose(session: TeachSession, saved: Path) -> None:
    other = again(saved)
    other.change_class("Tumor", TaughtClass("Tumor", (9, 9, 9)))
    session.mark(slide_id(), [1], "Tumor")
    assert load_lesson(saved).colors["Tumor"] == (9, 9, 9)
    session.change_class("Tumor", TaughtClass("Tumor", (8, 8, 8)))
    assert load_lesson(saved).colors["Tumor"] == (8, 8, 8)


def test_classes_keep_their_keys_whatever_slides_are_taught_in_turn(
    session: TeachSession, saved: Path
) -> None:
    session.open_slide(prepared_slide(tissue_kinds(), "b"))
    session.mark(slide_id("a"), [1], "Tumor")
    session.mark(slide_id("b"), [1], "Other")
    session.mark(slide_id("a"), [3], "Tumor")
    session.change_class("Tumor", TaughtClass("Cancer", (1, 2, 3)))
    assert load_lesson(saved).class_names == ("Cancer", "Other")
    other = again(saved)
    other.add_class("Fat")
    session.change_class("Cancer", TaughtClass("Tumour", (1, 2, 3)))
    assert load_lesson(saved).class_names == ("Tumour", "Other", "Fat")


def test_slides_taught_in_turn_are_no_change_of_another_window(
    session: TeachSession, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.open_slide(prepared_slide(tissue_kinds(), "b"))
    merged: list[Lesson] = []
    merge = Lesson.with_changes

    def noted(there: Lesson, before: Lesson, after: Lesson) -> Lesson:
        merged.append(there)
        return merge(there, before, after)

    monkeypatch.setattr(Lesson, "with_changes", noted)
    for patch, letter in enumerate("abaab"):
        session.mark(slide_id(letter), [patch], "Tumor")
    assert not merged
    again(saved).mark(slide_id(), [9], "Other")
    session.mark(slide_id(), [8], "Tumor")
    assert len(merged) == 1
    assert len(load_lesson(saved).examples) == 7


def test_changes_of_many_examples_look_at_each_a_few_times(
    session: TeachSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.mark(slide_id(), range(300), "Tumor")
    before = session.lesson
    after = before.with_examples([replace(before.examples[0], x=0.5)])
    there = before.with_examples([replace(before.examples[0], y=0.5)])
    looked: list[Example] = []

    def noted(example: Example) -> int:
        looked.append(example)
        return hash((example.slide, example.x, example.y, example.class_name))

    monkeypatch.setattr(Example, "__hash__", noted)
    assert len(there.with_changes(before, after).examples) == 302
    assert len(looked) < 10 * 300


def test_a_lesson_that_could_not_be_read_again_is_not_written(
    session: TeachSession, saved: Path
) -> None:
    session.mark(slide_id(), [1], "Tumor")
    was = saved.read_bytes()
    unsound = replace(session.lesson, classes=session.lesson.classes[1:])
    with pytest.raises(ExportError, match="Tumor"):
        save_lesson(unsound, saved)
    with pytest.raises(ExportError):
        save_lesson(replace(session.lesson, classes=session.lesson.classes * 2), saved)
    assert saved.read_bytes() == was


def test_a_small_outline_means_the_place_in_which_it_lies() -> None:
    slide = prepared_slide(tissue_kinds())
    x, y = slide.centers[30] + (40, 50)
    small = np.array([(-9.0, -9), (9, -9), (9, 9), (-9, 9)])
    assert slide.patches_inside(small + np.array([x, y])).tolist() == [30]
    assert slide.free_inside(small + np.array([x, y])).tolist() == []
    glass = slide.centers[3] - (0, STRIDE_Y)  # the top row is glass
    assert slide.patches_inside(small + glass + 40).tolist() == []
    np.testing.assert_allclose(slide.free_inside(small + glass + 40), [glass])
    assert len(slide.patches_inside(small - 900)) == 0
    assert len(slide.free_inside(small - 900)) == 0
