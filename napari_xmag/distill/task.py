"""The distillation task: a student, two projection heads, and their losses."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from napari_xmag.distill.config import LossConfig
from napari_xmag.distill.losses import ProjectionHead, global_loss, local_loss
from napari_xmag.nets.student import Student


class PairBatch(NamedTuple):
    """Views uint8 (B, 3, H, W) and the teacher's features (B, cells, cells, D) of the same."""

    views: Tensor
    grid: Tensor


class DistillTask(nn.Module):
    """Cross-magnification distillation as a task for `napari_xmag.train.fit`.

    Parameters
    ----------
    student
        Learns.
    center
        Float (D,), taken off every teacher feature; D is the teacher's width.
    config
        Weights of the losses.
    """

    center: Tensor

    def __init__(self, student: Student, center: Tensor, config: LossConfig) -> None:
        super().__init__()
        width = len(center)
        self.student, self.config = student, config
        self.head_global = ProjectionHead(student.dim, width)
        self.head_local = ProjectionHead(student.cell_dim, width)
        self.register_buffer("center", center)

    def forward(self, batch: PairBatch) -> dict[str, Tensor]:
        """Return loss, its two parts (1 − cosine) and the student's embedding as output."""
        views = batch.views.contiguous(memory_format=torch.channels_last)
        output = self.student(views)
        grid = batch.grid - self.center
        # Cosines of thousand-dimensional vectors need more digits than half precision has.
        whole = self.head_global(output.embedding).float()
        cells = self.head_local(output.cells.permute(0, 2, 3, 1)).float()
        parts = {"global": global_loss(whole, grid), "local": local_loss(cells, grid)}
        loss = (
            self.config.global_weight * parts["global"] + self.config.local_weight * parts["local"]
        )
        return {"loss": loss, **parts, "output": output.embedding}
