"""Parts that all panels are made of: titled, foldable sections and wrapped text."""

from typing import TypeVar

from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QFont, QIcon, QPalette
from qtpy.QtWidgets import QLabel, QLayout, QSizePolicy, QVBoxLayout, QWidget
from superqt import QCollapsible

from napari_xmag._gui.shared.breakable import breakable

ACCENT = QColor("#1c9c86")
"""Fill of buttons and bars: white text on it and it on both themes keep their contrast."""

ALARM = QColor("#c2571a")
"""Border of warnings and of the cancelling button."""


_AnyWidget = TypeVar("_AnyWidget", bound=QWidget)


def bold(widget: _AnyWidget, larger: float = 0.0) -> _AnyWidget:
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
    red, green, blue = (
        round(strength * a + (1 - strength) * b)
        for a, b in (
            (text.red(), ground.red()),
            (text.green(), ground.green()),
            (text.blue(), ground.blue()),
        )
    )
    return QColor(red, green, blue)


def discard(widget: QWidget) -> None:
    """Take a widget off the screen at once; Qt deletes it when it is safe."""
    widget.hide()
    widget.deleteLater()


def clear(layout: QLayout) -> None:
    """Take all widgets out of a layout and off the screen."""
    while layout.count():
        item = layout.takeAt(0)
        widget = item.widget() if item is not None else None
        if widget is not None:
            discard(widget)


_LONGEST_WORD = 24
"""Letters that fit into a line of the narrowest dock in any font."""


class Words(QLabel):
    """Wrapped text that hides when it is empty; a long name goes on in the next line."""

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self.setText(text)
        self.setWordWrap(True)
        self.setTextFormat(Qt.TextFormat.PlainText)
        policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)  # a new policy forgets that the text is wrapped
        self.setSizePolicy(policy)
        if not text:  # and never shown here: what has no parent yet becomes a window for a moment
            self.hide()

    def setText(self, text: str) -> None:
        """Let long names be broken, which would make the panel wider than its dock."""
        self._whole = text
        super().setText(breakable(text, _LONGEST_WORD))

    def text(self) -> str:
        """Return the text without what lets it be broken."""
        return self._whole

    def say(self, text: str) -> None:
        """Show a text; nothing where it is empty. By now the label must lie in its parent."""
        self.setText(text)
        self.setVisible(bool(text))


_WHOLE_WIDTH = Qt.AlignmentFlag(0)


class Section(QCollapsible):
    """A titled part of a panel, which can be folded away.

    Parameters
    ----------
    title
        Shown in bold.
    folded
        How it begins.
    """

    def __init__(self, title: str, *, folded: bool = False) -> None:
        super().__init__(title)
        self._title = title
        self.setDuration(0)
        # a narrow dock makes it higher than Qt's hint, which superqt lets be the most
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        layout = self.layout()
        if layout is not None:
            layout.setContentsMargins(0, 1, 0, 1)
            layout.setSpacing(2)
            layout.setAlignment(_WHOLE_WIDTH)  # what is aligned gets no more than Qt's hint
        button = bold(self.toggleButton())
        button.setAccessibleName(title)
        button.setStyleSheet(_TITLE_STYLE)
        # a long title must not make the panel wider than its dock
        button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.body = QWidget()
        self._column = QVBoxLayout(self.body)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(5)
        discard(self.content())
        self.setContent(self.body)
        self.toggled.connect(self._unfold)
        self._unfold(False)
        if not folded:
            self.expand(animate=False)

    def add(self, widget: QWidget, side: Qt.AlignmentFlag = _WHOLE_WIDTH) -> None:
        """Put a widget below the others, over the whole width or on one side."""
        self._column.addWidget(widget, alignment=side)

    def set_title(self, title: str) -> None:
        """Change the title."""
        self._title = title
        self.toggleButton().setAccessibleName(title)
        self._unfold(self.isExpanded())

    def _unfold(self, unfolded: bool) -> None:
        # superqt's arrows are pictures in the colour that text has before napari's theme is there.
        self.toggleButton().setIcon(QIcon())
        self.setText(f"{'▾' if unfolded else '▸'}  {self._title}")
        # Its height follows what it holds, which comes and goes; and Tab must not reach into what
        # is folded.
        self.body.setMaximumHeight(_ANY_HEIGHT)
        self.body.setVisible(unfolded)


_ANY_HEIGHT = (1 << 24) - 1  # Qt's own limit
_TITLE_STYLE = (
    "QPushButton { background: transparent; border: none; text-align: left; padding: 2px 0px; }"
    f"QPushButton:hover, QPushButton:focus {{ color: {ACCENT.lighter(150).name()}; }}"
)

BUTTON_STYLE = (
    "QPushButton {{ background-color: {fill}; color: white; border-radius: 4px; padding: 9px; }}"
    "QPushButton:hover {{ background-color: {light}; }}"
    "QPushButton:focus {{ border: 2px solid white; padding: 7px; }}"
    "QPushButton:disabled {{ background-color: #77808080; color: #c8c8c8; }}"
)
"""Of the one button that a panel is about; wants ``fill`` and ``light``."""
