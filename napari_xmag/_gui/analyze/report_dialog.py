"""Where a report goes, and who signs it."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field
from qtpy.QtWidgets import QDialog, QDialogButtonBox, QLabel, QVBoxLayout, QWidget

from napari_xmag._about import NOTICE
from napari_xmag._gui.shared.forms import SettingsForm
from napari_xmag._gui.shared.section import Words, bold
from napari_xmag._gui.shared.wheel import guard_wheel

_WORDS = (
    "The slide beside its map in the view under review, the prediction, or the reason why there is "
    "none, the places with your marks and comments, slide and model: a few pages to share."
)


class ReportSettings(BaseModel):
    """What is asked before a report is written."""

    model_config = ConfigDict(frozen=True)

    reviewer: str = Field(
        default="",
        title="Reviewer",
        description="Your name as it should appear in the report; kept on this computer.",
        json_schema_extra={"basic": True},
    )
    folder: Path = Field(
        default=Path.home() / "xmag-results",
        title="Folder",
        description="report.html and report.pdf are saved in this folder, which is created if "
        "needed.",
        json_schema_extra={"basic": True},
    )


class ReportDialog(QDialog):
    """Asks for the settings of a report.

    Parameters
    ----------
    folder, reviewer
        Suggested.
    parent
        The window.

    Attributes
    ----------
    settings
        What was chosen, once it is accepted.
    """

    def __init__(self, folder: Path, reviewer: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Report on this slide")
        self.setMinimumWidth(520)
        self.settings: ReportSettings | None = None
        self.form = SettingsForm(ReportSettings)
        self.form.set_values({"folder": folder, "reviewer": reviewer})
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        write = buttons.addButton("Write report", QDialogButtonBox.ButtonRole.AcceptRole)
        write.setDefault(True)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        for widget in (Words(_WORDS), self.form, bold(QLabel(NOTICE)), buttons):
            layout.addWidget(widget)
        guard_wheel(self)

    def accept(self) -> None:
        """Close with the settings; stay open and say what is wrong where something is."""
        self.settings, _ = self.form.read()
        if self.settings is not None:
            super().accept()
