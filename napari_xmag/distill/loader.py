"""Batches of the fields that are learned from and of those that are held out."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from napari_xmag.fields.pairs import Item, PairBatch, Pairs
from napari_xmag.fields.split import evenly_spaced
from napari_xmag.fields.store import prefetch
from napari_xmag.fields.view_config import ViewConfig
from napari_xmag.fields.views import FieldView
from napari_xmag.learn.distributed import Processes, gather, share
from napari_xmag.progress.events import Progress, Stage
from napari_xmag.progress.heartbeat import ProgressMeter, run_with_progress

Centers = Mapping[str, NDArray[np.float32]]
"""For each slide what is taken off its teacher features: float32 (D,)."""

# Means of so many fields are exact enough.
_MOST_CENTERED = 20_000
_MOST_CENTERED_ONLINE = 512


@dataclass(frozen=True)
class FieldLoader:
    """Batches of some rows of the pairs, this process's share of each.

    Parameters
    ----------
    pairs
        Where the pairs come from.
    rows
        The fields, all processes'.
    augment
        How views are drawn.
    size
        Fields in a batch, all processes'.
    seed
        Order and views follow from it, the epoch and the row alone.
    device
        Where the batches lie.
    center
        What is taken off the teachers' features.
    processes
        Those that share each batch.
    threads
        That read ahead.
    """

    pairs: Pairs
    rows: NDArray[np.intp]
    augment: ViewConfig
    size: int
    seed: int
    device: torch.device
    center: Centers
    processes: Processes = field(default_factory=Processes)
    threads: int = 0

    def __len__(self) -> int:
        return len(self.rows) // self.size

    def epoch(self, epoch: int) -> Iterator[PairBatch]:
        """Yield the batches of one epoch (from 0); the same for the same seed and epoch."""
        # What the student itself draws, such as the paths it drops, differs between processes.
        torch.manual_seed(self.seed * 100_003 + epoch + 7_919 * self.processes.rank)
        batches = (
            [
                (int(row), FieldView.drawn(self.augment, self.seed, epoch, int(row), number))
                for row in rows[share(len(rows), self.processes)]
                for number in range(self.augment.views)
            ]
            for rows in shuffled(self.rows, self.size, self.seed, epoch)
        )
        for _, batch in self._made(batches):
            yield batch

    def plain(self) -> Iterator[tuple[NDArray[np.intp], PairBatch]]:
        """Yield this process's share of all rows once, unchanged and in order: rows and batch."""
        own = self.rows[share(len(self.rows), self.processes)]
        starts = range(0, len(own), self.size)
        batches = ([(int(row), FieldView()) for row in own[s : s + self.size]] for s in starts)
        for items, batch in self._made(batches):
            yield np.array([row for row, _ in items]), batch

    def centers(self, rows: Sequence[int]) -> NDArray[np.float32]:
        """Return what is taken off the features of these rows (N, D)."""
        return np.stack([self.center[self.pairs.records[row].slide] for row in rows])

    def _made(self, batches: Iterator[list[Item]]) -> Iterator[tuple[list[Item], PairBatch]]:
        def load(items: list[Item]) -> tuple[list[Item], object]:
            return items, self.pairs.load(items)

        for items, loaded in prefetch(batches, load, self.threads):
            batch = self.pairs.batch(loaded, self.device)
            centers = torch.from_numpy(self.centers([row for row, _ in items])).to(self.device)
            yield items, batch._replace(grid=batch.grid - centers[:, None, None])


def shuffled(
    rows: NDArray[np.intp], size: int, seed: int, epoch: int
) -> Iterator[NDArray[np.intp]]:
    """Yield full batches of rows in an order that depends on seed and epoch alone."""
    order = np.random.default_rng([seed, epoch]).permutation(rows)
    for start in range(0, len(order) - size + 1, size):
        yield order[start : start + size]


def slide_centers(
    pairs: Pairs,
    training: NDArray[np.intp],
    kind: Literal["none", "all", "slide"],
    *,
    online: bool = False,
    processes: Processes | None = None,
) -> Generator[Progress, None, Centers]:
    """Return for each slide what is taken off its teacher features.

    A held-out slide is centred like the others: on the training fields, or on its own. Of very
    many fields, or where the teachers are asked for each, an even part is looked at.
    """
    slides = {record.slide for record in pairs.records}
    if kind == "none":
        return dict.fromkeys(slides, np.zeros(sum(pairs.widths), np.float32))
    rows = training if kind == "all" else np.arange(len(pairs.records))
    most = _MOST_CENTERED_ONLINE if online else _MOST_CENTERED
    rows = evenly_spaced(rows, max(most, len(slides)))
    own = rows[share(len(rows), processes or Processes())]
    meter, means = ProgressMeter(Stage.CENTERING, len(own), "fields"), []
    for row in own:
        means.append((yield from run_with_progress(partial(pairs.mean, int(row)), meter)))
        meter.add(1)
    found = [mean for part in gather(means, processes or Processes()) for mean in part]
    everything = np.mean(found, axis=0)
    if kind == "all":
        return dict.fromkeys(slides, everything.astype(np.float32))
    groups: dict[str, list[NDArray[np.float64]]] = {}
    for row, mean in zip(rows, found, strict=True):
        groups.setdefault(pairs.records[row].slide, []).append(mean)
    return {
        slide: np.mean(groups.get(slide, [everything]), 0).astype(np.float32) for slide in slides
    }
