"""Where an export goes, and from which corner QuPath counts."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field
from qtpy.QtWidgets import QLabel, QWidget

from napari_xmag._gui.shared.forms import SettingsForm
from napari_xmag._gui.shared.section import Words, bold
from napari_xmag._gui.shared.settings_dialog import SettingsDialog
from napari_xmag.export import Origin

_FILES = (
    "result.json – prediction, warnings, slide, model and settings\ntiles.csv – attention and "
    "evidence of every patch\nheatmap.ome.tif – the heat maps, positioned in "
    "µm\nqupath.geojson.gz – map, hotspots and marked patches for QuPath: drag it onto the open "
    "slide\ntiles.geojson – the patches only, for other programs\noverlay.png – an image of the "
    "heat map with legend and scale bar\nreview.csv – the patches that you marked, if any"
    "\ntissue.png – the analyzed tissue, if you painted it or drew regions"
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
        "is opened with --no-crop; choose the setting that matches, so that the patches line up.",
        json_schema_extra={
            "basic": True,
            "choices": {
                Origin.BOUNDS: "Cropped to the scanned part (as QuPath opens it)",
                Origin.SLIDE: "Not cropped (--no-crop, or other programs)",
            },
        },
    )


class ExportDialog(SettingsDialog[ExportSettings]):
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
    """

    def __init__(self, folder: Path, has_bounds: bool, parent: QWidget | None = None) -> None:
        form = SettingsForm(ExportSettings, omit=() if has_bounds else ("origin",))
        form.set_values({"folder": folder})
        files = (bold(QLabel("Files")), Words(_FILES))
        super().__init__("Export the analysis", "Export", form, below=files, parent=parent)
