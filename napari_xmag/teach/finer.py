"""A map of half the patch's side: the tiles are encoded once more, half a patch aside."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_xmag.analyze.heatmap import GridLike
from napari_xmag.features.patch_features import PatchFeatures
from napari_xmag.nets.heads.patch_classifier import Classified
from napari_xmag.slide.tissue import TissueMask


@dataclass(frozen=True, eq=False)
class FinerGrid:
    """The quarters of a slide's patches, told apart by a second encoding; a `GridLike`.

    Each quarter lies in one patch of the first grid and in one of the second, which lies half a
    patch aside in x and y. Its middle is halfway between theirs, and so it is the mean of both:
    nothing is shifted.

    Attributes
    ----------
    aside
        The second encoding.
    columns, rows
        int64 (Q,), place of each quarter with tissue.
    shape
        Rows and columns of all quarters.
    stride_x, stride_y, origin_x, origin_y
        Side of a quarter and corner of the grid in level-0 pixels.
    first, second
        int64 (Q,), the patch of either encoding in which each lies; -1 where there is none.
    tissue
        float64 (Q,), which part of each is tissue.
    """

    aside: PatchFeatures
    columns: NDArray[np.int64]
    rows: NDArray[np.int64]
    shape: tuple[int, int]
    stride_x: float
    stride_y: float
    origin_x: float
    origin_y: float
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    tissue: NDArray[np.float64]

    @classmethod
    def of(cls, patches: PatchFeatures, aside: PatchFeatures, mask: TissueMask) -> "FinerGrid":
        """Divide the patches of a slide.

        Parameters
        ----------
        aside
            Of the same slide and encoder, on the grid half a patch aside.
        mask
            The tissue.
        """
        shape = 2 * patches.shape[0], 2 * patches.shape[1]
        row, column = np.indices(shape)
        first = patches.index[row // 2, column // 2]
        beyond = np.pad(aside.index, ((0, 1), (0, 1)), constant_values=-1)
        second = beyond[(row + 1) // 2, (column + 1) // 2]
        rows, columns = np.nonzero((first >= 0) | (second >= 0))
        width, height = patches.stride_x / 2, patches.stride_y / 2
        left, top = patches.origin_x, patches.origin_y
        grid = width, height, left, top
        of = first[rows, columns], second[rows, columns]
        whole = cls(aside, columns, rows, shape, *grid, *of, np.ones(len(rows)))
        return whole._where_is(tissue_of(whole, mask))

    def _where_is(self, tissue: NDArray[np.float64]) -> "FinerGrid":
        """Return the quarters with tissue, which is known of all."""
        some = tissue > 0
        parts = {name: getattr(self, name)[some] for name in ("columns", "rows", "first", "second")}
        return replace(self, **parts, tissue=tissue[some])

    def joined(
        self, of_first: NDArray[np.float32], of_second: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return the mean for each quarter of what its two patches are, float32 (Q, …).

        Parameters
        ----------
        of_first, of_second
            float32 (P, …) of the patches of both encodings.
        """
        values = np.concatenate([of_first, of_second])
        first, second = self.first, self.second + len(of_first)
        # where one patch is missing, the other one stands for both
        one = np.where(self.first < 0, second, first)
        two = np.where(self.second < 0, first, second)
        mean: NDArray[np.float32] = (values[one] + values[two]) / 2
        return mean

    def classified(self, of_first: Classified, of_second: Classified) -> Classified:
        """Return what each quarter is."""
        return Classified(
            self.joined(of_first.probabilities, of_second.probabilities),
            self.joined(of_first.distance, of_second.distance),
        )


def tissue_of(grid: GridLike, mask: TissueMask) -> NDArray[np.float64]:
    """Return which part of each place of a grid is tissue, float64 (P,)."""
    rows, columns = grid.shape
    x = grid.origin_x + np.arange(columns + 1.0) * grid.stride_x
    y = grid.origin_y + np.arange(rows + 1.0) * grid.stride_y
    found: NDArray[np.float64] = mask.grid_fractions(x, y)[grid.rows, grid.columns]
    return found
