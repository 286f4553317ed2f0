"""Train, Cancel, Resume; how far it is; how it ended."""

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_xmag._gui.shared.section import ACCENT, ALARM, BUTTON_STYLE, Words, bold, clear
from napari_xmag.progress.events import Progress, RunPlan
from napari_xmag.progress.words import describe_progress, plan_lines

_MOST = 1000  # steps of the bar; Qt's own range ends at 2**31


class MessageBox(QFrame):
    """A line that nobody can miss: news, or an alarm."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("xmagMessage")
        self.words = Words()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 4, 4, 4)
        layout.addWidget(self.words)
        self._said: tuple[str, bool] | None = None
        self.say("", False)

    def say(self, text: str, alarm: bool) -> None:
        """Show a text, nothing where it is empty."""
        if (text, alarm) == self._said:  # a style sheet costs as much as all else in a step
            return
        self._said = text, alarm
        color = (ALARM if alarm else ACCENT).name()
        self.setStyleSheet(f"#xmagMessage {{ border: none; border-left: 4px solid {color}; }}")
        self.words.say(f"⚠  {text}" if alarm and text else text)
        self.setVisible(bool(text))


class TrainRunPanel(QWidget):
    """The buttons and the bar under all pages."""

    train_asked = Signal()
    resume_asked = Signal()
    cancel_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.message = MessageBox()
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(10)
        self.bar.setStyleSheet(f"QProgressBar::chunk {{ background-color: {ACCENT.name()}; }}")
        self.words = Words()
        self.button = bold(QPushButton(), larger=2)
        self.button.setMinimumHeight(38)
        self.button.clicked.connect(self._clicked)
        self.resume = QPushButton("Resume")
        self.resume.setMinimumHeight(38)
        self.resume.clicked.connect(self.resume_asked)
        buttons = QHBoxLayout()
        buttons.addWidget(self.button, 3)
        buttons.addWidget(self.resume, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 2, 0, 2)
        layout.setSpacing(4)
        for widget in (self.message, self.words, self.bar):
            layout.addWidget(widget)
        layout.addLayout(buttons)
        self._running = False
        self._dress(False)
        self.show_progress(None)

    def show_progress(self, progress: Progress | None) -> None:
        """Show how far a training is, or that there is none."""
        if self._running != (progress is not None):
            self._dress(progress is not None)
        self.bar.setVisible(progress is not None)
        self.resume.setVisible(progress is None)
        if progress is None:
            return
        share = progress.share
        self.bar.setRange(0, 0 if share is None else _MOST)  # 0 to 0 moves to and fro
        self.bar.setValue(round(_MOST * (share or 0)))
        self.words.say(describe_progress(progress))

    def allow(self, why_not: str, why_no_resume: str) -> None:
        """Let the buttons be pressed, or say why they cannot."""
        self.button.setEnabled(self._running or not why_not)
        if not self._running:
            self.words.say(why_not)
        tip = "Stop the training. Its last checkpoint is kept." if self._running else why_not
        self.button.setToolTip(tip or "Train a model on these slides.")
        self.resume.setEnabled(not why_no_resume)
        self.resume.setToolTip(
            why_no_resume or "Continue the training in the output folder from its last checkpoint."
        )

    def _dress(self, running: bool) -> None:
        self._running = running
        self.button.setText("Cancel" if running else "Train")
        fill = ALARM if running else ACCENT
        self.button.setStyleSheet(
            BUTTON_STYLE.format(fill=fill.name(), light=fill.lighter(115).name())
        )

    def _clicked(self) -> None:
        (self.cancel_asked if self._running else self.train_asked).emit()


class PlanGrid(QWidget):
    """Facts that a training tells before it starts."""

    def __init__(self) -> None:
        super().__init__()
        self.facts: dict[str, str] = {}
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(14)
        self._grid.setVerticalSpacing(2)
        self._grid.setColumnStretch(1, 1)

    def show_plan(self, plan: RunPlan | None) -> None:
        """Show one line for each fact of a plan."""
        texts = {} if plan is None else plan_lines(plan)
        if texts == self.facts:
            return
        self.facts = texts
        clear(self._grid)
        for line, (name, text) in enumerate(texts.items()):
            label = QLabel(name)
            label.setAlignment(Qt.AlignmentFlag.AlignTop)
            value = Words(text)
            self._grid.addWidget(label, line, 0)
            self._grid.addWidget(value, line, 1)
