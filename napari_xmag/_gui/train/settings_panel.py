"""Where the training begins, where it writes, and how it goes."""

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_xmag._gui.shared.chooser import Chooser
from napari_xmag._gui.shared.forms import SettingsForm
from napari_xmag._gui.shared.scrolled import scrolled
from napari_xmag._gui.shared.section import Words, bold
from napari_xmag._gui.train.state import TrainState
from napari_xmag.train.config import TrainConfig

_OTHER = "Other folder …"


class SettingsPanel(QWidget):
    """Edits encoder, folder of the run, and the settings of a training.

    Attributes
    ----------
    encoder_chosen
        Name of a model, or a folder.
    out_chosen
        Folder of the run.
    """

    encoder_chosen = Signal(str)
    out_chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.form = SettingsForm(TrainConfig)
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, 6, 8, 6)
        column.setSpacing(8)
        column.addLayout(self._places())
        column.addWidget(bold(QLabel("Settings")))
        column.addWidget(self.form)
        column.addStretch()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scrolled(inside))

    def _places(self) -> QGridLayout:
        self.encoders = Chooser(
            "The network that encodes the tiles. Training starts from the encoder of one of your "
            "models, or from a folder written by napari-xmag distill."
        )
        self.encoders.activated.connect(self._choose_encoder)
        self.about = Words()
        self.out = QLineEdit()
        self.out.setToolTip(
            "Folder for the model, the report, and the checkpoints from which training can be "
            "resumed. It is created if needed."
        )
        self.out.editingFinished.connect(self._choose_out)
        self.browse = QPushButton("Browse …")
        self.browse.clicked.connect(self._browse)
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(self.out, 1)
        row.addWidget(self.browse)
        grid = QGridLayout()
        grid.setHorizontalSpacing(10)
        grid.setVerticalSpacing(6)
        grid.setColumnStretch(1, 1)
        grid.addWidget(QLabel("Encoder"), 0, 0)
        grid.addWidget(self.encoders, 0, 1)
        grid.addWidget(self.about, 1, 1)
        grid.addWidget(QLabel("Output folder"), 2, 0)
        grid.addLayout(row, 2, 1)
        return grid

    def show_places(self, state: TrainState) -> None:
        """Show encoder and folder."""
        choices = [(entry.info.display_name, entry.name) for entry in state.encoders]
        names = [entry.name for entry in state.encoders]
        if state.encoder and state.encoder not in names:
            choices.append((Path(state.encoder).name, state.encoder))
        self.encoders.offer([*choices, (_OTHER, "")], state.encoder)
        info = next((e.info for e in state.encoders if e.name == state.encoder), None)
        words = f"Encodes tiles of {info.tile_px} px at {info.mpp:g} µm per pixel." if info else ""
        self.about.say(words or state.encoder)
        if not self.out.hasFocus():
            self.out.setText(str(state.out))

    def _choose_encoder(self, _: int) -> None:
        chosen = self.encoders.currentData()
        if not chosen:
            chosen = QFileDialog.getExistingDirectory(self, "Folder of an encoder or model")
        self.encoder_chosen.emit(chosen)

    def _choose_out(self) -> None:
        text = self.out.text().strip()
        if text:
            self.out_chosen.emit(Path(text).expanduser())

    def _browse(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Output folder", self.out.text())
        if chosen:
            self.out_chosen.emit(Path(chosen))
