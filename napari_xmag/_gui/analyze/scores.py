"""What is known of each patch, while the run goes on and after it: one form for map and hover."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_xmag.analyze.events import SlidePlanned, TilesDone
from napari_xmag.analyze.heatmap import GridLike, HeatMapView, attention_rank
from napari_xmag.analyze.result import SlideResult
from napari_xmag.errors import ConfigError
from napari_xmag.export.palette import map_limits
from napari_xmag.slide.tissue import TissueMask


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
        float32 (P,), sums to 1 over the patches known so far; NaN for the others.
    evidence
        float32 (P, C), what each patch adds to each class's logit.
    final
        Whether the last patch is in.
    is_shares
        Whether the score is a part of the tissue; see `SlideResult.is_shares`.
    mask
        The tissue, which alone is coloured; None while it is not known.
    """

    grid: GridLike
    classes: tuple[str, ...]
    attention: NDArray[np.float32]
    evidence: NDArray[np.float32]
    final: bool
    is_shares: bool = False
    mask: TissueMask | None = None

    @classmethod
    def of(cls, result: SlideResult, mask: TissueMask | None = None) -> "PatchScores":
        """Take the values of a finished analysis."""
        patches = result.patches
        values = patches.attention, patches.evidence
        return cls(
            result, result.classes, *values, final=True, is_shares=result.is_shares, mask=mask
        )

    @cached_property
    def rank(self) -> NDArray[np.float32]:
        """Share of patches with less attention, 0 to 1, (P,)."""
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
        """Return what a view shows of each patch, (P,)."""
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

    def places(self, x: NDArray[np.floating], y: NDArray[np.floating]) -> NDArray[np.int64]:
        """Return the index of the patch at each level-0 position, -1 on glass, (N,)."""
        grid = self.grid
        columns = np.floor((x - grid.origin_x) / grid.stride_x).astype(np.int64)
        rows = np.floor((y - grid.origin_y) / grid.stride_y).astype(np.int64)
        inside = (rows >= 0) & (columns >= 0) & (rows < grid.shape[0]) & (columns < grid.shape[1])
        found = self.patches[np.where(inside, rows, 0), np.where(inside, columns, 0)]
        places: NDArray[np.int64] = np.where(inside, found, -1)
        return places

    def patch_at(self, x: float, y: float) -> int | None:
        """Return the index of the patch at a level-0 position, None on glass."""
        index = int(self.places(np.array([x]), np.array([y]))[0])
        return index if index >= 0 and np.isfinite(self.attention[index]) else None


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What the map shows of each patch.

    Attributes
    ----------
    values
        float32 (P,), NaN where there is none.
    low, high
        Values at both ends of the colours.
    diverging
        Whether the colours go both ways from a middle.
    """

    values: NDArray[np.float32]
    low: float
    high: float
    diverging: bool


def shown_values(
    scores: PatchScores, view: HeatMapView, class_name: str, other: PatchScores | None = None
) -> Shown:
    """Return what a view shows: of a result, or of its difference to another one.

    A difference has a value only where both results have a patch. Where the patches are of
    different sizes, what the other's add up to is taken for the same area.
    """
    values = scores.values(view, class_name)
    low, high = map_limits(view, values, is_shares=scores.is_shares)
    if other is None:
        return Shown(values, low, high, view is HeatMapView.EVIDENCE)
    values = _difference(scores, other, view, class_name)
    if view is HeatMapView.RAW:
        known = np.abs(values[np.isfinite(values)])
        high = float(known.max()) if known.size and known.max() > 0 else 1.0
    return Shown(values, -high, high, diverging=True)


def _difference(
    scores: PatchScores, other: PatchScores, view: HeatMapView, class_name: str
) -> NDArray[np.float32]:
    grid = scores.grid
    x = grid.origin_x + (grid.columns + 0.5) * grid.stride_x
    y = grid.origin_y + (grid.rows + 0.5) * grid.stride_y
    places = other.places(x, y)
    theirs = np.append(other.values(view, class_name), np.float32(np.nan))[places]
    if view is not HeatMapView.RANK:
        area = other.grid.stride_x * other.grid.stride_y
        theirs = theirs * np.float32(grid.stride_x * grid.stride_y / area)
    difference: NDArray[np.float32] = scores.values(view, class_name) - theirs
    return difference


class LiveScores:
    """Gathers the patches of a running analysis.

    Parameters
    ----------
    plan
        Says where the patches lie.
    classes
        Names of the model's classes.
    is_shares
        See `PatchScores`.
    """

    def __init__(
        self, plan: SlidePlanned, classes: tuple[str, ...], *, is_shares: bool = False
    ) -> None:
        self.mask = plan.mask
        self._grid, self._is_shares = plan.grid, is_shares
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
            self._grid,
            self._classes,
            attention,
            attention[:, None] * self._score,
            final=False,
            is_shares=self._is_shares,
            mask=self.mask,
        )

    def _attention(self) -> NDArray[np.float32]:
        known = np.isfinite(self._logit)
        attention = np.full_like(self._logit, np.nan)
        if known.any():
            power = np.exp(self._logit[known] - self._logit[known].max())
            attention[known] = power / power.sum()
        return attention
