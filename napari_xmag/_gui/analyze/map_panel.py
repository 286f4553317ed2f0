"""What the map shows, how strongly, and what it means."""

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget
from superqt import QLabeledSlider
from superqt.utils import qthrottled, signals_blocked

from napari_xmag._gui.analyze.legend import Legend
from napari_xmag._gui.analyze.scores import PatchScores
from napari_xmag._gui.analyze.state import SlideSession, WindowState
from napari_xmag._gui.shared.chooser import Chooser
from napari_xmag._gui.shared.section import Words
from napari_xmag.analyze.heatmap import HeatMapView, MapLook

_PAINT_MS = 50  # a dragged slider moves faster than a large map can be painted
_MOST_CLASSES, _LONGEST_NAME = 2, 14  # what two lines of a narrow panel hold
_VIEWS = {
    HeatMapView.EVIDENCE: "Evidence for a class",
    HeatMapView.RANK: "Attention (rank)",
    HeatMapView.RAW: "Attention (raw)",
}


class MapPanel(QWidget):
    """View, class, opacity, threshold and legend of the map."""

    view_chosen = Signal(object)
    class_chosen = Signal(str)
    opacity_set = Signal(float)
    threshold_set = Signal(float)

    def __init__(self) -> None:
        super().__init__()
        self.views = Chooser("What the colours of the map show (V: next view).")
        self.views.offer([(text, view) for view, text in _VIEWS.items()], HeatMapView.EVIDENCE)
        self.classes = Chooser(
            "Show which patches are evidence for this class, and which are evidence against it."
        )
        self.opacity = _percent_slider(
            "Opacity of the map in percent (keys + and −; M shows or hides the map).", 50
        )
        self.threshold = _percent_slider(
            "Hide patches below this percentage of the colour scale.", 0
        )
        self.legend = Legend()
        self.empty = Words("The heat map fills in while the slide is analyzed.")
        self._controls = QWidget()
        grid = QGridLayout(self._controls)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(3)
        choosers = QHBoxLayout()
        choosers.addWidget(self.views, 3)
        choosers.addWidget(self.classes, 2)
        grid.addLayout(choosers, 0, 0, 1, 4)
        for column, text, slider in (
            (0, "Opacity", self.opacity),
            (2, "Hide below", self.threshold),
        ):
            grid.addWidget(QLabel(text), 1, column)
            grid.addWidget(slider, 1, column + 1)
        grid.setColumnStretch(1, 1)
        grid.setColumnStretch(3, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addWidget(self.empty)
        layout.addWidget(self._controls)
        layout.addWidget(self.legend)
        self._wire()
        self.show_session(None, WindowState(), "")

    def _wire(self) -> None:
        self.views.activated.connect(
            lambda _: self.view_chosen.emit(HeatMapView(self.views.currentData()))
        )
        self.classes.activated.connect(lambda _: self.class_chosen.emit(self.classes.currentData()))
        self.opacity.valueChanged.connect(self._set_opacity)
        self.threshold.valueChanged.connect(self._set_threshold)

    @qthrottled(timeout=_PAINT_MS)
    def _set_opacity(self, percent: int) -> None:
        self.opacity_set.emit(percent / 100)

    @qthrottled(timeout=_PAINT_MS)
    def _set_threshold(self, percent: int) -> None:
        self.threshold_set.emit(percent / 100)

    def show_session(
        self, session: SlideSession | None, state: WindowState, class_name: str
    ) -> None:
        """Show the controls that the slide's map needs."""
        scores = session.scores if session is not None else None
        shown = scores is not None and scores.known > 0
        self.empty.setVisible(not shown)
        self._controls.setVisible(shown)
        self.legend.setVisible(shown)
        if session is None or scores is None or not shown:
            return
        self.views.setCurrentIndex(list(_VIEWS).index(state.view))
        self.classes.offer([(name, name) for name in scores.classes], class_name)
        _set_quietly(self.opacity, round(100 * state.opacity))
        _set_quietly(self.threshold, round(100 * state.threshold))
        look = MapLook(state.view, class_name, state.opacity, state.threshold)
        self.legend.show_map(session, scores, look, _note(session, scores))


def _note(session: SlideSession, scores: PatchScores) -> str:
    if scores.final:
        return ""
    return " – filling in" if session.progress is not None else " – incomplete"


def _set_quietly(slider: QLabeledSlider, value: int) -> None:
    if slider.value() != value:
        with signals_blocked(slider):
            slider.setValue(value)


def _percent_slider(tip: str, value: int) -> QLabeledSlider:
    slider = QLabeledSlider(Qt.Orientation.Horizontal)
    slider.setRange(0, 100)
    slider.setValue(value)
    slider.setToolTip(tip)
    return slider


def hover_words(session: SlideSession, x: float, y: float) -> tuple[str, str]:
    """Return what to say of the patch at a level-0 position, in short and whole; empty on glass.

    Of more than two classes, the short form names the two with the most evidence, for or against.
    """
    scores = session.scores
    patch = scores.patch_at(x, y) if scores is not None else None
    if scores is None or patch is None:
        return "", ""
    head = [
        f"rank {100 * scores.rank[patch]:.0f} %",
        f"attention {100 * scores.attention[patch]:.2g} %",
    ]
    evidence = list(zip(scores.classes, scores.evidence[patch], strict=True))
    first = sorted(evidence, key=lambda of: -abs(of[1]))[:_MOST_CLASSES]
    short = [_evidence(_short(name), value) for name, value in evidence if (name, value) in first]
    more = len(evidence) - len(short)
    short += [f"{more} more"] if more else []
    whole = [_evidence(name, value) for name, value in evidence]
    return " · ".join([*head, *short]), " · ".join([*head, *whole])


def _evidence(name: str, value: float) -> str:
    return f"{name} {value:+.2g}".replace("-", "−")


def _short(name: str) -> str:
    half = _LONGEST_NAME // 2
    return name if len(name) <= _LONGEST_NAME else f"{name[:half]}…{name[-half:]}"


class HoverLine(QLabel):
    """Shows the values of the patch under the mouse, in two lines where one is too short."""

    def __init__(self) -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)
        # the panel is no wider, and no taller, for what the mouse happens to point at
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.say("", "")

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep room for two lines."""
        super().resizeEvent(event)
        self.setMinimumHeight(2 * self.fontMetrics().lineSpacing())

    def say(self, short: str, whole: str) -> None:
        """Show values, all of them as a tooltip; or where to find them."""
        self.setText(short or "Point at the map to see the values of a patch.")
        self.setToolTip(
            whole
            or "The patch under the mouse: rank and share of attention, evidence for each class."
        )
