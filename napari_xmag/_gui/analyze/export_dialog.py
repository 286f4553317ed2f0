"""Where an export goes, and from which corner QuPath counts."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field
from qtpy.QtWidgets import QDialog, QDialogButtonBox, QLabel, QVBoxLayout, QWidget

from napari_xmag._about import NOTICE
from napari_xmag._gui.shared.forms import SettingsForm
from napari_xmag._gui.shared.section import Words, bold
from napari_xmag._gui.shared.wheel import guard_wheel
from napari_xmag.export import Origin

_FILES = (
    "result.json – prediction, warnings, slide, model and settings\n"
    "tiles.csv – attention and evidence of every patch\n"
    "heatmap.ome.tif – the maps, placed in µm\n"
    "qupath.geojson.gz – map, hotspots and marked patches for QuPath: drop it on the open slide\n"
    "tiles.geojson – the patches alone, for other programs\n"
    "overlay.png – a picture of the map with legend and scale bar\n"
    "review.csv – the patches that you marked, if any"
)


class ExportSettings(BaseModel):
    """What is asked before an export."""

    model_config = ConfigDict(frozen=True)

    folder: Path = Field(
        default=Path.home() / "xmag-results",
        title="Folder",
        description="All files are saved in this folder, which is created if needed.",
        json_schema_extra={"basic": True},
    )
    origin: Origin = Field(
        default=Origin.BOUNDS,
        title="Slide in QuPath",
        description="Only part of this slide was scanned. QuPath crops it to that part, unless it "
        "is opened with --no-crop; the patches must be placed to match.",
        json_schema_extra={
            "basic": True,
            "choices": {
                Origin.BOUNDS: "Cropped to the scanned part (as QuPath opens it)",
                Origin.SLIDE: "Not cropped (--no-crop, or other programs)",
            },
        },
    )


class ExportDialog(QDialog):
    """Asks for the settings of an export.

    Parameters
    ----------
    folder
        Suggested folder.
    has_bounds
        Whether the slide's scanned part begins elsewhere than at its corner, so that QuPath's
        origin matters.
    parent
        The window.

    Attributes
    ----------
    settings
        What was chosen, once it is accepted.
    """

    def __init__(self, folder: Path, has_bounds: bool, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Export the analysis")
        self.setMinimumWidth(520)
        self.settings: ExportSettings | None = None
        self.form = SettingsForm(ExportSettings, omit=() if has_bounds else ("origin",))
        self.form.set_values({"folder": folder})
        layout = QVBoxLayout(self)
        for widget in (
            self.form,
            bold(QLabel("Files")),
            Words(_FILES),
            bold(QLabel(NOTICE)),
            self._buttons(),
        ):
            layout.addWidget(widget)
        guard_wheel(self)

    def _buttons(self) -> QDialogButtonBox:
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        export = buttons.addButton("Export", QDialogButtonBox.ButtonRole.AcceptRole)
        export.setDefault(True)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        return buttons

    def accept(self) -> None:
        """Close with the settings; stay open and say what is wrong where something is."""
        self.settings, _ = self.form.read()
        if self.settings is not None:
            super().accept()
