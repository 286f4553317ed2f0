"""Which slides, with which labels: the table, what is wrong with it, and how many of each."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_xmag._gui.shared.chooser import Chooser, LabelBox
from napari_xmag._gui.shared.file_kinds import GEOJSON
from napari_xmag._gui.shared.section import ALARM, Words, bold, clear
from napari_xmag._gui.train.cohort_table import CohortTable
from napari_xmag._gui.train.state import TrainState
from napari_xmag.cohort.rows import SPLITS, CohortRow
from napari_xmag.filenames import COHORT

_TABLES = "Tables (*.csv *.tsv *.txt *.xlsx);;All files (*)"
_EMPTY = (
    "Open a table (CSV or Excel) with the columns slide and label; patient, split, regions, site "
    "and mpp are optional columns. Or open slides in the viewer and add them one by one. To try "
    "training without slides of your own, create example slides: they are synthetic, and a model "
    "trained on them has no medical use."
)
_LINES_SHOWN = 5
_ROW_ROLE = Qt.ItemDataRole.UserRole


class CohortPanel(QWidget):
    """Edits the cohort.

    Attributes
    ----------
    open_asked, save_asked, examples_asked
        With the path that the user chose.
    stop_asked
        No more example slides are to be made.
    add_asked
        Slide and label.
    """

    open_asked = Signal(object)
    save_asked = Signal(object)
    examples_asked = Signal(object)
    stop_asked = Signal()
    add_asked = Signal(object, str)
    removal_asked = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.hint = Words(_EMPTY)
        self.note = Words()
        self.table = CohortTable()
        self.table.removal_asked.connect(self.removal_asked)
        self.table.regions_asked.connect(self._choose_regions)
        self.problems = QListWidget()
        self.problems.setWordWrap(True)
        self.problems.itemClicked.connect(lambda item: self.table.go_to(item.data(_ROW_ROLE)))
        self.counts = CountsGrid()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 6, 0, 0)
        layout.setSpacing(6)
        layout.addLayout(self._files())
        layout.addLayout(self._progress())
        layout.addWidget(self.hint)
        layout.addWidget(self.table, 1)
        layout.addStretch()  # in place of the table while there is none
        layout.addWidget(self.note)
        layout.addLayout(self._summary())
        layout.addWidget(self.problems)
        layout.addWidget(self.counts)
        layout.addLayout(self._adder())
        self.show_slides((), {})

    def _files(self) -> QHBoxLayout:
        self.open_button = QPushButton("Open table …")
        self.open_button.setToolTip("Read slides and labels from a CSV or Excel table.")
        self.open_button.clicked.connect(self._open)
        self.save_button = QPushButton("Save table …")
        self.save_button.setToolTip("Save slides and labels as a CSV or Excel table.")
        self.save_button.clicked.connect(self._save)
        self.examples_button = QPushButton("Example slides …")
        self.examples_button.setToolTip(
            "Create 32 small synthetic slides of two classes and their table in a folder, to try "
            "out training. They show no disease."
        )
        self.examples_button.clicked.connect(self._examples)
        self.making = QProgressBar()
        self.making.setAccessibleName("Example slides created")
        self.stop_button = QPushButton("Cancel")
        self.stop_button.setToolTip("Create no more example slides; those that exist are kept.")
        self.stop_button.clicked.connect(self.stop_asked)
        for widget in (self.making, self.stop_button):
            widget.hide()
        row = QHBoxLayout()
        for button in (self.open_button, self.save_button, self.examples_button):
            row.addWidget(button)
        row.addStretch()
        return row

    def _progress(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.addWidget(self.making, 1)
        row.addWidget(self.stop_button)
        return row

    def _summary(self) -> QHBoxLayout:
        self.summary = bold(Words())
        self.remove_button = QPushButton("Remove rows")
        self.remove_button.setToolTip(
            "Remove the selected rows from the table. The slide files are not deleted."
        )
        self.remove_button.clicked.connect(
            lambda: self.removal_asked.emit(self.table.selected_rows())
        )
        self.table.selectionModel().selectionChanged.connect(lambda *_: self._select())
        self.remove_button.setEnabled(False)
        row = QHBoxLayout()
        row.addWidget(self.summary, 1)
        row.addWidget(self.remove_button)
        return row

    def _adder(self) -> QGridLayout:
        self.slides = Chooser("A slide that is open in the viewer.")
        self.slides.currentIndexChanged.connect(lambda _: self._suggest())
        self.label = LabelBox("Label of this slide: one of those in use, or a new one.")
        self.label.editTextChanged.connect(lambda _: self._allow_adding())
        self.label.line.setPlaceholderText("label")
        self.label.line.returnPressed.connect(self._add)
        self.add_button = QPushButton("Add")
        self.add_button.setToolTip("Add this slide, with this label, to the table.")
        self.add_button.clicked.connect(self._add)
        grid = QGridLayout()
        grid.setSpacing(6)
        grid.addWidget(bold(QLabel("Add a slide from the viewer")), 0, 0, 1, 3)
        grid.addWidget(self.slides, 1, 0)
        grid.addWidget(self.label, 1, 1)
        grid.addWidget(self.add_button, 1, 2)
        grid.setColumnStretch(0, 3)
        grid.setColumnStretch(1, 2)
        return grid

    # showing

    def show_rows(self, state: TrainState) -> None:
        """Show the rows with all that is known of them."""
        self.table.show_rows(state)
        self.hint.setVisible(not state.rows and not state.busy_words)
        self.table.setVisible(bool(state.rows))
        self.save_button.setEnabled(bool(state.rows))
        self._offer_labels()
        self.show_problems(state)

    def show_problems(self, state: TrainState) -> None:
        """Show problems and counts."""
        self.table.show_problems(state)
        self.problems.clear()
        for problem in state.problems:
            item = QListWidgetItem(str(problem))
            item.setData(_ROW_ROLE, problem.row)
            item.setToolTip("Click to go to the row.")
            self.problems.addItem(item)
        self.problems.setVisible(bool(state.problems and state.rows))  # else the hint says it all
        font, across = self.fontMetrics(), max(self.problems.viewport().width(), 200)
        wide = (font.horizontalAdvance(str(problem)) for problem in state.problems)
        lines = min(sum(1 + width // across for width in wide), _LINES_SHOWN)
        self.problems.setFixedHeight(lines * (font.height() + 4) + 8)
        self.counts.show_state(state)
        self.show_summary(state)

    def show_summary(self, state: TrainState) -> None:
        """Summarise the cohort in one line."""
        count = len(state.problems)
        color = f"color: {ALARM.lighter(140).name()};" if count else ""
        self.summary.setStyleSheet(color)
        self.summary.say(_summary_words(state))
        self.remove_button.setVisible(bool(state.rows))
        words = state.note or state.draw_problem, state.unused
        self.note.say(state.busy_words or "\n".join(filter(None, words)))
        for widget in (self.making, self.stop_button):
            widget.setVisible(state.made is not None)
        done, total = state.made or (0, 0)
        self.making.setRange(0, total)
        self.making.setValue(done)
        for button in (self.open_button, self.examples_button):
            button.setEnabled(not state.busy_words)

    def show_slides(self, slides: Sequence[Path], predicted: dict[Path, str]) -> None:
        """Offer the slides of the viewer, with what a model said of them."""
        self._predicted = predicted
        chosen = slides[-1] if slides else None
        self.slides.offer([(path.name, path) for path in slides], chosen)
        self.slides.setPlaceholderText("" if slides else "No slide open")
        self._suggest()

    def _suggest(self) -> None:
        known = self._predicted.get(self.slides.currentData(), "")
        if known:
            self.label.setEditText(known)
        self._allow_adding()

    def _offer_labels(self) -> None:
        text = self.label.currentText()
        labels = [*self.table.cohort.labels()]
        labels += sorted(set(self._predicted.values()) - set(labels))
        if labels != [self.label.itemText(i) for i in range(self.label.count())]:
            self.label.clear()
            self.label.addItems(labels)
            self.label.setEditText(text)

    def _allow_adding(self) -> None:
        ready = self.slides.currentData() is not None and bool(self.label.currentText().strip())
        self.add_button.setEnabled(ready)

    def _select(self) -> None:
        self.remove_button.setEnabled(bool(self.table.selected_rows()))

    # acting

    def _add(self) -> None:
        if self.add_button.isEnabled():
            self.add_asked.emit(self.slides.currentData(), self.label.currentText().strip())

    def _open(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Table of labelled slides", "", _TABLES)
        if path:
            self.open_asked.emit(Path(path))

    def _save(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self, "Save the table", COHORT, "CSV (*.csv);;Excel (*.xlsx)"
        )
        if path:
            self.save_asked.emit(Path(path))

    def _choose_regions(self, row: CohortRow) -> None:
        beside = (row.regions or row.slide).parent
        name = f"Regions of {row.slide.name}"
        path, _ = QFileDialog.getOpenFileName(self, name, str(beside), GEOJSON)
        if path:
            self.table.cohort.edited.emit(row.row, "regions", path)

    def _examples(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder for the example slides (34 MB)")
        if folder:
            self.examples_asked.emit(Path(folder))


class CountsGrid(QWidget):
    """Slides of each class in each split, and the patients."""

    def __init__(self) -> None:
        super().__init__()
        self.cells: dict[tuple[str, str], int] = {}
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(14)
        self._grid.setVerticalSpacing(2)
        self._shown: object = None

    def show_state(self, state: TrainState) -> None:
        """Count the rows, with the split that would be drawn."""
        splits = {row.row: row.split or state.drawn.get(row.row, "") for row in state.rows}
        cells = Counter((row.label or "no label", splits[row.row]) for row in state.rows)
        self.cells = dict(cells)
        columns = [*SPLITS] if any(splits.values()) else []
        columns += [""] if not all(splits.values()) or not columns else []
        patients = len({row.patient for row in state.rows})
        key = (dict(cells), tuple(columns), patients)
        if key == self._shown:
            return
        self._shown = key
        self._fill(sorted({label for label, _ in cells}), columns, patients)

    def _fill(self, labels: Sequence[str], columns: Sequence[str], patients: int) -> None:
        clear(self._grid)
        self.setVisible(bool(labels))
        if not labels:
            return
        heading = [
            _count(patients, "patient"),
            *(name or "not split yet" for name in columns),
            "total",
        ]
        lines = [heading]
        for label in labels:
            counts = [self.cells.get((label, name), 0) for name in columns]
            lines.append([label, *map(str, counts), str(sum(counts))])
        for line, texts in enumerate(lines):
            for column, text in enumerate(texts):
                cell = QLabel(text)
                side = Qt.AlignmentFlag.AlignRight if column else Qt.AlignmentFlag.AlignLeft
                cell.setAlignment(side)
                cell.setEnabled(line > 0)
                self._grid.addWidget(cell, line, column)
        self._grid.setColumnStretch(0, 1)


def _summary_words(state: TrainState) -> str:
    if not state.rows:
        return ""
    done, total = state.checked
    checking = f", {done} of {total} checked" if done < total else ""
    count = len(state.problems)
    problems = f", {_count(count, 'problem')}" if count else ""
    good = " · no problems found" if not checking and not count else ""
    return f"{_count(len(state.rows), 'slide')}{checking}{problems}{good}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
