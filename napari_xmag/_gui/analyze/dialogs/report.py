"""Where a report goes, and who signs it."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field
from qtpy.QtWidgets import QWidget

from napari_xmag._gui.shared.forms import SettingsForm
from napari_xmag._gui.shared.section import Words
from napari_xmag._gui.shared.settings_dialog import SettingsDialog

_WORDS = (
    "A few pages to share: the slide next to its heat map as shown now, the prediction (or why "
    "there is none), the reviewed patches with your marks and comments, and details of slide and "
    "model."
)


class ReportSettings(BaseModel):
    """What is asked before a report is written."""

    model_config = ConfigDict(frozen=True)

    reviewer: str = Field(
        default="",
        title="Reviewer",
        description="Your name as it should appear in the report; remembered on this computer.",
        json_schema_extra={"basic": True},
    )
    folder: Path = Field(
        default=Path.home() / "xmag-results",
        title="Folder",
        description="report.html and report.pdf are saved in this folder, which is created if "
        "needed.",
        json_schema_extra={"basic": True},
    )


class ReportDialog(SettingsDialog[ReportSettings]):
    """Asks for the settings of a report.

    Parameters
    ----------
    folder, reviewer
        Suggested.
    parent
        The window.
    """

    def __init__(self, folder: Path, reviewer: str, parent: QWidget | None = None) -> None:
        form = SettingsForm(ReportSettings)
        form.set_values({"folder": folder, "reviewer": reviewer})
        above = (Words(_WORDS),)
        super().__init__("Report on this slide", "Write report", form, above=above, parent=parent)
