"""What was learned: the map's strength, areas of the classes, and how right it is."""

from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QGridLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QLabeledSlider
from superqt.utils import qthrottled

from napari_xmag._gui.shared.section import Words, bold, clear
from napari_xmag._gui.teach.class_panel import SWATCH, swatch
from napari_xmag._gui.teach.state import TeachSlide, TeachState
from napari_xmag.nets.heads.patch_classifier import NOT_TAUGHT
from napari_xmag.teach.areas import ClassArea
from napari_xmag.teach.lesson import Lesson

_PAINT_MS = 50
_START = "The map appears once two classes each have an example."


class AreaTable(QWidget):
    """Area and share of the tissue of each class."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: tuple[Sequence[ClassArea], Lesson] | None = None
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(10)
        self._grid.setVerticalSpacing(2)
        self._grid.setColumnStretch(1, 1)

    def show_areas(self, areas: Sequence[ClassArea], lesson: Lesson) -> None:
        """Show the areas of one slide; patches unlike every example have their own sentence."""
        if (areas, lesson) == self._shown:
            return
        self._shown = areas, lesson
        clear(self._grid)
        colors = lesson.colors
        rows = [area for area in areas if area.class_name != NOT_TAUGHT]
        self.setVisible(bool(rows))
        if rows:
            for column, title in ((2, "Area"), (3, "Share of tissue")):
                self._grid.addWidget(bold(_right(title)), 0, column)
        for number, area in enumerate(rows, 1):
            square = QLabel()
            color = colors.get(area.class_name, (128, 128, 128))
            square.setPixmap(swatch(color).pixmap(SWATCH, SWATCH))
            self._grid.addWidget(square, number, 0)
            self._grid.addWidget(QLabel(area.class_name), number, 1)
            self._grid.addWidget(_right(f"{area.mm2:.2f} mm²"), number, 2)
            share = _right(area_words(area))
            share.setToolTip(
                "The share of the tissue, with a 95 % interval from resampling your examples."
            )
            self._grid.addWidget(share, number, 3)


class LearnedPanel(QWidget):
    """The map, areas and estimate."""

    opacity_set = Signal(float)
    finer_asked = Signal(bool)
    classes_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.words = Words(_START)
        self.opacity = QLabeledSlider(Qt.Orientation.Horizontal)
        self.opacity.setRange(0, 100)
        self.opacity.setToolTip("Opacity of the map.")
        self.opacity.valueChanged.connect(self._set_opacity)
        self.finer = QCheckBox("Finer map")
        self.finer.setToolTip(
            "Encode the slide again, shifted by half a patch, for a map at twice the resolution. "
            "This takes as long as the first encoding; the result is kept."
        )
        self.finer.toggled.connect(self.finer_asked)
        self.areas = AreaTable()
        self.unlike = Words()
        self.estimate = Words()
        self.again = QPushButton("Show the class map again")
        self.again.clicked.connect(self.classes_asked)
        form = QFormLayout()
        form.addRow("Opacity (%)", self.opacity)
        form.addRow(self.finer)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        layout.addWidget(self.words)
        layout.addWidget(self.again)
        layout.addLayout(form)
        layout.addWidget(self.areas)
        layout.addWidget(self.unlike)
        layout.addWidget(self.estimate)

    @qthrottled(timeout=_PAINT_MS)
    def _set_opacity(self, percent: int) -> None:
        self.opacity_set.emit(percent / 100)

    def show_state(self, state: TeachState) -> None:
        """Show what was learned, for the slide in sight."""
        shown = state.current
        self.opacity.blockSignals(True)
        self.opacity.setValue(round(100 * state.opacity))
        self.opacity.blockSignals(False)
        self.finer.blockSignals(True)
        self.finer.setChecked(shown is not None and shown.wants_finer)
        self.finer.blockSignals(False)
        self.finer.setEnabled(shown is not None and shown.prepared is not None)
        self.again.setVisible(state.similar)
        self.words.say(_words(state))
        areas = state.areas.get(shown.id, ()) if shown is not None and shown.id is not None else ()
        self.areas.show_areas(areas, state.lesson)
        self.unlike.say("\n".join(filter(None, (_far_words(state), _unlike_words(areas)))))
        self.estimate.say(_estimate_words(state, shown))


def area_words(area: ClassArea) -> str:
    """Return the share of the tissue with its interval, once that is known."""
    share = f"{100 * area.share:.0f} %"
    if area.low == area.high:
        return share
    return f"{share} ({100 * area.low:.0f}–{100 * area.high:.0f})"


def _words(state: TeachState) -> str:
    if state.similar:
        return "Strong red: similar to the patch that you clicked. Faint blue: dissimilar."
    if state.taught is None:
        return state.problem if state.lesson.examples else _START
    examples = state.taught.examples
    learned = f"Learned from {len(examples)} examples. Stronger colour means higher confidence."
    away = examples.elsewhere
    more = f"{away} more are on slides that are not open." if away else ""
    encoding = any(shown.progress is not None for shown in state.slides)
    lost = "" if encoding else examples.on_glass_words  # what lies there may be encoded just now
    return " ".join(filter(None, (learned, more, lost)))


def _far_words(state: TeachState) -> str:
    """Return what is said of the slide in sight, unless it bears examples by now."""
    slide = state.current.id if state.current is not None else None
    if slide is None or state.taught is None:
        return ""
    bears = any(slide == each.id for each in state.taught.bearing)
    words = "" if bears else state.unlike.get(slide, "")
    return f"⚠  {words}" if words else ""


def _unlike_words(areas: Sequence[ClassArea]) -> str:
    share = sum(area.share for area in areas if area.class_name == NOT_TAUGHT)
    if share < 0.005:
        return ""
    return (
        f"{100 * share:.0f} % of the tissue resembles none of your examples. It is hatched on the "
        "map and suggested first below."
    )


def _estimate_words(state: TeachState, shown: TeachSlide | None) -> str:
    if state.taught is None or shown is None:
        return ""
    return state.estimate.words if state.estimate is not None else "Estimating the accuracy …"


def _right(text: str) -> QLabel:
    label = QLabel(text)
    label.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    return label
