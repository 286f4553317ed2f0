"""Strips of small pictures."""

import numpy as np
from numpy.typing import NDArray
from qtpy.QtGui import QIcon, QImage, QPixmap, QWheelEvent
from qtpy.QtWidgets import QScrollArea


class SidewaysScroll(QScrollArea):
    """A mouse wheel moves along the strip, and at its ends the panel again."""

    def wheelEvent(self, event: QWheelEvent) -> None:
        bar = self.horizontalScrollBar()
        before = bar.value()
        bar.setValue(before - (event.angleDelta().y() or event.angleDelta().x()))
        event.setAccepted(bar.value() != before)


def icon_of(pixels: NDArray[np.uint8] | None) -> QIcon:
    """Return uint8 (H, W, 3) as an icon; an empty one for None."""
    return QIcon() if pixels is None else QIcon(pixmap_of(pixels))


def pixmap_of(pixels: NDArray[np.uint8] | None) -> QPixmap:
    """Return uint8 (H, W, 3) as a picture to draw; an empty one for None."""
    if pixels is None:
        return QPixmap()
    pixels = np.ascontiguousarray(pixels)
    height, width = pixels.shape[:2]
    image = QImage(pixels.data, width, height, 3 * width, QImage.Format.Format_RGB888)
    # A copy, because QImage only borrows the array's memory.
    return QPixmap.fromImage(image.copy())
