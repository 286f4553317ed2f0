"""Global and local losses of cross-magnification distillation (Su et al., arXiv 2509.23097)."""

from torch import Tensor, nn

from napari_xmag.learn.distributed import SyncedBatchNorm1d


def cosine_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Return 1 − mean cosine over the last axis: 0 when all point alike, 2 when opposite."""
    return 1 - nn.functional.cosine_similarity(prediction, target, dim=-1, eps=1e-6).mean()


def global_loss(embedding: Tensor, grid: Tensor) -> Tensor:
    """Compare a field's embedding (B, D) with the mean of its teacher tiles (B, 4, 4, D)."""
    return cosine_loss(embedding, grid.mean(dim=(1, 2)))


def local_loss(cells: Tensor, grid: Tensor) -> Tensor:
    """Compare each cell (B, 4, 4, D) with the teacher tile at its own row and column."""
    return cosine_loss(cells, grid)


class ProjectionHead(nn.Module):
    """Linear–BatchNorm–GELU–Linear from student to teacher space; thrown away afterwards."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(inputs, outputs),
            SyncedBatchNorm1d(outputs),
            nn.GELU(),
            nn.Linear(outputs, outputs),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Project (…, inputs) to (…, outputs)."""
        flat: Tensor = self.layers(features.reshape(-1, features.shape[-1]))
        return flat.view(*features.shape[:-1], -1)
