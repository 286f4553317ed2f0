"""The model's card, to be read before its prediction is."""

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDialog, QDialogButtonBox, QTextBrowser, QVBoxLayout, QWidget

from napari_xmag.filenames import CARD
from napari_xmag.zoo import ModelEntry

_NONE = "This model has no model card. Ask its authors about its training data and performance."


class CardDialog(QDialog):
    """Shows the card in a model's folder.

    Parameters
    ----------
    entry
        The model.
    parent
        The window.
    """

    def __init__(self, entry: ModelEntry, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        name = entry.info.display_name if entry.info is not None else entry.name
        self.setWindowTitle(f"Model card: {name}")
        self.resize(640, 560)
        self.text = QTextBrowser()
        self.text.setOpenExternalLinks(True)
        self.text.setMarkdown(_card_of(entry))
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(self.text)
        layout.addWidget(buttons)


def _card_of(entry: ModelEntry) -> str:
    """Return the card without the table of settings at its head, which is for programs."""
    try:
        text = (entry.folder / CARD).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return _NONE
    if text.startswith("---\n"):
        _, _, rest = text[4:].partition("\n---\n")
        text = rest or text
    return text
