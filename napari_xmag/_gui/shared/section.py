"""Parts that all panels are made of: titled, foldable sections and wrapped text."""

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor, QFont, QPalette
from qtpy.QtWidgets import QLabel, QSizePolicy, QToolButton, QVBoxLayout, QWidget

ACCENT = QColor("#1c9c86")
"""Fill of buttons and bars: white text on it and it on both themes keep their contrast."""

ALARM = QColor("#c2571a")
"""Border of warnings and of the cancelling button."""


def bold(widget: QWidget, larger: float = 0.0) -> QWidget:
    """Make a widget's text bold and ``larger`` points bigger; return the widget."""
    font = QFont(widget.font())
    font.setBold(True)
    if larger:
        font.setPointSizeF(font.pointSizeF() + larger)
    widget.setFont(font)
    return widget


def text_color(widget: QWidget, strength: float = 1.0) -> QColor:
    """Return the theme's text colour, mixed with its background where ``strength`` is below 1."""
    palette = widget.palette()
    text = palette.color(QPalette.ColorRole.WindowText)
    ground = palette.color(QPalette.ColorRole.Window)
    mixed = [
        round(strength * a + (1 - strength) * b)
        for a, b in zip(text.getRgb()[:3], ground.getRgb()[:3], strict=True)
    ]
    return QColor(*mixed)


def discard(widget: QWidget) -> None:
    """Take a widget off the screen at once; Qt deletes it when it is safe."""
    widget.hide()
    widget.deleteLater()


class Words(QLabel):
    """Wrapped, selectable text that hides when it is empty."""

    def __init__(self, text: str = "") -> None:
        super().__init__(text)
        self.setWordWrap(True)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        if not text:  # and never shown here: what has no parent yet becomes a window for a moment
            self.hide()

    def say(self, text: str) -> None:
        """Show a text; nothing where it is empty. By now the label must lie in its parent."""
        self.setText(text)
        self.setVisible(bool(text))


class Section(QWidget):
    """A title over a content, which can be folded away.

    Parameters
    ----------
    title
        Shown in bold.
    folded
        None for a section that cannot be folded, else how it begins.
    """

    toggled = Signal(bool)

    def __init__(self, title: str, folded: bool | None = None) -> None:
        super().__init__()
        self.body = QWidget()
        self.content = QVBoxLayout(self.body)
        self.content.setContentsMargins(0, 0, 0, 0)
        self.content.setSpacing(5)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 4)
        layout.setSpacing(4)
        self.title = QLabel(title) if folded is None else self._fold_button(title, folded)
        bold(self.title)
        layout.addWidget(self.title)
        layout.addWidget(self.body)

    def _fold_button(self, title: str, folded: bool) -> QToolButton:
        button = QToolButton()
        button.setText(title)
        button.setCheckable(True)
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        button.setStyleSheet("QToolButton { border: none; text-align: left; padding: 2px 0px; }")
        button.toggled.connect(self._open)
        button.setChecked(not folded)
        button.setArrowType(_arrow(not folded))
        self.body.setVisible(not folded)
        return button

    def _open(self, opened: bool) -> None:
        self.sender().setArrowType(_arrow(opened))
        self.body.setVisible(opened)
        self.toggled.emit(opened)


def _arrow(opened: bool) -> Qt.ArrowType:
    return Qt.ArrowType.DownArrow if opened else Qt.ArrowType.RightArrow


BUTTON_STYLE = (
    "QPushButton {{ background-color: {fill}; color: white; border-radius: 4px; padding: 9px; }}"
    "QPushButton:hover {{ background-color: {light}; }}"
    "QPushButton:focus {{ border: 2px solid white; padding: 7px; }}"
    "QPushButton:disabled {{ background-color: #77808080; color: #c8c8c8; }}"
)
"""Of the one button that a panel is about; wants ``fill`` and ``light``."""
