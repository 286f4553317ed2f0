"""What two processes do in test_distributed.py; with torchrun, or alone."""

import sys
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import Tensor, nn

from napari_xmag.learn.distributed import (
    Processes,
    SyncedBatchNorm1d,
    gather,
    join,
    leave,
    share,
    wait_for_all,
)
from napari_xmag.learn.fit import Fit
from napari_xmag.learn.fit_config import FitConfig
from napari_xmag.learn.scalars import ScalarLog


class Task(nn.Module):
    """Two layers with a batch norm between."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        # A bias before the norm has no gradient but noise, which Adam would make large.
        self.net = nn.Sequential(
            nn.Linear(6, 8, bias=False), SyncedBatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1)
        )

    def forward(self, batch: Tensor) -> dict[str, Tensor]:
        return {"loss": (self.net(batch) - batch.sum(1, keepdim=True)).square().mean()}


def train(out: Path, processes: Processes) -> Fit:
    # Other processes begin with other weights: the first one's count.
    fit = Fit(
        Task(processes.rank), FitConfig(epochs=3, lr=0.05, clip=0.5), 4, nullcontext,
        processes=processes,
    )  # fmt: skip

    def batches(epoch: int) -> list[Tensor]:
        torch.manual_seed(epoch)
        return [torch.rand(16, 6)[share(16, processes)] for _ in range(4)]

    with ScalarLog(out) as scalars:
        for _ in fit.run(
            batches, lambda _: {"rank": processes.rank}, scalars=scalars,
            checkpoint=out / "checkpoint.safetensors",
        ):  # fmt: skip
            pass
    return fit


if __name__ == "__main__":
    together = join()
    fit = train(Path(sys.argv[1]), together)
    norms = [float(value.double().sum()) for value in fit.average.state_dict().values()]
    everyone = gather((together.rank, norms), together)
    wait_for_all(together)
    if together.first:
        assert [rank for rank, _ in everyone] == list(range(together.world))
        assert all(found == norms for _, found in everyone)
        (Path(sys.argv[1]) / "alike").touch()
    leave()
