"""Which slide and encoder, and how far the encoding is."""

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QFormLayout,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_xmag._gui.shared.chooser import Chooser
from napari_xmag._gui.shared.section import Words
from napari_xmag._gui.teach.state import TeachSlide, TeachState


class EncoderPanel(QWidget):
    """Slide, encoder, progress and Cancel."""

    slide_chosen = Signal(object)
    model_chosen = Signal(str)
    encode_asked = Signal()
    cancel_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.slides = Chooser("Slides open in the viewer. All of them teach the same classifier.")
        self.models = Chooser(
            "The model whose encoder is used. Choosing another one re-encodes all slides."
        )
        self.words = Words()
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(8)
        self.button = QPushButton("Cancel")
        self.button.clicked.connect(self._press)
        self.slides.activated.connect(lambda _: self.slide_chosen.emit(self.slides.currentData()))
        self.models.activated.connect(lambda _: self.model_chosen.emit(self.models.currentData()))
        form = QFormLayout()
        form.setVerticalSpacing(5)
        form.addRow("Slide", self.slides)
        form.addRow("Encoder", self.models)
        row = QHBoxLayout()
        row.addWidget(self.bar, 1)
        row.addWidget(self.button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(form)
        layout.addWidget(self.words)
        layout.addLayout(row)

    def show_slides(self, slides: Sequence[TeachSlide], current: TeachSlide | None) -> None:
        """Offer the slides of the viewer."""
        self.slides.offer([(each.layer.name, each) for each in slides], current)
        if not slides:
            self.slides.setPlaceholderText("No slide open")

    def show_models(self, models: Sequence[Any], chosen: str) -> None:
        """Offer the encoders."""
        self.models.offer([(entry.info.display_name, entry.name) for entry in models], chosen)

    def show_progress(self, state: TeachState) -> None:
        """Show how far the slide in sight is."""
        shown = state.current
        progress = shown.progress if shown is not None else None
        self.words.say(_words(state))
        self.bar.setVisible(progress is not None)
        can_encode = shown is not None and bool(shown.problem) and shown.slide is not None
        self.button.setVisible(progress is not None or can_encode)
        self.button.setText("Cancel" if progress is not None else "Encode")
        if progress is not None:
            self.bar.setRange(0, progress.total)
            self.bar.setValue(progress.done)

    def _press(self) -> None:
        (self.cancel_asked if self.button.text() == "Cancel" else self.encode_asked).emit()


_UNUSABLE = "This slide cannot be used for teaching yet."


def _words(state: TeachState) -> str:
    shown = state.current
    if shown is None:
        return "Open a slide: drop its file on the window, or choose File > Open Sample > XMAG."
    if shown.progress is not None:
        of = f": {shown.progress.done} of {shown.progress.total}" if shown.progress.total else " …"
        unit = " tiles" if shown.progress.total else ""
        return f"{shown.progress.stage}{of}{unit}"
    if shown.problem:
        lacks = "Not all examples have been encoded." if shown.prepared is not None else _UNUSABLE
        return f"{lacks} {shown.problem}"
    if shown.prepared is not None:
        return ""
    return "Looking for models …" if not state.model else "Waiting in the queue …"
