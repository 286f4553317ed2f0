"""What leaves the window: a model, areas, polygons and the examples themselves."""

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from napari_xmag._gui.shared.section import Words


class SavePanel(QWidget):
    """Saves a model, exports, and reads annotations."""

    model_asked = Signal(str)
    export_asked = Signal()
    annotations_asked = Signal()
    restart_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.name = QLineEdit()
        self.name.setPlaceholderText("Name of the model, e.g. Tumour in lung")
        self.name.setAccessibleName("Name of the model")
        self.save = QPushButton("Save model")
        self.save.setToolTip(
            "Save what was learned as a model: it can then analyze other slides, here and on the "
            "command line."
        )
        self.export = QPushButton("Export …")
        self.export.setToolTip(
            "Save areas as CSV, class outlines for QuPath and the examples as GeoJSON."
        )
        self.read = QPushButton("Import annotations …")
        self.read.setToolTip(
            "Import QuPath annotations of this slide (GeoJSON), or exported examples, as examples."
        )
        self.restart = QPushButton("Start over")
        self.restart.setToolTip("Remove all examples. Undo restores them.")
        self.words = Words("Examples are saved automatically and reloaded next time.")
        first, second = QHBoxLayout(), QHBoxLayout()
        first.addWidget(self.name, 1)
        first.addWidget(self.save)
        for button in (self.export, self.read):
            second.addWidget(button, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(first)
        layout.addLayout(second)
        layout.addWidget(self.restart)  # a row of three would be wider than a narrow dock
        layout.addWidget(self.words)
        self.save.clicked.connect(self._save)
        self.name.returnPressed.connect(self._save)
        self.export.clicked.connect(self.export_asked)
        self.read.clicked.connect(self.annotations_asked)
        self.restart.clicked.connect(self.restart_asked)

    def allow(self, taught: bool, ready: bool) -> None:
        """Offer what is possible: a model and exports want a map, annotations an encoded slide."""
        self.save.setEnabled(taught)
        self.export.setEnabled(taught)
        self.read.setEnabled(ready)

    def _save(self) -> None:
        if self.save.isEnabled():
            self.model_asked.emit(self.name.text().strip())
