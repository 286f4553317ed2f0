"""Where an export goes, and from which corner QuPath counts."""

from pathlib import Path

from qtpy.QtWidgets import (
    QButtonGroup,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from napari_xmag._about import NOTICE
from napari_xmag._gui.shared.section import Words, bold
from napari_xmag.export import Origin

_FILES = (
    "result.json – prediction, warnings, slide, model and settings\n"
    "tiles.csv – every tile with its attention and evidence\n"
    "heatmap.ome.tif – the maps, placed in µm\n"
    "qupath.geojson.gz – map, hotspots and your ticks for QuPath: drop it on the open slide\n"
    "tiles.geojson – the patches alone, for other programs\n"
    "overlay.png – a picture with legend and scale bar\n"
    "review.csv – your ticks, where you made some"
)


class ExportDialog(QDialog):
    """Asks for a folder.

    Parameters
    ----------
    folder
        Suggested folder; the slide's own folder is made in it.
    has_bounds
        Whether the slide's scanned part begins elsewhere than at its corner, so that QuPath's
        origin matters.
    parent
        The window.
    """

    def __init__(self, folder: Path, has_bounds: bool, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Export the analysis")
        self.setMinimumWidth(460)
        self.path = QLineEdit(str(folder))
        self.path.setToolTip("Everything is written into this folder, which is made if needed.")
        browse = QPushButton("Browse …")
        browse.clicked.connect(self._browse)
        row = QHBoxLayout()
        row.addWidget(self.path, 1)
        row.addWidget(browse)
        layout = QVBoxLayout(self)
        layout.addWidget(bold(QLabel("Folder")))
        layout.addLayout(row)
        layout.addWidget(bold(QLabel("Files")))
        layout.addWidget(Words(_FILES))
        layout.addWidget(self._origins(has_bounds))
        layout.addWidget(bold(QLabel(NOTICE)))
        layout.addWidget(self._buttons())

    def _origins(self, has_bounds: bool) -> QWidget:
        box = QWidget()
        layout = QVBoxLayout(box)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(bold(QLabel("This slide in QuPath")))
        self.bounds = QRadioButton("as QuPath opens it (cropped to the scanned part)")
        self.slide = QRadioButton("not cropped (opened with --no-crop), or other programs")
        self._group = QButtonGroup(self)
        for button in (self.bounds, self.slide):
            self._group.addButton(button)
            layout.addWidget(button)
        self.bounds.setChecked(True)
        # Without bounds both mean the same: one question less.
        box.setVisible(has_bounds)
        return box

    def _buttons(self) -> QDialogButtonBox:
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        write = buttons.addButton("Export", QDialogButtonBox.ButtonRole.AcceptRole)
        write.setDefault(True)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        return buttons

    def _browse(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Folder for the export", self.path.text())
        if chosen:
            self.path.setText(chosen)

    def folder(self) -> Path:
        """Return the chosen folder."""
        return Path(self.path.text()).expanduser()

    def origin(self) -> Origin:
        """Return from where QuPath counts."""
        return Origin.BOUNDS if self.bounds.isChecked() else Origin.SLIDE
