"""Label and macro picture of a slide, shown and never kept."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDialog, QDialogButtonBox, QLabel, QVBoxLayout, QWidget

from napari_xmag._gui.shared.pictures import pixmap_of
from napari_xmag._gui.shared.section import Words, bold

_WIDEST, _HIGHEST = 480, 240
_TITLES = {"label": "Label", "macro": "Macro image (whole slide)"}
_WORDS = "The label may identify the patient. These images are not analyzed, saved or exported."


class LabelDialog(QDialog):
    """Shows the pictures that lie beside a slide in its file.

    Parameters
    ----------
    name
        What the slide is called.
    pictures
        uint8 (H, W, 3) by name.
    parent
        The window.
    """

    def __init__(
        self,
        name: str,
        pictures: Mapping[str, NDArray[np.uint8]],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(f"Label of {name}")
        layout = QVBoxLayout(self)
        self.pictures: dict[str, QLabel] = {}
        for kind, pixels in pictures.items():
            pixmap = pixmap_of(pixels)
            if pixmap.width() > _WIDEST or pixmap.height() > _HIGHEST:
                pixmap = pixmap.scaled(
                    _WIDEST,
                    _HIGHEST,
                    Qt.AspectRatioMode.KeepAspectRatio,
                    Qt.TransformationMode.SmoothTransformation,
                )
            picture = QLabel()
            picture.setPixmap(pixmap)
            self.pictures[kind] = picture
            layout.addWidget(bold(QLabel(_TITLES.get(kind, kind.capitalize()))))
            layout.addWidget(picture)
        layout.addWidget(Words(_WORDS))
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        layout.addWidget(buttons)
