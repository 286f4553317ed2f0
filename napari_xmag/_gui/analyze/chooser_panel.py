"""Which slide, which model, which device; and the pixel size where the slide has none."""

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QLocale, Signal
from qtpy.QtWidgets import (
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_xmag._gui.analyze.state import SlideSession
from napari_xmag._gui.shared.chooser import Chooser
from napari_xmag._gui.shared.section import Words
from napari_xmag.nets.info import DEVICE_NAMES
from napari_xmag.slide.base import BY_HAND
from napari_xmag.slide.mpp import PLAUSIBLE

_MODEL_TIP = "The model that analyzes the slide."


class PixelSizeField(QDoubleSpinBox):
    """Takes µm per pixel with a point or a comma, whatever the system's language."""

    def __init__(self) -> None:
        super().__init__()
        plain = QLocale.c()
        plain.setNumberOptions(QLocale.NumberOption.RejectGroupSeparator)
        self.setLocale(plain)
        self.setDecimals(4)
        self.setRange(0.0, PLAUSIBLE[1])
        self.setSingleStep(0.05)
        self.setSuffix(" µm per pixel")
        self.setSpecialValueText("not set")

    def validate(self, text: str, position: int) -> Any:
        return super().validate(text.replace(",", "."), position)

    def valueFromText(self, text: str) -> float:
        return super().valueFromText(text.replace(",", "."))


class PixelSizePanel(QWidget):
    """Asks for the pixel size of a slide that states none, and says why."""

    given = Signal(float)

    def __init__(self) -> None:
        super().__init__()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 2, 0, 2)
        self._why = Words()
        self.field = PixelSizeField()
        self.field.setToolTip(
            "Width of one pixel at full resolution: about 0.25 µm for a 40x scan, 0.5 µm for a 20x "
            "scan. The scanner's software or your laboratory can give the exact value."
        )
        self.button = QPushButton("Use")
        self.button.setToolTip("Use this pixel size now and whenever this slide is opened again.")
        self.button.clicked.connect(self._give)
        self.field.valueChanged.connect(lambda value: self.button.setEnabled(value >= PLAUSIBLE[0]))
        row = QHBoxLayout()
        row.addWidget(self.field, 1)
        row.addWidget(self.button)
        layout.addWidget(self._why)
        layout.addLayout(row)
        self.button.setEnabled(False)
        self.hide()

    def show_session(self, session: SlideSession | None) -> None:
        """Show the field where the slide needs it."""
        slide = session.slide if session is not None else None
        by_hand = slide is not None and slide.mpp_source in BY_HAND
        self.setVisible(slide is not None and (slide.mpp is None or by_hand))
        if slide is None:
            return
        if slide.mpp is None:
            self._why.say(
                "This file does not state its pixel size, which the model needs to see the tissue "
                "at the right magnification. Please enter it:"
            )
            self.field.setValue(0.0)
        elif by_hand:
            self._why.say(
                "This file does not state its pixel size. The value below was entered by hand:"
            )
            self.field.setValue(slide.mpp.x)

    def _give(self) -> None:
        if self.field.value() >= PLAUSIBLE[0]:
            self.given.emit(self.field.value())


class ChooserPanel(QWidget):
    """Slide, model and device."""

    slide_chosen = Signal(object)
    model_chosen = Signal(str)
    device_chosen = Signal(str)
    card_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.slides = Chooser(
            "Slides open in the viewer. To open another, drop its file on the window."
        )
        self.models = Chooser(_MODEL_TIP)
        self.devices = Chooser(
            "Where the model runs. Automatic uses a graphics card if there is one."
        )
        self.about_model = Words()
        self.about_slide = Words()
        self.pixel_size = PixelSizePanel()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        # Not a form layout: that one cuts wrapped text in rows that span both columns.
        layout.addLayout(_row("Slide", self.slides))
        layout.addWidget(self.about_slide)
        layout.addWidget(self.pixel_size)
        self.card = QToolButton()
        self.card.setText("Model card")
        self.card.setToolTip(
            "What the model was trained on, how well it performs, and its limitations."
        )
        self.card.clicked.connect(self.card_asked)
        models = _row("Model", self.models)
        models.addWidget(self.card)
        layout.addLayout(models)
        layout.addWidget(self.about_model)
        layout.addLayout(_row("Device", self.devices))
        self.slides.activated.connect(lambda _: self.slide_chosen.emit(self.slides.currentData()))
        self.models.activated.connect(lambda _: self.model_chosen.emit(self.models.currentData()))
        self.devices.activated.connect(
            lambda _: self.device_chosen.emit(self.devices.currentData())
        )

    def show_slides(self, sessions: Sequence[SlideSession], current: SlideSession | None) -> None:
        """Offer the slides of the viewer."""
        self.slides.offer([(session.layer.name, session) for session in sessions], current)
        if not sessions:
            self.slides.setPlaceholderText("No slide open")
        self.show_session(current)

    def show_session(self, session: SlideSession | None) -> None:
        """Say why the slide cannot be analyzed, if so."""
        self.pixel_size.show_session(session)
        if session is None:
            self.about_slide.say(
                "Open a whole slide: drop its file on the window, or choose File > Open Sample > "
                "XMAG."
            )
        elif session.problem:
            self.about_slide.say(f"This slide cannot be analyzed: {session.problem}.")
        elif session.slide is None:
            self.about_slide.say("Opening the slide …")
        else:
            self.about_slide.say(_what_to_know(session))

    def show_models(self, entries: Sequence[Any], chosen: str) -> None:
        """Offer models; those that cannot be used say why instead."""
        usable = [entry for entry in entries if not entry.problem]
        self.models.offer([(entry.info.display_name, entry.name) for entry in usable], chosen)
        self.models.setPlaceholderText("No model installed")
        entry = next((entry for entry in usable if entry.name == chosen), None)
        self.card.setEnabled(entry is not None)
        self.about_model.say(_about(entry) if entry is not None else "")
        broken = "\n".join(f"{e.name}: {e.problem}" for e in entries if e.problem)
        self.models.setToolTip(f"{_MODEL_TIP}\n{broken}".strip())

    def show_devices(self, names: Sequence[str], chosen: str) -> None:
        """Offer the devices of this machine."""
        self.devices.offer([(DEVICE_NAMES.get(name, name), name) for name in names], chosen)


def _row(text: str, chooser: Chooser) -> QHBoxLayout:
    label = QLabel(text)
    label.setFixedWidth(52)
    label.setBuddy(chooser)
    row = QHBoxLayout()
    row.addWidget(label)
    row.addWidget(chooser, 1)
    return row


def _what_to_know(session: SlideSession) -> str:
    slide = session.slide
    if slide is None:
        return ""
    words = [f"Pixel size: {slide.mpp_conflict}"] if slide.mpp_conflict else []
    return "\n".join(words + [note.words for note in slide.notes])


def _about(entry: Any) -> str:
    info = entry.info
    kind = "Demonstration model: do not rely on its predictions.\n" if info.demonstration else ""
    return f"{kind}Classes: {', '.join(info.classes)}. Works at {info.mpp:g} µm per pixel."
