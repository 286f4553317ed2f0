"""Teaching as a user does it: clicks, keys, strokes, undo, two slides, tomorrow."""

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from napari import Viewer
from napari.utils.notifications import notification_manager
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QScrollArea

from napari_xmag._gui.analyze.tasks import ModelShelf
from napari_xmag._gui.teach.encode_task import RecentlyEncoded
from napari_xmag._gui.teach.state import TeachSlide, Tool
from napari_xmag.analyze.engine import analyze_slide
from napari_xmag.features.store import FeatureStore, user_store_folder
from napari_xmag.features.writer import FeatureWriter
from napari_xmag.slide.open import open_slide
from napari_xmag.teach.lesson import Example, Lesson
from napari_xmag.teach.saved_lesson import load_lesson, user_lesson
from tests._gui.teach.conftest import (
    BORDER,
    HEIGHT,
    RIM,
    Classroom,
    draw_two_tissues,
    open_classroom,
)
from tests.slides import write_pyramid

pytestmark = pytest.mark.window

Slides = tuple[Path, Path]


def map_color(room: Classroom, x: float, y: float) -> tuple[int, ...]:
    """Return the colour of the map at a place in level-0 pixels, through the layer's own place."""
    shown = room.shown
    assert shown.map_layer is not None
    world = shown.layer.data_to_world((y - 0.5, x - 0.5))
    row, column = (round(v) for v in shown.map_layer.world_to_data(world))
    return tuple(int(v) for v in shown.map_layer.data[row, column])


def counts(lesson: Lesson) -> list[int]:
    return [lesson.count(name) for name in lesson.class_names]


def test_clicks_give_a_map_that_follows_the_tissue(
    classroom: Classroom, two_tissues: Slides
) -> None:
    classroom.open(two_tissues[0])
    assert classroom.widget.learned.words.text().startswith("The map appears once")
    classroom.teach()
    state = classroom.widget.state
    assert counts(state.lesson) == [3, 3]
    first, second = (kind.color for kind in state.lesson.classes)
    for y in (700, 1200):
        assert map_color(classroom, BORDER // 2 + 300, y)[:3] in {first, (90, 90, 90), (0, 0, 0)}
        assert map_color(classroom, 2 * BORDER - 700, y)[:3] in {second, (90, 90, 90), (0, 0, 0)}
    assert map_color(classroom, BORDER // 2, 1000)[:3] == first
    assert map_color(classroom, BORDER + BORDER // 2, 1000)[:3] == second
    assert map_color(classroom, RIM // 2, HEIGHT / 2)[3] == 0  # glass
    areas = {area.class_name: area for area in state.areas[classroom.shown.id]}
    assert abs(sum(area.share for area in areas.values()) - 1) < 1e-6
    assert state.estimate is not None
    assert len(state.suggestions) > 3
    shown, layers = classroom.shown, classroom.viewer.layers
    assert shown.marks_layer is not None
    assert shown.map_layer is not None
    assert layers.index(shown.marks_layer) > layers.index(shown.map_layer)


def test_a_second_click_takes_back_and_undo_brings_back(
    classroom: Classroom, two_tissues: Slides
) -> None:
    classroom.open(two_tissues[0])
    classroom.click(BORDER // 2, 1000)
    assert counts(classroom.widget.state.lesson) == [1, 0]
    classroom.click(BORDER // 2, 1000)
    assert counts(classroom.widget.state.lesson) == [0, 0]
    classroom.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert counts(classroom.widget.state.lesson) == [1, 0]
    modifiers = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    classroom.key(Qt.Key.Key_Z, modifiers)
    assert counts(classroom.widget.state.lesson) == [0, 0]


def test_a_stroke_paints_and_erases_over_several_patches(
    classroom: Classroom, two_tissues: Slides
) -> None:
    shown = classroom.open(two_tissues[0])
    before = tuple(classroom.viewer.scene.camera.center)
    classroom.drag((500, 1000), (1300, 1000))
    painted = counts(classroom.widget.state.lesson)[0]
    assert shown.prepared is not None
    assert painted >= 800 / shown.prepared.features.stride_x
    assert tuple(classroom.viewer.scene.camera.center) == before  # the slide did not move
    assert shown.marks_layer is not None
    assert len(shown.marks_layer.data) == painted
    classroom.key(Qt.Key.Key_E)
    classroom.drag((500, 1000), (1300, 1000))
    assert counts(classroom.widget.state.lesson) == [0, 0]
    classroom.widget.controller.undo()
    assert counts(classroom.widget.state.lesson)[0] == painted


def test_a_click_on_glass_is_told(
    classroom: Classroom, two_tissues: Slides, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr("napari_xmag._gui.teach.controller.tell", told.append)
    classroom.open(two_tissues[0])
    classroom.click(RIM / 2, HEIGHT / 2)
    assert counts(classroom.widget.state.lesson) == [0, 0]
    assert "no tissue" in told[0]


def test_an_example_where_no_tissue_is_found_any_more_does_not_count(
    classroom: Classroom, two_tissues: Slides
) -> None:
    shown = classroom.open(two_tissues[0])
    assert shown.id is not None
    lost = Example(shown.id, -5.0, HEIGHT / 2, "Tumor")  # another encoder's patch may lie there
    classroom.widget.controller.session.add_examples(Lesson((), (lost,)))
    classroom.settle()
    words = classroom.widget.learned.words.text()
    assert "none yet" in words
    assert "1 example does not count: no tissue was found there" in words
    classroom.click(BORDER // 2, 1000)
    classroom.widget.controller.take_class(2)
    classroom.click(BORDER + BORDER // 2, 1000)
    classroom.settle()
    assert "Learned from 2 examples" in classroom.widget.learned.words.text()
    assert "1 example does not count" in classroom.widget.learned.words.text()


def test_one_class_only_is_said(classroom: Classroom, two_tissues: Slides) -> None:
    classroom.open(two_tissues[0])
    classroom.click(BORDER // 2, 1000)
    classroom.settle()
    assert "two classes" in classroom.widget.learned.words.text()
    assert classroom.shown.map_layer is None
    # All of it lies in the narrowest dock, beside the bar that scrolls it.
    scroll = classroom.widget.findChildren(QScrollArea)[0]
    assert scroll.widget().minimumSizeHint().width() <= classroom.widget.minimumWidth() - 15


def test_a_full_disk_is_told_and_costs_neither_slide_nor_click(
    classroom: Classroom, two_tissues: Slides, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    for module in ("controller", "encoding"):
        name = f"napari_xmag._gui.teach.{module}.tell_error"
        monkeypatch.setattr(name, lambda error: told.append(str(error)))
    state, controller = classroom.widget.state, classroom.widget.controller
    with monkeypatch.context() as disk:
        disk.setattr(FeatureWriter, "_open", full)
        classroom.viewer.open(two_tissues[0], plugin="napari-xmag")
        classroom.wait(lambda: state.current and state.current.problem)
        assert "No space left on device" in classroom.shown.problem
        classroom.wait(lambda: not controller.encoding.busy)
    controller.encode()  # as the button does, once there is room again
    classroom.wait(lambda: classroom.shown.prepared is not None)
    classroom.settle()
    with monkeypatch.context() as disk:
        disk.setattr(Path, "write_text", full)
        classroom.click(BORDER // 2, 1000)
    assert ["No space left on device" in words for words in told] == [True, True]
    assert counts(state.lesson) == [1, 0]
    classroom.key(Qt.Key.Key_2)
    classroom.click(BORDER + BORDER // 2, 1000)
    assert counts(load_lesson(user_lesson())) == [1, 1]


def test_a_region_makes_all_its_patches_examples(classroom: Classroom, two_tissues: Slides) -> None:
    shown = classroom.open(two_tissues[0])
    classroom.widget.classes.region.click()
    assert shown.region_layer is not None
    corners = np.array([[500, 500], [500, 1200], [1200, 1200], [1200, 500.0]])
    shown.region_layer.add(corners, shape_type="polygon")
    assert shown.prepared is not None
    middles = shown.prepared.centers
    inside = ((middles > 500) & (middles < 1200)).all(1).sum()
    assert counts(classroom.widget.state.lesson) == [inside, 0]
    assert shown.region_layer is None


def test_a_region_without_tissue_is_encoded_and_counts_today_and_tomorrow(
    classroom: Classroom, two_tissues: Slides, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr("napari_xmag._gui.teach.region_drawing.tell", told.append)
    shown = classroom.open(two_tissues[0])
    control, state = classroom.widget.controller, classroom.widget.state
    assert shown.prepared is not None
    before = len(shown.prepared.features)
    glass = RIM / 2, HEIGHT / 2
    assert shown.prepared.patch_at(*glass) is None
    classroom.click(BORDER // 2, 1000)
    control.take_class(2)
    classroom.widget.classes.region.click()
    assert shown.region_layer is not None
    corners = np.array([[600, 5], [600, 250], [1400, 250], [1400, 5.0]])
    shown.region_layer.add(corners, shape_type="polygon")
    shown_there = counts(state.lesson)[1]
    assert shown_there > 0
    assert counts(load_lesson(user_lesson())) == [1, shown_there]
    classroom.wait(lambda: len(shown.prepared.features) > before)
    classroom.settle()
    assert f"{shown_there} patch" in told[0]
    assert "does not count" not in classroom.widget.learned.words.text()
    assert f"Learned from {1 + shown_there} examples" in classroom.widget.learned.words.text()
    assert map_color(classroom, *glass)[:3] == state.lesson.classes[1].color
    # what was cancelled is taken up again
    control.undo()
    control.encoding._recent = RecentlyEncoded()
    classroom.settle()
    control.redo()
    control.encoding.cancel()
    classroom.settle()
    assert len(shown.prepared.features) == before
    assert "Press Encode" in classroom.widget.encoder.words.text()
    classroom.widget.encoder.button.click()
    classroom.settle()
    assert len(shown.prepared.features) == before + shown_there
    # it is tissue as long as it is shown
    for change, count in ((control.undo, before), (control.redo, before + shown_there)):
        change()
        classroom.settle()
        assert len(shown.prepared.features) == count
        assert shown.prepared.tissue.sum() == pytest.approx(count, abs=0.5)
    control.start_over()
    classroom.settle()
    assert len(shown.prepared.features) == before
    classroom.viewer.layers.remove(shown.layer)
    classroom.wait(lambda: not state.slides)
    shown = classroom.open(two_tissues[0])
    assert shown.prepared is not None
    assert len(shown.prepared.features) == before
    control.undo()
    classroom.settle()
    assert len(shown.prepared.features) == before + shown_there
    # where the features were removed meanwhile, the examples have their places encoded again
    control.encoding._recent = RecentlyEncoded()
    FeatureStore(user_store_folder(), 0).make_room()
    classroom.viewer.layers.remove(shown.layer)
    classroom.wait(lambda: not state.slides)
    again = classroom.open(two_tissues[0])
    assert again.prepared is not None
    assert len(again.prepared.features) == before + shown_there
    classroom.settle()


def test_a_slide_that_is_open_twice_stays_when_one_copy_is_closed(
    classroom: Classroom, two_tissues: Slides, tmp_path: Path
) -> None:
    shown = classroom.open(two_tissues[0])
    copy = classroom.open(Path(shutil.copy(two_tissues[0], tmp_path / "copy.tiff")))
    assert copy.id == shown.id
    classroom.viewer.layers.remove(shown.layer)
    classroom.wait(lambda: classroom.widget.state.slides == (copy,))
    classroom.click(BORDER // 2, 1000)
    classroom.settle()
    assert counts(classroom.widget.state.lesson) == [1, 0]
    classroom.viewer.layers.remove(copy.layer)
    classroom.wait(lambda: not classroom.widget.state.slides)
    assert classroom.widget.controller.session.slides == ()


def test_a_finer_map_is_made_when_asked_for(classroom: Classroom, two_tissues: Slides) -> None:
    shown = classroom.open(two_tissues[0])
    box = classroom.widget.learned.finer
    assert box.isEnabled()
    classroom.teach()
    assert shown.map_layer is not None
    place = shown.map_layer.scale.tolist(), shown.map_layer.translate.tolist()
    before = counts(classroom.widget.state.lesson)
    for wanted in (True, False):
        box.click()
        classroom.wait(lambda wanted=wanted: (shown.prepared.finer is not None) == wanted)
        classroom.settle()
        assert shown.map_layer is not None
        assert (shown.map_layer.scale.tolist(), shown.map_layer.translate.tolist()) == place
        first, second = (kind.color for kind in classroom.widget.state.lesson.classes)
        assert map_color(classroom, BORDER // 2, 1000)[:3] == first
        assert map_color(classroom, BORDER + BORDER // 2, 1000)[:3] == second
        assert counts(classroom.widget.state.lesson) == before
        assert shown.prepared is not None
        assert len(classroom.widget.state.taught.shown[shown.id].labels) == len(
            shown.prepared.map_tissue
        )


def test_a_suggestion_is_labelled_by_a_digit(classroom: Classroom, two_tissues: Slides) -> None:
    classroom.open(two_tissues[0])
    classroom.teach()
    button = classroom.widget.strip.buttons[0]
    suggested = button.suggested
    assert suggested is not None
    button.picture.setFocus()
    classroom.bot.keyClick(button.picture, Qt.Key.Key_2)
    assert counts(classroom.widget.state.lesson) == [3, 4]
    assert class_at(classroom, suggested.x, suggested.y) == "Other"
    classroom.settle()
    places = [(each.x, each.y) for each in classroom.widget.state.suggestions]
    assert places
    assert (suggested.x, suggested.y) not in places


def class_at(classroom: Classroom, x: float, y: float) -> str | None:
    shown = classroom.shown
    assert shown.id is not None
    assert shown.prepared is not None
    patch = shown.prepared.patch_at(x, y)
    assert patch is not None
    return classroom.widget.controller.session.class_of(shown.id, patch)


def test_marks_lie_where_they_were_made_though_more_was_encoded_meanwhile(
    classroom: Classroom, two_tissues: Slides
) -> None:
    """The patches of the slide get other numbers under a suggestion and a stroke."""
    shown = classroom.open(two_tissues[0])
    classroom.teach()
    classroom.wait(lambda: classroom.widget.state.suggestions)
    suggested = classroom.widget.strip.buttons[0].suggested
    assert suggested is not None
    session = classroom.widget.controller.session
    start, end = ((RIM + 640.0, y) for y in (600.0, 1300.0))
    QTest.mousePress(classroom.canvas, Qt.MouseButton.LeftButton, pos=classroom.point(*start))
    QTest.mouseMove(classroom.canvas, classroom.point(*end))
    before = shown.prepared
    assert before is not None
    of = before.features
    turned = {name: getattr(of, name)[::-1] for name in ("features", "columns", "rows")}
    features = replace(of, **turned, mark="")
    shown.prepared = replace(before, features=features, tissue=before.tissue[::-1])
    session.open_slide(shown.prepared)
    QTest.mouseRelease(classroom.canvas, Qt.MouseButton.LeftButton, pos=classroom.point(*end))
    for y in (600, 900, 1300):
        assert class_at(classroom, start[0], y) == "Other"
    classroom.widget.controller.label_suggestion(suggested, 1)
    assert class_at(classroom, suggested.x, suggested.y) == "Tumor"
    classroom.settle()


def test_each_class_has_a_button_below_each_suggestion(
    classroom: Classroom, two_tissues: Slides
) -> None:
    classroom.open(two_tissues[0])
    classroom.teach()
    strip, control = classroom.widget.strip, classroom.widget.controller
    low = strip.height()
    kept = list(strip.buttons)
    for number in range(3, 7):
        control.add_class(f"Kind {number}")
    classroom.settle()
    names = [each.accessibleName() for each in strip.buttons[0].classes]
    assert names == [f"Label as {name}" for name in classroom.widget.state.lesson.class_names]
    classes = classroom.widget.state.lesson.classes
    for number, (each, kind) in enumerate(zip(strip.buttons[0].classes, classes, strict=True), 1):
        assert each.text() == str(number)
        assert each.grab().toImage().pixelColor(4, 4).getRgb()[:3] == kind.color
    assert not set(kept) & set(strip.buttons)
    classroom.wait(lambda: strip.height() > low)  # two rows of buttons
    button = strip.buttons[0]
    suggested = button.suggested
    assert suggested is not None
    classroom.bot.mouseClick(button.classes[5], Qt.MouseButton.LeftButton)
    assert class_at(classroom, suggested.x, suggested.y) == "Kind 6"
    classroom.settle()
    assert button in strip.buttons  # shows another place
    assert suggested not in [each.suggested for each in strip.buttons]


def test_find_similar_needs_no_class(classroom: Classroom, two_tissues: Slides) -> None:
    classroom.open(two_tissues[0])
    classroom.key(Qt.Key.Key_F)
    assert classroom.widget.state.tool is Tool.SIMILAR
    classroom.click(BORDER // 2, 1000)
    classroom.settle()
    here = map_color(classroom, BORDER // 2, 1000)
    there = map_color(classroom, BORDER + BORDER // 2, 1000)
    assert here[3] == 255
    assert there[3] < here[3]
    assert counts(classroom.widget.state.lesson) == [0, 0]
    assert classroom.widget.learned.again.isVisible()


def test_a_second_slide_is_mapped_at_once_and_can_be_put_right(
    classroom: Classroom, two_tissues: Slides
) -> None:
    classroom.open(two_tissues[0])
    classroom.teach()
    first = classroom.shown
    second = classroom.open(two_tissues[1])
    classroom.settle()
    assert second.map_layer is not None
    assert second.map_layer.visible
    assert first.map_layer is not None
    assert not first.map_layer.visible
    classroom.click(BORDER // 2, 1000)
    assert len(classroom.widget.state.lesson.slides) == 2
    classroom.viewer.layers.remove(first.layer)
    classroom.settle()
    taught = classroom.widget.state.taught
    assert taught is not None
    assert len(taught.examples) == 7  # those of the slide that is gone still teach


def test_a_slide_unlike_the_one_with_examples_is_told_until_it_bears_some(
    classroom: Classroom, two_tissues: Slides, tmp_path: Path
) -> None:
    picture = draw_two_tissues(3)
    overstained = np.where(picture > 235, picture, picture // 2)
    foreign = write_pyramid(tmp_path / "foreign.tiff", overstained)
    classroom.open(two_tissues[0])
    classroom.teach()
    said = classroom.widget.learned.unlike
    assert "unlike those with examples" not in said.text()
    classroom.open(two_tissues[1])
    classroom.settle()
    assert "unlike those with examples" not in said.text()
    classroom.open(foreign)
    classroom.settle()
    assert "its map may be wrong" in said.text()
    assert said.isVisible()
    out = tmp_path / "exports"
    classroom.widget.controller.export(out)
    classroom.wait(lambda: not classroom.widget.controller.jobs.running)
    with (out / "areas.csv").open(newline="") as stream:
        doubted = {row["slide"] for row in csv.DictReader(stream) if row["warning"]}
    assert doubted == {"foreign.tiff"}
    control = classroom.widget.controller
    control.undo()
    classroom.settle()
    assert "its map may be wrong" in said.text()  # two classes still have examples
    control.remove_class("Other")
    classroom.settle()
    assert classroom.widget.state.taught is None
    assert "its map may be wrong" not in said.text()
    control.undo()
    classroom.wait(lambda: "its map may be wrong" in said.text())
    classroom.click(BORDER // 2, 1000)
    classroom.wait(lambda: "its map may be wrong" not in said.text())


@pytest.fixture
def taught_and_shown(classroom: Classroom, two_tissues: Slides) -> tuple[TeachSlide, TeachSlide]:
    """A slide with examples, and the one in view, to which they are carried."""
    first = classroom.open(two_tissues[0])
    classroom.teach()
    second = classroom.open(two_tissues[1])
    classroom.settle()
    return first, second


def test_examples_of_a_slide_that_is_not_in_view_come_and_go(
    classroom: Classroom, taught_and_shown: tuple[TeachSlide, TeachSlide]
) -> None:
    first, second = taught_and_shown
    control = classroom.widget.controller
    for change, left in ((lambda: control.remove_class("Other"), 3), (control.start_over, 0)):
        change()
        classroom.settle()
        assert second.map_layer is not None
        assert not second.map_layer.data.any()
        control.slides.shown.show(first.layer)
        classroom.settle()
        assert first.marks_layer is not None
        assert len(first.marks_layer.data) == left
        control.slides.shown.show(second.layer)
        classroom.settle()
        control.undo()
        classroom.settle()
        assert not first.marks_layer.visible
        assert second.map_layer.data.any()
    control.slides.shown.show(first.layer)
    classroom.settle()
    assert first.marks_layer.visible
    assert second.marks_layer is None
    assert len({tuple(colour) for colour in first.marks_layer.border_color.round(2)}) == 2
    assert len(first.marks_layer.data) == 6


def test_several_slides_are_encoded_anew_for_another_encoder(
    classroom: Classroom, taught_and_shown: tuple[TeachSlide, TeachSlide]
) -> None:
    first, second = taught_and_shown
    control = classroom.widget.controller
    learned = {each: each.map_layer.data.copy() for each in (first, second) if each.map_layer}
    assert len(learned) == 2
    classroom.widget.state.model = ""
    assert not any(each.map_layer.data.any() for each in learned if each.map_layer)
    classroom.widget.state.model = "tiny"
    classroom.wait(lambda: first.prepared and second.prepared and not control.busy)
    for shown, picture in learned.items():
        assert shown.map_layer is not None
        np.testing.assert_array_equal(shown.map_layer.data, picture)


def test_examples_are_there_tomorrow(
    classroom: Classroom,
    two_tissues: Slides,
    make_napari_viewer: Callable[..., Viewer],
    qtbot: QtBot,
) -> None:
    classroom.open(two_tissues[0])
    classroom.teach()
    colour = map_color(classroom, BORDER // 2, 1000)
    classroom.widget.shut_down()
    viewer = make_napari_viewer(show=True)
    again = open_classroom(viewer, qtbot)
    other = again.open(two_tissues[1])  # the first slide teaches although it is not open
    again.wait(lambda: other.map_layer is not None)
    again.open(two_tissues[0])
    again.settle()
    assert counts(again.widget.state.lesson) == [3, 3]
    # to one step of opacity: the order of the slides moves the last digit of the fit
    assert map_color(again, BORDER // 2, 1000) == pytest.approx(colour, abs=1)
    again.widget.shut_down()


def test_a_saved_model_analyzes_and_exports_can_be_read_again(
    classroom: Classroom, two_tissues: Slides, tmp_path: Path
) -> None:
    classroom.open(two_tissues[0])
    classroom.teach()
    classroom.widget.save.name.setText("Two tissues")
    classroom.widget.save.save.click()
    controller = classroom.widget.controller
    classroom.wait(lambda: not controller.jobs.running)
    model = ModelShelf().open("two-tissues")  # as Analyze slide does
    with open_slide(two_tissues[1]) as slide:
        result = analyze_slide(slide, model)
    assert result.classes[:2] == ("Tumor", "Other")
    middle = result.patches.x + result.patches.width / 2
    said = result.patches.evidence[:, :2].argmax(1)
    sure = np.abs(middle - BORDER) > 400
    assert (said[sure] == (middle > BORDER)[sure]).mean() > 0.95
    out = tmp_path / "exports"
    controller.export(out)
    classroom.wait(lambda: not controller.jobs.running)
    assert {path.name for path in out.iterdir()} == {
        "areas.csv",
        "first-classes.geojson",
        "first-examples.geojson",
    }
    controller.start_over()
    assert counts(classroom.widget.state.lesson) == [0, 0]
    examples = out / "first-examples.geojson"
    content = json.loads(examples.read_text())
    away = content["features"][0]
    content["features"].append(away | {"geometry": away["geometry"] | {"plane": {"z": 2}}})
    examples.write_text(json.dumps(content))
    with notification_manager:
        controller.read_annotations(examples)
        classroom.wait(lambda: counts(classroom.widget.state.lesson) == [3, 3])
    assert any(
        "6 examples were imported; annotations left out: 1 on focal plane z = 2" in said.message
        for said in notification_manager.records
    )
