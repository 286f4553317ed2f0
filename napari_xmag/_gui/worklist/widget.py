"""Plugins > XMAG > Worklist: many slides, one after another."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import napari
from qtpy.QtCore import QModelIndex, QSize, Qt, QTimer
from qtpy.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QGridLayout,
    QHeaderView,
    QMessageBox,
    QPushButton,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from napari_xmag._about import NOTICE
from napari_xmag._gui.analyze.tasks import Analysis
from napari_xmag._gui.shared.canvas_keys import CanvasKey, CanvasKeys
from napari_xmag._gui.shared.jobs import Jobs
from napari_xmag._gui.shared.neighbour import (
    WORKLIST,
    AnalyzeDesk,
    BesideAnalyze,
    MadeResult,
    find_analyze,
    open_analyze,
)
from napari_xmag._gui.shared.notices import tell, tell_error, tell_written
from napari_xmag._gui.shared.pictures import icon_of
from napari_xmag._gui.shared.section import Words, bold
from napari_xmag._gui.worklist import tasks
from napari_xmag._gui.worklist.runner import Runner
from napari_xmag._gui.worklist.table import NameDelegate, WorklistTable
from napari_xmag.errors import SlideOpenError, XmagError
from napari_xmag.filenames import SUMMARY_TABLE
from napari_xmag.review.store import ReviewStore
from napari_xmag.review.worklist import Worklist
from napari_xmag.review.worklist_row import RowKey, RowStatus, WorklistRow

_SOURCES = "Slides, tables, projects and worklists (*);;Worklists (*.json)"
_ROW_PX = 52
_FOLLOW_MS = 3000
"""So often the file of the list is looked at: another window may have written to it."""
_WIDTHS = (130, 76, 90, 104, 92)
"""Of all columns but the last: name, status and prediction lie in sight in a dock of 320 px."""


class WorklistWidget(BesideAnalyze):
    """A list of slides: analyzed in the background, reviewed one after another.

    Parameters
    ----------
    napari_viewer
        Given by napari.
    """

    NAME = WORKLIST

    def __init__(self, napari_viewer: "napari.viewer.Viewer") -> None:
        super().__init__(napari_viewer)
        self.worklist = Worklist()
        self.jobs = Jobs(tell_error)
        self.runner = Runner(self.jobs, self._analysis, tell_error)
        self.runner.changed.connect(self._row_changed)
        self.runner.went_on.connect(self._went_on)
        self.table = WorklistTable(self.worklist)
        self.table.reviewed.connect(self._review)
        self.current: RowKey | None = None
        self._lay_out()
        self.keys = (
            CanvasKey(("W",), "next slide of the worklist", lambda: self.step(1)),
            CanvasKey(("Shift-W",), "previous slide of the worklist", lambda: self.step(-1)),
            CanvasKey(("R",), "mark as reviewed, or as not reviewed", self.toggle_reviewed),
        )
        self._canvas_keys = CanvasKeys(
            napari_viewer, self.keys, self, lambda: len(self.worklist) > 0
        )
        self._show_counts()
        self._clock = QTimer(self)
        self._clock.timeout.connect(self.follow)
        self._clock.start(_FOLLOW_MS)

    # layout

    def _lay_out(self) -> None:
        self.view = QTableView()
        self.view.setModel(self.table)
        self.view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.view.setIconSize(QSize(tasks.THUMBNAIL_PX, tasks.THUMBNAIL_PX))
        self.view.verticalHeader().setVisible(False)
        # One height for all: a thousand rows are not measured one by one.
        self.view.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.view.verticalHeader().setDefaultSectionSize(_ROW_PX)
        self.view.horizontalHeader().setStretchLastSection(True)
        self.view.horizontalHeader().setSortIndicator(3, Qt.SortOrder.DescendingOrder)
        for column, width in enumerate(_WIDTHS):
            self.view.setColumnWidth(column, width)
        self.view.setItemDelegateForColumn(0, NameDelegate(self.view))
        self.view.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.view.setSortingEnabled(True)
        self.view.activated.connect(self._activated)
        self.words = Words()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 4, 8, 4)
        layout.setSpacing(4)
        for widget in (self._buttons(), self.words, self.view, bold(Words(NOTICE))):
            layout.addWidget(widget, 1 if widget is self.view else 0)
        self.setMinimumWidth(320)

    def _buttons(self) -> QWidget:
        panel = QWidget()
        grid = QGridLayout(panel)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        choices: tuple[tuple[str, str, Callable[[], None]], ...] = (
            ("Add …", "Add slides, a table, a QuPath project or a list.", self._ask_add),
            ("Add folder …", "Add all slides of a folder.", self._ask_folder),
            (
                "Save list …",
                "Save the list. Later changes are then saved automatically.",
                self._ask_save,
            ),
            ("Run", "Analyze the waiting slides in the background.", self.run_or_pause),
            ("Retry failed", "Queue the failed slides again.", self.retry),
            ("Summary …", "Save the list as a table.", self._ask_summary),
        )
        self.buttons: dict[str, QPushButton] = {}
        for place, (text, tip, act) in enumerate(choices):
            button = QPushButton(text)
            button.setToolTip(tip)
            button.clicked.connect(partial(_call, act))
            self.buttons[text] = button
            grid.addWidget(button, place // 3, place % 3)
        return panel

    def sizeHint(self) -> QSize:
        """Ask for room for the columns."""
        return QSize(420, 420)

    # rows

    def add_slides(self, sources: Sequence[Path]) -> None:
        """Add what files, folders, tables, projects and lists name; the first list is followed."""
        lists = [path for path in sources if path.suffix.lower() == ".json"]
        if len(self.worklist) == 0 and len(sources) == len(lists) == 1:
            self._load(lists[0])
            return
        self.jobs.start(tasks.find_rows(sources), self._found, self._show_counts)

    def _load(self, path: Path) -> None:
        try:
            self.worklist = Worklist.load(path)
        except XmagError as error:
            tell_error(error)
            return
        self.table.show_list(self.worklist)
        self._rows_came(self.worklist.rows)

    def _found(self, event: object) -> None:
        if isinstance(event, tuple):
            before = len(self.worklist)
            self._safely(lambda: self.worklist.add(event))
            if len(self.worklist) == before:
                tell("No new slides were found: all are already in the list.")
            self._rows_came(event)
        else:
            self._show_counts("Looking for slides …")

    def follow(self) -> None:
        """Show what other windows did to the list's file, and what was analyzed beside it."""
        desk = find_analyze(self.main_window())
        if desk is not None:
            for made in desk.take_made():
                self._safely(partial(self._take_in, desk, made))
        known = {row.key for row in self.worklist.rows}
        if self.worklist.follow():
            self._rows_came([row for row in self.worklist.rows if row.key not in known])

    def _take_in(self, desk: AnalyzeDesk, made: MadeResult) -> None:
        """Take in a result of a slide that failed, or that waits, where the run would make it."""
        rows = (row for row in self.worklist.showing(made.picture) if not row.entry)
        row = next(rows, None)
        if row is None or row.status not in (RowStatus.WAITING, RowStatus.FAILED):
            return
        result = ReviewStore(made.fingerprint).load_result(made.id)
        if row.status is RowStatus.FAILED or tasks.is_as_run(result, desk.model_digest()):
            self.worklist.finish(row.key, result, made.id)
            self._rows_came([])

    def _rows_came(self, rows: Sequence[WorklistRow]) -> None:
        self.table.refresh()
        self._show_counts()
        self.jobs.start(tasks.thumbnails(rows, self.worklist), self._pictured)

    def _pictured(self, event: object) -> None:
        if isinstance(event, tasks.Thumbnail):
            self.table.show_thumbnail(event.key, icon_of(event.pixels))

    # going through it

    def step(self, by: int) -> bool:
        """Open the next slide of the list, or the previous one."""
        row = self.worklist.neighbour(self.current, by, self.table.rows)
        if row is None:
            left = sum(not row.reviewed for row in self.worklist.rows)
            words = f" Not marked as reviewed: {left}." if left else ""
            tell(f"This is the end of the worklist.{words}")
            return True
        self.show_row(row)
        return True

    def show_row(self, row: WorklistRow) -> None:
        """Bring a slide in sight, in place of the one before; what was said of that is saved.

        Where it cannot be opened, the one before goes all the same: it is another slide.
        """
        desk = open_analyze(self.viewer, self.main_window())
        before, self.current = self.current, row.key
        chosen = self._safely(lambda: self._choose_own_result(row))
        with suppress(SlideOpenError):  # it was told
            desk.show_slide(*row.picture)
        if before is not None and not row.shows(before[:2]):
            desk.close_slide(*before[:2])
        elif chosen and before is not None:
            desk.reload(*row.picture)
        self.view.selectRow(self.table.place_of(row.key))
        window = self.main_window()
        if window is not None:
            window.setFocus()  # napari hands keys that reach its window to the canvas

    def _choose_own_result(self, row: WorklistRow) -> None:
        """Of several images that show one picture, let each come with its own result."""
        if not row.result:
            return
        same = (
            other.picture == row.picture
            or (other.fingerprint == row.fingerprint and other.shows(row.picture))
            for other in self.worklist.rows
        )
        if sum(same) > 1:
            ReviewStore(row.fingerprint).show_next(row.result)

    def toggle_reviewed(self) -> bool:
        """Tick the slide in sight, or take the tick back."""
        key = self._in_sight()
        if key is None:
            tell("The slide in view is not in the worklist.")
        else:
            self._review(key, not self.worklist[key].reviewed)
        return True

    def _in_sight(self) -> RowKey | None:
        """Return the row of the slide in sight; where none is, that of one that cannot be shown."""
        desk = find_analyze(self.main_window())
        shown = desk.in_sight() if desk is not None else None
        current = self.current if self.current in self.worklist else None
        if desk is None or shown is None:
            return current
        if current is not None and self.worklist[current].shows(shown):
            return current
        by_path = next(iter(self.worklist.showing(shown)), None)
        if by_path is not None:
            return by_path.key
        # a copy of it, or one of the files of a DICOM slide that is listed as a folder
        mark = desk.fingerprint_in_sight()
        same = (row.key for row in self.worklist.rows if mark and row.fingerprint == mark)
        return next(same, None)

    def _review(self, key: RowKey, reviewed: bool) -> None:
        self._safely(lambda: self.worklist.mark_reviewed(key, reviewed))
        self.table.refresh()
        self._show_counts()

    def _activated(self, index: QModelIndex) -> None:
        self.show_row(self.table.rows[index.row()])

    # the run

    def run_or_pause(self) -> None:
        """Go through the waiting slides, or stop at once."""
        if self.runner.running:
            self.runner.pause()
        elif self._analysis() is None:
            self._desk()  # comes to the front, with what is missing
            tell(
                "In Analyze slide, choose a model and correct the settings. If the panel has only "
                "just opened, press Run again in a moment."
            )
        else:
            self.runner.worklist = self.worklist
            self.runner.start()
        self._show_counts()

    def retry(self) -> None:
        """Queue the failed slides again."""
        self._safely(self.worklist.retry_failed)
        self.table.refresh()
        self._show_counts()

    def _row_changed(self, key: RowKey) -> None:
        self.table.refresh()
        self._show_counts()
        analyze = find_analyze(self.main_window())
        if analyze is not None and key in self.worklist and self.worklist[key].result:
            analyze.reload(*self.worklist[key].picture)

    def _went_on(self, words: str) -> None:
        self._show_counts(words)

    def _show_counts(self, more: str = "") -> None:
        counts = {status: count for status, count in self.worklist.counts().items() if count}
        reviewed = sum(row.reviewed for row in self.worklist.rows)
        parts = [f"{count} {status}" for status, count in counts.items()]
        parts += [f"{reviewed} reviewed"] if reviewed else []
        self.words.say(
            " · ".join([*parts, *([more] if more else [])])
            or "Add slides: files, a folder, a table (CSV, Excel), a QuPath project or a list."
        )
        run = self.buttons["Run"]
        run.setText("Pause" if self.runner.running else "Run")
        run.setEnabled(self.runner.running or self.worklist.next_waiting() is not None)
        self.buttons["Retry failed"].setEnabled(RowStatus.FAILED in counts)

    # files

    def _ask_add(self) -> None:
        names, _ = QFileDialog.getOpenFileNames(self, "Add to the worklist", "", _SOURCES)
        if names:
            self.add_slides([Path(name) for name in names])

    def _ask_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Add the slides of a folder")
        if name:
            self.add_slides([Path(name)])

    def _ask_save(self) -> None:
        name, _ = QFileDialog.getSaveFileName(self, "Save the worklist", "worklist.json", "*.json")
        if name:
            chosen = Path(name)
            # a list is known by its suffix when it is opened again
            named = chosen.suffix.lower() == ".json"
            path = chosen if named else chosen.with_name(f"{chosen.name}.json")
            if named or self._may_replace(path):
                self._safely(lambda: self.worklist.save(path))

    def _may_replace(self, path: Path) -> bool:
        """Ask, where a file has the name that a suffix made: the dialog did not see that one."""
        if path == self.worklist.path or not path.exists():
            return True
        words = f"{path.name} already exists. Do you want to replace it?"
        answer = QMessageBox.question(self, "Save the worklist", words)
        return answer == QMessageBox.StandardButton.Yes

    def _ask_summary(self) -> None:
        name, _ = QFileDialog.getSaveFileName(self, "Save a summary", SUMMARY_TABLE, "*.csv *.xlsx")
        if name:
            path = Path(name)
            if self._safely(lambda: self.worklist.write_summary(path)):
                tell_written(
                    f"A summary of {len(self.worklist)} slides was saved to {path}", {"": path}
                )

    def _safely(self, act: Callable[[], object]) -> bool:
        """Do what writes the list's file; say what went wrong."""
        try:
            act()
        except XmagError as error:
            tell_error(error)
            return False
        return True

    def _analysis(self) -> Analysis | None:
        """Ask *Analyze slide* how slides are analyzed, without bringing it to the front."""
        desk = find_analyze(self.main_window())
        return desk.analysis() if desk is not None else None

    def _desk(self) -> AnalyzeDesk:
        return open_analyze(self.viewer, self.main_window())

    # the end

    def dock_hides(self) -> None:
        """Keep the run going: whoever puts the list away goes on reviewing."""

    def let_go(self) -> None:
        """End all work and let go of the viewer."""
        self._canvas_keys.disconnect()
        self.runner.close()
        self.jobs.stop_all()


def _call(act: Callable[[], None], *_: object) -> None:
    act()
