"""From a reviewed slide to a row of the Train table: its true diagnosis."""

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_xmag._gui.shared.chooser import LabelBox
from napari_xmag._gui.shared.section import Words
from napari_xmag.analyze.result import SlideResult
from napari_xmag.review.reopen import image_of
from napari_xmag.review.verdicts import PlaceReview, Verdict


class LabelPanel(QWidget):
    """Asks for the true class of the slide and hands it to Train.

    Attributes
    ----------
    given
        The label of the slide.
    """

    given = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._result: SlideResult | None = None
        self.words = Words()
        self.label = LabelBox(
            "The true diagnosis of this slide: the predicted class if it is right, another class, "
            "or a new one."
        )
        self.button = QPushButton("Add to training")
        self.button.setToolTip("Add this slide, with this label, to the table in the Train panel.")
        self.button.clicked.connect(lambda: self.given.emit(self.label.currentText().strip()))
        self.label.editTextChanged.connect(
            lambda text: self.button.setEnabled(bool(text.strip()) and self._result is not None)
        )
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(QLabel("True diagnosis"))
        row.addWidget(self.label, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        layout.addWidget(self.words)
        layout.addLayout(row)
        layout.addWidget(self.button)
        self.show_result(None)

    def show_result(self, result: SlideResult | None) -> None:
        """Offer the classes of a result, its answer chosen."""
        self._result = result
        self.label.clear()
        self.label.addItems(list(result.classes) if result is not None else [])
        self.label.setEditText((result.answer or "") if result is not None else "")
        self.setEnabled(result is not None and image_of(result) == 1)
        self.show_reviews(())

    def show_reviews(self, reviews: Sequence[PlaceReview]) -> None:
        """Say how many places were marked."""
        right = sum(said.verdict is Verdict.RIGHT for said in reviews)
        wrong = sum(said.verdict is Verdict.WRONG for said in reviews)
        marked = f" Patches you marked: {right} right and {wrong} wrong." if right + wrong else ""
        image = image_of(self._result) if self._result is not None else 1
        use = (
            "Use this slide to train a model."
            if image == 1
            else f"Training reads only the first image of a file; this is image #{image}."
        )
        self.words.say(f"{use}{marked}")
