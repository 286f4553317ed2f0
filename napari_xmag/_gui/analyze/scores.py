"""What is known of each patch, while the run goes on and after it: one form for map and hover."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_xmag.analyze.events import SlidePlanned, TilesDone
from napari_xmag.analyze.heatmap import GridLike, HeatMapView, attention_rank
from napari_xmag.analyze.result import SlideResult
from napari_xmag.errors import ConfigError


@dataclass(frozen=True, eq=False)
class PatchScores:
    """Values of all patches at one moment.

    Attributes
    ----------
    grid
        Where the T patches lie.
    classes
        Names of the C classes.
    attention
        float32 (T,), sums to 1 over the patches known so far; NaN for the others.
    evidence
        float32 (T, C), what each patch adds to each class's logit.
    final
        Whether the last patch is in.
    """

    grid: GridLike
    classes: tuple[str, ...]
    attention: NDArray[np.float32]
    evidence: NDArray[np.float32]
    final: bool

    @classmethod
    def of(cls, result: SlideResult) -> "PatchScores":
        """Take the values of a finished analysis."""
        patches = result.patches
        return cls(result, result.classes, patches.attention, patches.evidence, final=True)

    @cached_property
    def rank(self) -> NDArray[np.float32]:
        """Share of patches with less attention, 0 to 1, (T,)."""
        return attention_rank(self.attention)

    @cached_property
    def known(self) -> int:
        """Number of patches that have a value."""
        return int(np.isfinite(self.attention).sum())

    @cached_property
    def patches(self) -> NDArray[np.int64]:
        """Index of the patch at each place of the grid (rows, columns), -1 for glass."""
        patches = np.full(self.grid.shape, -1, np.int64)
        patches[self.grid.rows, self.grid.columns] = np.arange(len(self.attention))
        return patches

    def values(self, view: HeatMapView, class_name: str) -> NDArray[np.float32]:
        """Return what a view shows of each patch, (T,)."""
        if view is HeatMapView.RANK:
            return self.rank
        if view is HeatMapView.RAW:
            return self.attention
        if class_name not in self.classes:
            raise ConfigError(
                expected=f"one of the model's classes ({', '.join(self.classes)})",
                found=class_name or "none",
                hint="Choose a class from the list.",
            )
        return self.evidence[:, self.classes.index(class_name)]

    def patch_at(self, x: float, y: float) -> int | None:
        """Return the index of the patch at a level-0 position, None on glass."""
        grid = self.grid
        column = int(np.floor((x - grid.origin_x) / grid.stride_x))
        row = int(np.floor((y - grid.origin_y) / grid.stride_y))
        rows, columns = grid.shape
        if not (0 <= row < rows and 0 <= column < columns):
            return None
        index = int(self.patches[row, column])
        return index if index >= 0 and np.isfinite(self.attention[index]) else None


class LiveScores:
    """Gathers the patches of a running analysis.

    Parameters
    ----------
    plan
        Says where the patches lie.
    classes
        Names of the model's classes.
    """

    def __init__(self, plan: SlidePlanned, classes: tuple[str, ...]) -> None:
        self._grid = plan.grid
        self._classes = classes
        patches = len(plan.grid.boxes)
        self._logit = np.full(patches, np.nan, np.float32)
        self._score = np.full((patches, len(classes)), np.nan, np.float32)

    def add(self, event: TilesDone) -> PatchScores:
        """Take some patches in and return what is known now."""
        self._logit[event.indices] = event.attention_logit
        self._score[event.indices] = event.patch_evidence
        attention = self._attention()
        return PatchScores(
            self._grid, self._classes, attention, attention[:, None] * self._score, final=False
        )

    def _attention(self) -> NDArray[np.float32]:
        known = np.isfinite(self._logit)
        attention = np.full_like(self._logit, np.nan)
        if known.any():
            power = np.exp(self._logit[known] - self._logit[known].max())
            attention[known] = power / power.sum()
        return attention
