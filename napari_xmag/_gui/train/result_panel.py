"""The result of a training: performance with intervals, mistakes, and the slides behind them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, QUrl, Signal
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_xmag._gui.shared.chooser import Chooser
from napari_xmag._gui.shared.scrolled import scrolled
from napari_xmag._gui.shared.section import ALARM, Words, bold, clear
from napari_xmag._gui.train.confusion import ConfusionMatrix
from napari_xmag.cohort.rows import TEST, TRAIN
from napari_xmag.filenames import REPORT
from napari_xmag.formatting import percent

if TYPE_CHECKING:
    from napari_xmag.train.report.predictions import SlidePrediction
    from napari_xmag.train.report.record import RunRecord

_EMPTY = "Results appear here when training has finished."
_FEW = "⚠  Only {count} slides: too few for a reliable estimate, whatever the intervals show."
_ENOUGH = 20
_PATCHES = "How well the patch evidence shown on the map separates the annotated classes:"
_COLUMNS = ("Slide", "Label", "Predicted", "Probability")
_FIGURES = (
    ("auc", "AUC", "How well the probability separates the classes: 1 is perfect, 0.5 is chance."),
    (
        "balanced_accuracy",
        "Balanced accuracy",
        "Share of correct predictions, averaged over the classes, so that rare classes count as "
        "much as common ones.",
    ),
)


class TrainingResultPanel(QWidget):
    """Shows one training.

    Attributes
    ----------
    open_asked
        Folder of a training to show.
    slide_asked
        Slide to open with its map, and the pixel size that the table gave for it or None.
    use_asked
        The model shall be used in Analyze.
    """

    open_asked = Signal(object)
    slide_asked = Signal(object, object)
    use_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._record: RunRecord | None = None
        self._cell: tuple[str, str] | None = None
        self._listed: list[SlidePrediction] = []
        self.words = Words(_EMPTY)
        self.splits = Chooser(
            "Slides on which the model is evaluated. Only test slides show how it performs on new "
            "patients."
        )
        self.splits.activated.connect(lambda _: self._show_split())
        self.figures = FiguresGrid()
        self.few = Words()
        self.matrix = ConfusionMatrix()
        self.matrix.clicked.connect(self._choose_cell)
        self.listing = Words()
        self.slides = _slides_table()
        self.slides.cellClicked.connect(self._open_slide)
        self.slides.cellActivated.connect(self._open_slide)
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, 6, 0, 0)
        column.setSpacing(6)
        column.addLayout(self._buttons())
        column.addWidget(self.words)
        self.body = QWidget()
        column.addWidget(self.body, 1)
        column.addStretch()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scrolled(inside))
        self._lay_out()
        self.show_record(None)

    def _buttons(self) -> QHBoxLayout:
        self.use = QPushButton("Use in Analyze")
        self.use.setToolTip("Add the model to your models and select it in Analyze slide.")
        self.use.clicked.connect(self.use_asked)
        self.report = QPushButton("Report")
        self.report.setToolTip("Open the report with all results and plots (report.md).")
        self.report.clicked.connect(self._open_report)
        self.open = QPushButton("Open training run …")
        self.open.setToolTip("Show an earlier training run: choose its folder.")
        self.open.clicked.connect(self._open)
        row = QHBoxLayout()
        for button in (self.use, self.report, self.open):
            row.addWidget(button)
        row.addStretch()
        return row

    def _lay_out(self) -> None:
        column = QVBoxLayout(self.body)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        choice = QHBoxLayout()
        choice.addWidget(bold(QLabel("Performance on")))
        choice.addWidget(self.splits, 1)
        column.addLayout(choice)
        column.addWidget(self.figures)
        column.addWidget(self.few)
        column.addWidget(bold(QLabel("Confusion matrix")))
        column.addWidget(self.matrix)
        column.addWidget(self.listing)
        column.addWidget(self.slides, 1)

    # showing

    def show_record(self, record: "RunRecord | None") -> None:
        """Show a training, or that there is none."""
        self._record, self._cell = record, None
        self.body.setVisible(record is not None and bool(record.predictions))
        self.use.setEnabled(record is not None and record.model is not None)
        self.report.setEnabled(record is not None and (record.folder / REPORT).exists())
        self.words.say(_words(record))
        if record is not None and record.predictions:
            names = record.splits
            chosen = TEST if TEST in names else names[-1]
            self.splits.offer([(_split_words(name), name) for name in names], chosen)
            self._show_split()

    def _show_split(self) -> None:
        record, split = self._record, self.splits.currentData()
        if record is None:
            return
        counts = record.confusion(split)
        self.figures.show_metrics(record.metrics.get(split, {}), record.classes)
        self.matrix.show_counts(record.classes, counts.tolist())
        self._cell = None
        count = int(counts.sum())
        self.few.say(_FEW.format(count=count) if count < _ENOUGH else "")
        self._list_slides()

    def _choose_cell(self, truth: str, predicted: str) -> None:
        self._cell = truth, predicted
        self._list_slides()

    def _list_slides(self) -> None:
        record, split = self._record, self.splits.currentData()
        if record is None:
            return
        if self._cell is None:
            found = [item for item in record.predictions if item.split == split]
            wrong = sum(not item.correct for item in found)
            self.listing.say(
                f"{len(found)} slides, {wrong} misclassified. Click a slide to open it."
            )
        else:
            truth, predicted = self._cell
            found = list(record.slides(split, truth, predicted))
            self.listing.say(
                f"{len(found)} slides labelled {truth}, predicted as {predicted}. Click a slide to "
                "open it."
            )
        found.sort(key=lambda item: (item.correct, -max(item.probabilities)))
        self._fill(found, record.classes)

    def _fill(self, found: list["SlidePrediction"], classes: Sequence[str]) -> None:
        self._listed = found
        self.slides.setRowCount(len(found))
        for line, item in enumerate(found):
            chance = item.probabilities[classes.index(item.predicted)]
            texts = (item.slide.name, item.label, item.predicted, percent(chance))
            for column, text in enumerate(texts):
                cell = QTableWidgetItem(text)
                cell.setToolTip(f"{item.slide}\nClick to open it with its heat map.")
                if not item.correct:
                    cell.setForeground(ALARM.lighter(140))
                self.slides.setItem(line, column, cell)

    # acting

    def _open_slide(self, line: int, _: int) -> None:
        item = self._listed[line]
        self.slide_asked.emit(item.slide, item.mpp)

    def _open_report(self) -> None:
        if self._record is not None:
            report = self._record.folder / REPORT
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(report)))

    def _open(self) -> None:
        start = str(self._record.folder) if self._record is not None else ""
        folder = QFileDialog.getExistingDirectory(self, "Folder of a training run", start)
        if folder:
            self.open_asked.emit(Path(folder))


class FiguresGrid(QWidget):
    """Performance on one split, each figure with its interval."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[str, str] = {}
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(12)
        self._grid.setVerticalSpacing(2)
        self._grid.setColumnStretch(0, 1)

    def show_metrics(self, metrics: Mapping[str, Any], classes: Sequence[str]) -> None:
        """Show the figures of metrics.json."""
        clear(self._grid)
        self.lines = {}
        for key, title, tip in _FIGURES:
            low, high = metrics.get("intervals", {}).get(key, (None, None))
            self._add(title, _figure(metrics.get(key), low, high), tip)
        for name in classes[1:] if len(classes) == 2 else classes:
            for key, title, tip in _rates(name):
                rate = metrics.get(key, {}).get(name, {})
                self._add(title, _figure(rate.get("value"), rate.get("low"), rate.get("high")), tip)
        if metrics:
            tip = "Average difference between probability and observed accuracy; 0 is perfect."
            self._add("Calibration error", _figure(metrics.get("error_after"), None, None), tip)
            self._add("Slides", f"{metrics['slides']} ({metrics['patients']} patients)", "")
        if patches := metrics.get("patches"):
            low, high = patches["intervals"]["auc"]
            where = f"{patches['patches']} patches in regions of {patches['slides']} slides"
            self._add("Patch AUC", _figure(patches["auc"], low, high), f"{_PATCHES} {where}.")

    def _add(self, title: str, text: str, tip: str) -> None:
        line = len(self.lines)
        self.lines[title] = text
        name, value = QLabel(title), QLabel(text)
        value.setAlignment(Qt.AlignmentFlag.AlignRight)
        for column, label in enumerate((name, value)):
            label.setToolTip(f"<p>{tip}</p>" if tip else "")
            self._grid.addWidget(label, line, column)


def _rates(name: str) -> tuple[tuple[str, str, str], ...]:
    return (
        (
            "sensitivity",
            f"Sensitivity, {name}",
            f"Share of the slides labelled {name} that are predicted as {name}.",
        ),
        (
            "specificity",
            f"Specificity, {name}",
            f"Share of all other slides that are not predicted as {name}.",
        ),
    )


def _figure(value: float | None, low: float | None, high: float | None) -> str:
    if value is None or value != value:
        return "not available"
    interval = f"  ({low:.2f} to {high:.2f})" if low is not None and low == low else ""
    return f"{value:.3f}{interval}"


def _words(record: "RunRecord | None") -> str:
    if record is None:
        return _EMPTY
    if not record.predictions:
        return f"Training in {record.folder} has not finished yet."
    words = f"{record.folder}. In brackets: 95 % confidence intervals."
    if record.metrics.get("end_to_end_epoch") == 0:
        from napari_xmag.train.report import tables

        words += f" {tables.chosen_epoch(0)}"
    return words


def _split_words(name: str) -> str:
    if name == TRAIN:
        return "training slides (seen during training: not a performance estimate)"
    return f"{name} slides"


def _slides_table() -> QTableWidget:
    table = QTableWidget(0, len(_COLUMNS))
    table.setHorizontalHeaderLabels(_COLUMNS)
    table.verticalHeader().hide()
    table.verticalHeader().setDefaultSectionSize(24)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setTextElideMode(Qt.TextElideMode.ElideMiddle)
    table.setWordWrap(False)
    header = table.horizontalHeader()
    header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
    for column, width in ((1, 88), (2, 88), (3, 84)):
        table.setColumnWidth(column, width)
    table.setMinimumHeight(120)
    return table
