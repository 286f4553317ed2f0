"""The button that analyzes, and how far it is."""

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_xmag._gui.analyze.state import SlideProgress
from napari_xmag._gui.shared.section import ACCENT, ALARM, BUTTON_STYLE, Words, bold
from napari_xmag.progress.words import duration


class RunPanel(QWidget):
    """*Analyze slide*, which is *Cancel* while it runs."""

    analyze_asked = Signal()
    cancel_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.button = bold(QPushButton(), larger=2)
        self.button.setMinimumHeight(40)
        self.button.clicked.connect(self._clicked)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(10)
        self.bar.setStyleSheet(f"QProgressBar::chunk {{ background-color: {ACCENT.name()}; }}")
        self.words = Words()
        self.words.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 2, 0, 2)
        layout.setSpacing(4)
        layout.addWidget(self.button)
        layout.addWidget(self.bar)
        layout.addWidget(self.words)
        self._running = False
        self._dress(False)
        self.show_progress(None, "")

    def show_progress(self, progress: SlideProgress | None, outcome: str) -> None:
        """Show a run, or that there is none and how the last one ended."""
        if self._running != (progress is not None):
            self._dress(progress is not None)
        self.bar.setVisible(progress is not None)
        if progress is None:
            self.words.say(outcome)
            return
        reading = progress.done > 0 or not progress.stage
        self.bar.setRange(0, progress.total if reading else 0)  # 0 to 0 moves to and fro
        self.bar.setValue(progress.done)
        self.words.say(in_words(progress))

    def allow(self, allowed: bool, why_not: str = "") -> None:
        """Let the button be pressed, or say why it cannot."""
        self.button.setEnabled(allowed or self._running)
        tip = "Run the model on the tissue of this slide (Esc cancels)."
        self.button.setToolTip(tip if allowed else why_not)

    def _dress(self, running: bool) -> None:
        self._running = running
        self.button.setText("Cancel" if running else "Analyze slide")
        fill = ALARM if running else ACCENT
        self.button.setStyleSheet(
            BUTTON_STYLE.format(fill=fill.name(), light=fill.lighter(115).name())
        )

    def _clicked(self) -> None:
        (self.cancel_asked if self._running else self.analyze_asked).emit()


def in_words(progress: SlideProgress) -> str:
    """Return one line, for instance "312 of 1250 tiles · 58 tiles/s · 16 s left"."""
    if progress.total == 0:
        return f"{progress.stage[:1].upper()}{progress.stage[1:]} …"
    if progress.done == 0 and progress.stage:
        return f"{progress.total} tiles planned · {progress.stage} …"
    parts = [f"{progress.done} of {progress.total} tiles"]
    if progress.tiles_per_second > 0:
        rate = progress.tiles_per_second
        parts.append(f"{rate:.0f} tiles/s" if rate >= 10 else f"{rate:.1f} tiles/s")
    if progress.done and progress.done < progress.total:
        parts.append(f"{duration(progress.seconds_left)} left")
    if progress.unreadable:
        parts.append(f"{progress.unreadable} unreadable")
    return " · ".join(parts)
