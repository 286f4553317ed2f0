"""A dialog that asks for some settings before something is written."""

from typing import Generic, TypeVar

from pydantic import BaseModel
from qtpy.QtWidgets import QDialog, QDialogButtonBox, QLabel, QVBoxLayout, QWidget

from napari_xmag._about import NOTICE
from napari_xmag._gui.shared.forms import SettingsForm
from napari_xmag._gui.shared.section import bold
from napari_xmag._gui.shared.wheel import guard_wheel

_Settings = TypeVar("_Settings", bound=BaseModel)


class SettingsDialog(QDialog, Generic[_Settings]):
    """Asks for settings, and says whose responsibility the result is.

    Parameters
    ----------
    title
        Of the window.
    accept_words
        Of the button that goes on.
    form
        The settings that are asked.
    above, below
        What stands around the form.
    parent
        The window.

    Attributes
    ----------
    settings
        What was chosen, once it is accepted.
    """

    def __init__(
        self,
        title: str,
        accept_words: str,
        form: SettingsForm[_Settings],
        *,
        above: tuple[QWidget, ...] = (),
        below: tuple[QWidget, ...] = (),
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setMinimumWidth(520)
        self.settings: _Settings | None = None
        self.form = form
        layout = QVBoxLayout(self)
        for widget in (*above, form, *below, bold(QLabel(NOTICE)), self._buttons(accept_words)):
            layout.addWidget(widget)
        guard_wheel(self)

    def _buttons(self, accept_words: str) -> QDialogButtonBox:
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        accept = buttons.addButton(accept_words, QDialogButtonBox.ButtonRole.AcceptRole)
        accept.setDefault(True)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        return buttons

    def accept(self) -> None:
        """Close with the settings; stay open and say what is wrong where something is."""
        self.settings, _ = self.form.read()
        if self.settings is not None:
            super().accept()
