"""Which part of the slide is analyzed."""

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_xmag._gui.analyze.state import SlideSession
from napari_xmag._gui.shared.chooser import Chooser
from napari_xmag._gui.shared.section import Words
from napari_xmag.slide.tissue import TissueChoice

_NAMES = {
    TissueChoice.AUTO: "Find tissue automatically",
    TissueChoice.WHOLE: "Whole slide",
    TissueChoice.REGIONS: "Only inside my shapes",
    TissueChoice.PAINTED: "My painted mask",
}
_HINTS = {
    TissueChoice.AUTO: "",
    TissueChoice.WHOLE: "Everything that was scanned, including glass. Takes longer.",
    TissueChoice.REGIONS: "Only tissue inside closed shapes: draw them, or use your shapes layer.",
    TissueChoice.PAINTED: "Edit the mask with the brush and the eraser in the layer controls.",
}


class TissuePanel(QWidget):
    """Chooses the tissue and shows it."""

    chosen = Signal(object)
    show_asked = Signal()
    draw_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.choice = Chooser("Which part of the slide is analyzed.")
        self.choice.offer([(name, choice) for choice, name in _NAMES.items()], TissueChoice.AUTO)
        self.show_button = QPushButton("Show tissue")
        self.show_button.setToolTip(
            "Show the tissue as a layer. Before the analysis, you can paint in missed tissue and "
            "erase what should be left out (pen marks, folds)."
        )
        self.draw_button = QPushButton("Draw regions")
        self.draw_button.setToolTip(
            "Outline regions with mouse clicks; a double click closes the outline."
        )
        self.hint = Words()
        self.choice.activated.connect(
            lambda _: self.chosen.emit(TissueChoice(self.choice.currentData()))
        )
        self.show_button.clicked.connect(self.show_asked)
        self.draw_button.clicked.connect(self.draw_asked)
        buttons = QHBoxLayout()
        buttons.addWidget(self.show_button)
        buttons.addWidget(self.draw_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        layout.addWidget(self.choice)
        layout.addLayout(buttons)
        layout.addWidget(self.hint)

    def show_session(self, session: SlideSession | None) -> None:
        """Show the slide's choice."""
        ready = session is not None and session.slide is not None and session.slide.mpp is not None
        self.setEnabled(ready)
        if session is None:
            return
        self.choice.setCurrentIndex(list(_NAMES).index(session.tissue))
        self.hint.say(_HINTS[session.tissue])
