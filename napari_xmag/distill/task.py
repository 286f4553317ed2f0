"""The distillation task: a student, two projection heads, and their losses."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from napari_xmag.distill.config import LossConfig
from napari_xmag.distill.losses import ProjectionHead, global_loss, local_loss
from napari_xmag.fields.pairs import PairBatch
from napari_xmag.nets.student import Student, StudentOutput


class Projections(nn.Module):
    """The two heads that lead from a student to one teacher."""

    def __init__(self, student: Student, width: int) -> None:
        super().__init__()
        self.whole = ProjectionHead(student.dim, width)
        self.cells = ProjectionHead(student.cell_dim, width)

    def forward(self, output: StudentOutput, grid: Tensor) -> Tensor:
        """Return global and local loss (2,) against this teacher's grid."""
        # Cosines of thousand-dimensional vectors need more digits than half precision has.
        whole = self.whole(output.embedding).float()
        cells = self.cells(output.cells.permute(0, 2, 3, 1)).float()
        return torch.stack([global_loss(whole, grid), local_loss(cells, grid)])


class DistillTask(nn.Module):
    """Cross-magnification distillation as a task for `napari_xmag.learn.fit`.

    Parameters
    ----------
    student
        Learns.
    config
        Weights of the losses.
    widths
        Width of each teacher.
    freeze_norm
        Whether the student's batch norms keep their statistics while it learns.
    weights
        Weight of each teacher, all the same when it is empty. Only their ratios count: the losses
        are weighted means over teachers, each of which has heads of its own.
    """

    weights: Tensor

    def __init__(
        self,
        student: Student,
        config: LossConfig,
        widths: Sequence[int],
        weights: Sequence[float] = (),
        *,
        freeze_norm: bool = False,
    ) -> None:
        super().__init__()
        self.freeze_norm = freeze_norm
        self.student, self.config = student, config
        self.widths = list(widths)
        shares = torch.tensor(list(weights) or [1.0] * len(self.widths))
        self.register_buffer("weights", shares / shares.sum(), persistent=False)
        self.heads = nn.ModuleList(Projections(student, width) for width in self.widths)

    def train(self, mode: bool = True) -> "DistillTask":
        """Set the mode of all modules; frozen batch norms stay in evaluation mode."""
        super().train(mode)
        for module in self.student.modules() if self.freeze_norm else ():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self

    def forward(self, batch: PairBatch) -> dict[str, Tensor]:
        """Return loss, its two parts (1 − cosine), the student's embedding as output, and cells."""
        views = batch.views.contiguous(memory_format=torch.channels_last)
        output = self.student(views)
        grids = torch.split(batch.grid, self.widths, dim=-1)
        losses = [heads(output, grid) for heads, grid in zip(self.heads, grids, strict=True)]
        means = self.weights @ torch.stack(losses)
        parts = {"global": means[0], "local": means[1]}
        loss = (
            self.config.global_weight * parts["global"] + self.config.local_weight * parts["local"]
        )
        return {"loss": loss, **parts, "output": output.embedding, "cells": output.cells}
