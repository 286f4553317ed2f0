"""Several results of one slide: which one is shown, and which are kept."""

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from napari_xmag._gui.analyze.prediction_panel import PredictionPanel
from napari_xmag._gui.analyze.state import SlideSession
from napari_xmag._gui.shared.chooser import Chooser
from napari_xmag._gui.shared.section import Words
from napari_xmag.analyze.result import SlideResult
from napari_xmag.result_keys import drawn_digest
from napari_xmag.slide.tissue import TissueChoice

if TYPE_CHECKING:
    from napari_xmag.zoo import ModelEntry


_NOW = {
    TissueChoice.REGIONS: "the regions as they are drawn now",
    TissueChoice.PAINTED: "the tissue as it is painted now",
}


class ResultChooser(QWidget):
    """Offers the saved results of the slide in sight; tells when another one was asked for.

    Attributes
    ----------
    chosen, swap_asked, difference_asked, delete_asked
        A result's id; the result before; the difference to it, or no longer; an id to delete.
    stale
        Says that the chosen model has not made the result that is shown.
    """

    chosen = Signal(str)
    swap_asked = Signal()
    difference_asked = Signal()
    delete_asked = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.results = Chooser(
            "Saved results for this slide. Press B to switch to the previous one."
        )
        self.results.activated.connect(lambda _: self.chosen.emit(self.results.currentData()))
        self.swap, self.difference, self.delete = QToolButton(), QToolButton(), QToolButton()
        self.swap.setText("A/B")
        self.swap.setToolTip("Switch to the previous result, to compare the two (B).")
        self.swap.clicked.connect(self.swap_asked)
        self.difference.setText("A−B")
        self.difference.setCheckable(True)
        self.difference.setToolTip(
            "Show on the map what differs from the result that was shown before (D)."
        )
        self.difference.setAccessibleName("Difference to the result before")
        self.difference.clicked.connect(self.difference_asked)
        self.delete.setText("✕")
        self.delete.setToolTip("Delete this result. Your marks and comments are kept.")
        self.delete.setAccessibleName("Delete this result")
        self.delete.clicked.connect(lambda: self.delete_asked.emit(self.results.currentData()))
        self._row = QWidget()
        row = QHBoxLayout(self._row)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(self.results, 1)
        row.addWidget(self.swap)
        row.addWidget(self.difference)
        row.addWidget(self.delete)
        self.stale = Words()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self._row)
        layout.addWidget(self.stale)

    def show_session(self, session: SlideSession | None, stale: str) -> None:
        """Offer the results of a slide, where there are several."""
        saved = session.saved if session is not None else ()
        shown = session.shown_id if session is not None else ""
        self._row.setVisible(len(saved) > 1)
        self.results.offer([(item.words, item.id) for item in saved], shown)
        before = session.shown_before if session is not None else ""
        self.swap.setEnabled(before in {item.id for item in saved})
        self.difference.setEnabled(bool(shown) and len(saved) > 1)
        self.difference.setChecked(session is not None and session.compared is not None)
        self.delete.setEnabled(bool(shown))
        self.stale.say(stale)


class ResultPanel(QWidget):
    """Which result is shown, and what it says."""

    def __init__(self) -> None:
        super().__init__()
        self.kept = ResultChooser()
        self.prediction = PredictionPanel()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addWidget(self.kept)
        layout.addWidget(self.prediction)

    def show_session(self, session: SlideSession | None, chosen: "ModelEntry | None") -> None:
        """Show the result of a slide; grey where the chosen model or part did not make it."""
        info = chosen.info if chosen is not None else None
        name, sha256 = (info.display_name, info.sha256) if info is not None else ("", "")
        stale = stale_words(session, name, sha256)
        self.kept.show_session(session, stale)
        result = session.result if session is not None else None
        compared = session is not None and session.compared is not None
        self.prediction.show_result(result, stale=bool(stale), compared=compared)


def stale_words(session: SlideSession | None, model: str, sha256: str) -> str:
    """Return why the shown result is not what the choosers say; empty where it is.

    Parameters
    ----------
    model, sha256
        The chosen model: what it is called, and its digest; empty where none is chosen.
    """
    result = session.result if session is not None else None
    if session is None or result is None:
        return ""
    if sha256 and result.model["sha256"] != sha256:
        known = any(item.sha256 == sha256 for item in session.saved)
        more = "has a result in the list above." if known else "has not analyzed this slide yet."
        return f"This result is from {result.model_words}. The selected model, “{model}”, {more}"
    choice = result.tissue.get("choice")
    if choice and choice != session.tissue:
        return f"This result covers {result.tissue_words}, not the area now selected under Tissue."
    return _drawn_words(session, result) if choice in _NOW else ""


def _drawn_words(session: SlideSession, result: SlideResult) -> str:
    """Return why a result is not of what is drawn or painted now; empty where it is."""
    choice = TissueChoice(result.tissue["choice"])
    made_of, now = drawn_digest(result.settings), _NOW[choice]
    if not made_of:
        return f"This result covers {result.tissue_words}, perhaps not {now}."
    if made_of != session.drawn.get(choice, ""):
        return f"This result covers {result.tissue_words}, not {now}."
    return ""
