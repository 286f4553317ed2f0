"""A slide model: student, head, and what is known of them."""

from torch import nn

from napari_xmag.errors import ModelError
from napari_xmag.nets.heads.abmil import AttentionHead
from napari_xmag.nets.info import ModelInfo, TrainingRange
from napari_xmag.nets.student import Student

__all__ = ["ModelInfo", "SlideModel", "TrainingRange"]


class SlideModel(nn.Module):
    """All that turns tiles into a slide's answer.

    Parameters
    ----------
    student
        Encodes tiles.
    head
        Weighs and sums the evidence of the patches.
    info
        Classes, mpp, calibration and origin.

    Raises
    ------
    ModelError
        When the three do not belong together.
    """

    def __init__(self, student: Student, head: AttentionHead, info: ModelInfo) -> None:
        super().__init__()
        dim = student.dim if info.granularity == "tiles" else student.cell_dim
        asked = (dim, len(info.classes), student.spec.mpp, student.spec.tile_px)
        found = (head.dim, head.classes, info.mpp, info.tile_px)
        if asked != found:
            raise ModelError(
                expected="a head and a description with the student's dim, classes, mpp, tile_px "
                f"{asked}",
                found=str(found),
                hint="Build the three of one specification.",
            )
        self.student = student
        self.head = head
        self.info = info

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.info.summary}>"

    @property
    def cells(self) -> int:
        """Patches that the head weighs along a side of each tile; 1 for whole tiles."""
        return self.student.spec.cells if self.info.granularity == "cells" else 1
