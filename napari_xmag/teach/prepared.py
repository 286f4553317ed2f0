"""A slide that can be taught on: its features, and how much of each patch is tissue."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_xmag.analyze.settings import AnalyzeSettings
from napari_xmag.features.patch_features import PatchFeatures, Place
from napari_xmag.features.store import FeatureStore
from napari_xmag.features.tissue import kept_tissue
from napari_xmag.geometry import Box, Mpp
from napari_xmag.slide.tissue import TissueMask
from napari_xmag.teach.finer import FinerGrid, tissue_of
from napari_xmag.teach.lesson import Example, Lesson, SlideId


@dataclass(frozen=True, eq=False)
class PreparedSlide:
    """A slide whose patches were encoded.

    Attributes
    ----------
    features
        Its P patches.
    tissue
        float64 (P,), which part of each patch is tissue, 0 to 1.
    finer
        The quarters of its patches, where they were encoded once more.
    extent
        What of the grid the slide fills; all of it when None.
    grown
        Column and row of each patch that lies where no tissue was found: a person showed it.
    """

    features: PatchFeatures
    tissue: NDArray[np.float64]
    finer: FinerGrid | None = None
    extent: Box | None = None
    grown: frozenset[Place] = frozenset()

    @property
    def id(self) -> SlideId:
        """Which slide it is."""
        return SlideId(self.features.key.slide, self.features.key.image)

    @property
    def name(self) -> str:
        """Name of its file."""
        return self.features.names[0]

    @property
    def mpp(self) -> Mpp:
        """Its pixel size."""
        return Mpp(*self.features.mpp)

    @property
    def map_grid(self) -> FinerGrid | PatchFeatures:
        """What its map is made of: patches, or their quarters."""
        return self.finer or self.features

    @property
    def map_tissue(self) -> NDArray[np.float64]:
        """Which part of each place of its map is tissue, float64."""
        return self.finer.tissue if self.finer is not None else self.tissue

    @property
    def place_um2(self) -> float:
        """Area of a place of its map in µm²."""
        grid = self.map_grid
        return grid.stride_x * self.mpp.x * grid.stride_y * self.mpp.y

    @cached_property
    def centers(self) -> NDArray[np.float64]:
        """Middle of each patch in level-0 pixels, float (P, 2) as x, y."""
        corners = self.features.corners()
        return (corners[:, :2] + corners[:, 2:]) / 2

    def patch_at(self, x: float, y: float) -> int | None:
        """Return which patch lies at a place in level-0 pixels; None on glass."""
        found = int(self.patches_at(np.array([(x, y)]))[0])
        return found if found >= 0 else None

    def patches_of(self, examples: tuple[Example, ...]) -> NDArray[np.int64]:
        """Return the patch of each example on this slide, int64; -1 on glass."""
        places = [(example.x, example.y) for example in examples]
        return self.patches_at(np.array(places, float).reshape(-1, 2))

    def patches_inside(self, outline: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the patches whose middle lies in an outline, int64.

        Parameters
        ----------
        outline
            float (N, 2) as x, y in level-0 pixels; it may cross itself. One that holds no middle
            of any place, as it is small, means the patch in which its own middle lies.
        """
        inside = np.flatnonzero(_inside(outline, self.centers)).astype(np.int64)
        if len(inside) or not len(outline) or len(self.free_inside(outline)):
            return inside
        own = self.patch_at(*outline.mean(0).tolist())
        return np.array([] if own is None else [own], np.int64)

    def free_cells(self, places: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return where on the grid a patch could be, and is not, though some of these lie there.

        Parameters
        ----------
        places
            float (N, 2) as x, y in level-0 pixels.

        Returns
        -------
        int64 (M, 2), column and row of each, once.
        """
        column, row, inside = self._cells_at(*places.reshape(-1, 2).T)
        free = inside.copy()
        free[inside] = self._free[row[inside], column[inside]]
        return np.unique(np.stack([column[free], row[free]], axis=1), axis=0)

    def cells_beyond(self, places: NDArray[np.float64]) -> frozenset[Place]:
        """Return where on the grid no tissue was found, though some of these places lie there.

        Whether there is a patch, as a person showed it, or could be one.
        """
        column, row, _ = self._cells_at(*places.reshape(-1, 2).T)
        free = ((column, row) for column, row in self.free_cells(places).tolist())
        return frozenset(free) | self.grown.intersection(
            zip(column.tolist(), row.tolist(), strict=True)
        )

    def free_inside(self, outline: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the middles of places without a patch that lie in an outline, float (N, 2).

        As for `patches_inside`, a small outline means the place in which it lies.
        """
        corners = self.free_corners()
        middles = (corners[:, :2] + corners[:, 2:]) / 2
        found: NDArray[np.float64] = middles[_inside(outline, middles)]
        if len(found) or not len(outline) or _inside(outline, self.centers).any():
            return found
        x, y = outline.mean(0)
        left, top, right, bottom = corners.T
        own: NDArray[np.float64] = middles[(left <= x) & (x < right) & (top <= y) & (y < bottom)]
        return own

    def free_corners(self) -> NDArray[np.float64]:
        """Return left, top, right, bottom of each place that could be a patch, (N, 4)."""
        rows, columns = np.nonzero(self._free)
        return self.features.corners_at(columns, rows)

    @cached_property
    def _free(self) -> NDArray[np.bool_]:
        """Where on the grid there is no patch, though its middle is on the slide and readable."""
        grid = self.features
        free: NDArray[np.bool_] = grid.index < 0
        for column, row in grid.unreadable:
            free[row, column] = False
        if self.extent is not None:
            rows, columns = grid.shape
            x = grid.origin_x + (np.arange(columns) + 0.5) * grid.stride_x
            y = grid.origin_y + (np.arange(rows) + 0.5) * grid.stride_y
            free &= ((y >= self.extent.y) & (y < self.extent.bottom))[:, None]
            free &= (x >= self.extent.x) & (x < self.extent.right)
        return free

    def patches_at(self, places: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return which patch lies at each place (N, 2), x and y in level-0 pixels; -1 on glass."""
        column, row, inside = self._cells_at(*places.T)
        found = np.full(len(places), -1, np.int64)
        found[inside] = self.features.index[row[inside], column[inside]]
        return found

    def _cells_at(
        self, x: NDArray[np.float64], y: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
        """Return column and row of places, and whether these are on the grid."""
        grid = self.features
        column = np.floor((x - grid.origin_x) / grid.stride_x).astype(np.int64)
        row = np.floor((y - grid.origin_y) / grid.stride_y).astype(np.int64)
        rows, columns = grid.shape
        return column, row, (column >= 0) & (row >= 0) & (column < columns) & (row < rows)


def _inside(outline: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.bool_]:
    from shapely import Polygon, contains_xy, make_valid

    if len(outline) < 3:
        return np.zeros(len(places), np.bool_)
    x, y = places.T
    return np.asarray(contains_xy(make_valid(Polygon(outline)), x, y))


def kept_slides(
    store: FeatureStore, slides: Iterable[SlideId], like: PreparedSlide, lesson: Lesson
) -> list[PreparedSlide]:
    """Return slides that are not open, from their kept features, so that their examples count.

    Parameters
    ----------
    slides
        Which slides; those of which nothing is kept are left out.
    lesson
        Its examples say which patches count that lie beyond the tissue found.
    like
        A slide that the same encoder encoded.
    """
    encoder = like.features.key.encoder
    found = store.of_slides({(slide.fingerprint, slide.image, encoder) for slide in slides})
    return [_closed(store, features, lesson) for features in found]


def _closed(store: FeatureStore, features: PatchFeatures, lesson: Lesson) -> PreparedSlide:
    # how much of a patch is tissue matters for areas, and closed slides have none
    whole = PreparedSlide(features, np.ones(len(features)))
    tissue = kept_tissue(store, features, AnalyzeSettings().min_tissue)
    if tissue is None:
        return whole
    whole = replace(whole, grown=tissue.grown)
    unshown = tissue.grown - whole.cells_beyond(lesson.places_on(whole.id))
    some = features.without(tissue.other | unshown)
    return PreparedSlide(some, np.ones(len(some)), grown=tissue.grown - unshown)


def prepare_slide(
    features: PatchFeatures,
    mask: TissueMask,
    aside: PatchFeatures | None = None,
    grown: frozenset[Place] = frozenset(),
) -> PreparedSlide:
    """Measure how much of each patch is tissue.

    Parameters
    ----------
    mask
        The tissue on which the patches were planned.
    aside
        The patches of the grid half a patch aside, for a finer map.
    grown
        Those of the patches that a person showed; the mask holds them.
    """
    finer = FinerGrid.of(features, aside, mask) if aside is not None else None
    height, width = mask.pixels.shape
    extent = Box(0, 0, width * mask.scale_x, height * mask.scale_y)
    return PreparedSlide(features, tissue_of(features, mask), finer, extent, grown)
