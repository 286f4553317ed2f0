"""The table of labelled slides in the window: read, checked, edited, saved."""

import shutil
from pathlib import Path

import pytest
from napari.layers import Layer
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QLineEdit

from napari_xmag._gui.reader import read_slides
from napari_xmag._gui.train.cohort_table import COLUMNS, CohortTable
from napari_xmag._gui.train.state import TrainState
from napari_xmag.cohort.cohort import read_cohort
from napari_xmag.cohort.rows import CohortRow
from tests._gui.desk import Desk
from tests.qupath.shapes import annotation, collection, polygon, square, write

pytestmark = [pytest.mark.window, pytest.mark.usefixtures("blank_plots")]


def cell(desk: Desk, place: int, column: str, role: Qt.ItemDataRole) -> object:
    model = desk.widget.cohort.table.cohort
    return model.data(model.index(place, COLUMNS.index(column)), role)


def edit(desk: Desk, place: int, column: str, text: str) -> None:
    """Type into a cell of the table."""
    model = desk.widget.cohort.table.cohort
    model.setData(model.index(place, COLUMNS.index(column)), text)
    desk.wait(lambda: desk.widget.controller.cohort.settled)


def double_click(desk: Desk, place: int, column: str) -> None:
    table = desk.widget.cohort.table
    middle = table.visualRect(table.cohort.index(place, COLUMNS.index(column))).center()
    desk.bot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=middle)
    desk.bot.mouseDClick(table.viewport(), Qt.MouseButton.LeftButton, pos=middle)


@pytest.fixture
def bad_table(tmp_path: Path, cohort_table: Path, no_mpp_slide: Path) -> Path:
    """One good slide, one without pixel size, one that is not there, one line without a slide."""
    table = tmp_path / "bad.csv"
    good = cohort_table.parent / "0.tiff"
    lines = [f"{good},benign", f"{no_mpp_slide},malignant", "gone.svs,malignant", ",benign"]
    table.write_text("slide,label\n" + "\n".join(lines))
    return table


def test_an_empty_table_is_a_hint_and_no_problem(desk: Desk) -> None:
    desk.wait(lambda: desk.widget.state.problems)
    cohort = desk.widget.cohort
    assert cohort.hint.isVisible()
    assert not cohort.problems.isVisible()
    # The hint stands under the buttons, not in the middle of nowhere.
    desk.wait(lambda: cohort.hint.y() < 3 * cohort.open_button.height())


def test_a_good_table_can_be_trained_on(desk: Desk, cohort_table: Path) -> None:
    assert not desk.widget.run.button.isEnabled()
    desk.load(cohort_table)
    panel = desk.widget.cohort
    assert desk.widget.state.problems == ()
    assert panel.summary.text() == "10 slides · no problems found"
    assert desk.widget.run.button.isEnabled()
    # Every slide has a drawn split, and the counts tell the same.
    drawn = desk.widget.state.drawn
    assert len(drawn) == 10
    assert cell(desk, 0, "split", Qt.ItemDataRole.DisplayRole) == drawn[2]
    assert sum(panel.counts.cells.values()) == 10
    assert {label for label, _ in panel.counts.cells} == {"benign", "malignant"}


def test_problems_are_shown_by_row_with_a_remedy(desk: Desk, bad_table: Path) -> None:
    desk.load(bad_table)
    panel, state = desk.widget.cohort, desk.widget.state
    assert [problem.row for problem in state.problems] == [3, 4]
    assert panel.problems.count() == 2
    assert panel.problems.item(1).text() == "row 4: gone.svs does not exist. Correct the path"
    assert cell(desk, 0, "slide", Qt.ItemDataRole.BackgroundRole) is None
    assert cell(desk, 1, "slide", Qt.ItemDataRole.BackgroundRole).alpha() > 0
    assert "states no pixel size" in cell(desk, 1, "slide", Qt.ItemDataRole.ToolTipRole)
    assert not panel.table.isColumnHidden(COLUMNS.index("mpp"))
    assert "row 5: no slide" in panel.note.text()
    assert not desk.widget.run.button.isEnabled()
    assert "problems" in desk.widget.run.words.text()

    panel.problems.itemClicked.emit(panel.problems.item(1))
    assert panel.table.selected_rows() == [4]
    panel.remove_button.click()
    edit(desk, 1, "mpp", "0,5")
    assert state.problems == ()
    assert [row.mpp for row in state.rows] == [None, 0.5]


def test_a_row_is_selected_wherever_the_columns_are(qtbot: QtBot) -> None:
    table = CohortTable()
    qtbot.addWidget(table)
    rows = tuple(CohortRow(number, Path(f"{number}.svs"), "benign") for number in (2, 3, 4))
    table.show_rows(TrainState(rows=rows))
    table.horizontalHeader().setOffset(5000)  # as before the view is laid out, or far to the right
    table.go_to(4)
    assert table.selected_rows() == [4]


def test_the_table_shows_how_many_regions_a_slide_has(
    desk: Desk, cohort_table: Path, tmp_path: Path
) -> None:
    area = annotation(polygon(square(10, 10, 200)), "benign")
    point = annotation({"type": "Point", "coordinates": [400, 400]}, "malignant")
    write(tmp_path / "two.geojson", collection(area, point))
    (tmp_path / "broken.geojson").write_text("{")
    table, slides = tmp_path / "t.csv", cohort_table.parent
    lines = [f"{slides / '0.tiff'},benign,two.geojson", f"{slides / '1.tiff'},malignant,"]
    table.write_text("\n".join(["slide,label,regions", *lines]))
    desk.load(table)
    shown = [cell(desk, place, "regions", Qt.ItemDataRole.DisplayRole) for place in (0, 1)]
    assert shown == ["2", ""]
    edit(desk, 1, "regions", "broken.geojson")
    (problem,) = desk.widget.state.problems
    assert problem.row == 3
    assert "the regions cannot be used: broken.geojson" in problem.words
    # The same file is chosen again, since it was mended.
    write(tmp_path / "broken.geojson", collection(area))
    desk.widget.cohort.table.cohort.edited.emit(3, "regions", str(tmp_path / "broken.geojson"))
    desk.wait(lambda: desk.widget.controller.cohort.settled)
    assert desk.widget.state.problems == ()
    assert cell(desk, 1, "regions", Qt.ItemDataRole.DisplayRole) == "1"
    edit(desk, 1, "regions", "NA")
    assert desk.widget.state.problems == ()


def test_regions_are_chosen_by_a_double_click_and_cleared_by_typing(
    desk: Desk, cohort_table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    area = annotation(polygon(square(10, 10, 200)), "benign")
    file = write(tmp_path / "areas.geojson", collection(area))
    answers, asked = [("", ""), (str(file), "")], []

    def choose(parent: object, title: str, folder: str, kinds: str) -> tuple[str, str]:
        asked.append((title, Path(folder), "*.geojson.gz" in kinds))
        return answers.pop(0)

    monkeypatch.setattr(QFileDialog, "getOpenFileName", choose)
    desk.load(cohort_table)
    table = desk.widget.cohort.table
    assert not table.isColumnHidden(COLUMNS.index("regions"))
    assert table.isColumnHidden(COLUMNS.index("site"))
    for left in (1, 0):  # cancelled, then chosen
        double_click(desk, 0, "regions")
        desk.wait(lambda left=left: len(answers) == left, 10_000)
    desk.wait(lambda: desk.widget.controller.cohort.settled)
    assert asked[0] == ("Regions of 0.tiff", cohort_table.parent, True)
    assert desk.widget.state.rows[0].regions == file
    assert cell(desk, 0, "regions", Qt.ItemDataRole.DisplayRole) == "1"

    table.setCurrentIndex(table.cohort.index(0, COLUMNS.index("regions")))
    desk.bot.keyClick(table, Qt.Key.Key_F2)
    editor = table.findChild(QLineEdit)
    editor.setText("")
    desk.bot.keyClick(editor, Qt.Key.Key_Return)
    desk.wait(lambda: desk.widget.state.rows[0].regions is None)


def test_a_double_click_opens_a_cell_but_that_of_the_slide(desk: Desk, cohort_table: Path) -> None:
    desk.load(cohort_table)
    table = desk.widget.cohort.table
    double_click(desk, 0, "slide")
    assert table.viewport().findChild(QLineEdit) is None
    double_click(desk, 0, "patient")
    desk.wait(lambda: table.viewport().findChild(QLineEdit))


def test_a_copy_of_a_slide_is_told_until_one_of_them_goes(
    desk: Desk, cohort_table: Path, tmp_path: Path
) -> None:
    original = cohort_table.parent / "0.tiff"
    copy = shutil.copy(original, tmp_path / "again.tiff")
    table = tmp_path / "copies.csv"
    other = cohort_table.parent / "1.tiff"
    table.write_text(f"slide,label\n{original},benign\n{other},malignant\n{copy},benign\n")
    desk.load(table)
    panel, state = desk.widget.cohort, desk.widget.state
    words = "row 4: again.tiff is a copy of 0.tiff in row 2. Delete one of them"
    assert [str(problem) for problem in state.problems] == [words]
    assert panel.problems.item(0).text() == words

    panel.table.go_to(2)
    panel.remove_button.click()
    desk.wait(lambda: desk.widget.controller.cohort.settled)
    assert state.problems == ()


def test_a_table_that_cannot_be_read_is_told_in_words(desk: Desk, tmp_path: Path) -> None:
    table = tmp_path / "no.csv"
    table.write_text("picture,class\na,b\n")
    desk.widget.controller.cohort.open_table(table)
    desk.wait(lambda: desk.widget.cohort.note.text() and not desk.widget.state.busy_words)
    assert "No slide and no label" in desk.widget.cohort.note.text()
    assert desk.widget.state.rows == ()


def test_labels_and_patients_are_edited_and_saved(
    desk: Desk, cohort_table: Path, tmp_path: Path
) -> None:
    desk.load(cohort_table)
    edit(desk, 0, "label", "malignant")
    assert any("2 labels" in problem.words for problem in desk.widget.state.problems)
    edit(desk, 0, "patient", "")
    assert [problem.words for problem in desk.widget.state.problems] == ["no patient"]
    edit(desk, 0, "patient", "of its own")
    edit(desk, 1, "split", "test")
    assert desk.widget.state.problems == ()

    saved = tmp_path / "saved.xlsx"
    desk.widget.controller.cohort.save_table(saved)
    again = read_cohort(saved, open_slides=False)
    assert again.rows[0].label == "malignant"
    assert again.rows[0].named_patient == "of its own"
    assert again.rows[1].split == "test"
    assert [row.row for row in desk.widget.state.rows] == [row.row for row in again.rows]
    assert "saved.xlsx" in desk.widget.cohort.note.text()


def test_what_is_no_pixel_size_is_refused(desk: Desk, cohort_table: Path) -> None:
    desk.load(cohort_table)
    edit(desk, 0, "mpp", "40x")
    assert desk.widget.state.rows[0].mpp is None
    assert "“40x” is not a pixel size" in desk.widget.cohort.note.text()
    edit(desk, 0, "mpp", "0,25")
    assert desk.widget.state.rows[0].mpp == 0.25


def test_slides_of_the_viewer_are_added_with_a_label(desk: Desk, cohort_table: Path) -> None:
    slides = [cohort_table.parent / f"{number}.tiff" for number in (0, 1)]
    panel = desk.widget.cohort
    assert not panel.add_button.isEnabled()
    for slide, label in zip(slides, ("benign", "malignant"), strict=True):
        (layer,) = read_slides(slide)
        desk.widget.viewer.add_layer(Layer.create(*layer))
        assert panel.slides.currentData() == slide
        panel.label.setEditText(label)
        panel.add_button.click()
    panel.label.setEditText("other")
    panel.add_button.click()  # the same slide again: its label changes
    found = [(row.slide, row.label) for row in desk.widget.state.rows]
    assert found == [(slides[0], "benign"), (slides[1], "other")]
    assert {panel.label.itemText(i) for i in range(panel.label.count())} == {"benign", "other"}


def test_slides_are_opened_once(
    desk: Desk, cohort_table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_xmag.slide import open as opening

    opened = []
    really = opening.open_slide

    def count(path: Path, **options: object) -> object:
        opened.append(path)
        return really(path, **options)

    monkeypatch.setattr(opening, "open_slide", count)
    desk.load(cohort_table)
    edit(desk, 3, "label", "benign")
    edit(desk, 3, "label", "malignant")
    assert len(opened) == 10


def test_making_example_slides_shows_how_far_it_is_and_can_be_cancelled(
    desk: Desk, tmp_path: Path
) -> None:
    widget, folder = desk.widget, tmp_path / "examples"
    panel = widget.cohort
    assert not panel.stop_button.isVisible()
    widget.controller.cohort.make_examples(folder)
    desk.wait(lambda: widget.state.made and widget.state.made[0] >= 1)
    assert panel.making.isVisible()
    assert (panel.making.value(), panel.making.maximum()) == widget.state.made
    panel.stop_button.click()
    desk.wait(lambda: widget.controller.cohort.settled)
    made = len(list(folder.glob("*.tif")))
    assert 1 <= made < 32
    assert panel.note.text().startswith("Cancelled.")
    assert "of 32 example slides were created" in panel.note.text()
    assert not panel.stop_button.isVisible()
    assert panel.examples_button.isEnabled()
    assert widget.state.rows == ()
