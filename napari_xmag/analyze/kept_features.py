"""The kept features of a slide during its analysis: looked up, or written as tiles are encoded."""

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_xmag.errors import ExportError
from napari_xmag.features.key import FeatureKey
from napari_xmag.features.patch_features import PatchFeatures
from napari_xmag.features.store import FeatureStore
from napari_xmag.features.writer import FeatureWriter
from napari_xmag.slide.bag import Bag
from napari_xmag.slide.base import Slide, require_mpp
from napari_xmag.slide.fingerprint import slide_fingerprint

if TYPE_CHECKING:
    from napari_xmag.analyze.encoder import AnyModel

_log = logging.getLogger(__name__)

_TILES_AT_ONCE = 32


class FeatureKeeper:
    """Finds and keeps the features of one slide; without a store it does neither.

    Parameters
    ----------
    store
        Where features are kept.
    slide, model
        Of the analysis.
    exact
        Whether features in half precision do not serve.
    strict
        Raise what cannot be kept, instead of a warning.
    aside
        Features of the grid half a patch aside.
    key
        Of the features, where it is known.
    """

    def __init__(
        self,
        store: FeatureStore | None,
        slide: Slide,
        model: "AnyModel",
        *,
        exact: bool,
        strict: bool = False,
        aside: bool = False,
        key: FeatureKey | None = None,
    ) -> None:
        self._store, self._slide, self._model = store, slide, model
        self._exact, self._strict, self._aside = exact, strict, aside
        self._key = key
        self._writer: FeatureWriter | None = None

    def find(self) -> PatchFeatures | None:
        """Return what is kept of the slide."""
        if self._store is None:
            return None
        try:
            self._key = self._key or self._own_key()
        except OSError as error:
            # without a fingerprint nobody could find them again
            _log.warning("The features of %s are not kept: %s", self._slide.path.name, error)
            return None
        return self._store.find(self._key, exact=self._exact)

    def _own_key(self) -> FeatureKey:
        from napari_xmag.analyze.encoder import networks_of

        info = self._model.info
        return FeatureKey.of(
            self._slide,
            networks_of(self._model).fingerprint(),
            info.granularity,
            info.mpp,
            info.tile_px,
            self._model.cells,
            aside=self._aside,
        )

    def begin(self, bag: Bag, precision: str) -> None:
        """Prepare for the features of these patches.

        Parameters
        ----------
        precision
            Of the engine's arithmetic.
        """
        if self._store is None or self._key is None or not len(bag.patches.boxes):
            return
        mpp = require_mpp(self._slide)
        names = self._slide.path.name, self._model.info.name
        try:
            self._writer = self._store.writer(
                self._key, bag.patches, precision=precision, names=names, mpp=(mpp.x, mpp.y)
            )
        except ExportError as error:
            self._give_up(error)

    @property
    def has_store(self) -> bool:
        """Whether features can be kept."""
        return self._store is not None

    def add(self, indices: NDArray[np.int64], features: NDArray[np.float32] | None) -> None:
        """Write the features of a batch."""
        if self._writer is not None and features is not None:
            try:
                self._writer.add(indices, features)
            except ExportError as error:
                self._give_up(error)

    def add_unreadable(self, members: NDArray[np.int64], reason: str) -> None:
        """Note a tile that could not be read, by its members of `Bag.members`."""
        if self._writer is not None:
            self._writer.add_unreadable(members[members >= 0], reason)

    def finish(self) -> PatchFeatures | None:
        """Keep what was written; None where nothing was."""
        if self._writer is None or self._store is None:
            return None
        if self._writer.is_empty:
            self.close()
            return None
        try:
            self._require_unchanged()
            kept = self._writer.finish()
        except ExportError as error:
            self._give_up(error)
            return None
        self._writer = None
        self._store.make_room(keep=kept.key)
        return kept

    def _require_unchanged(self) -> None:
        """Refuse features of a file that was replaced while it was encoded."""
        path = self._slide.path
        now = slide_fingerprint(path, self._slide.image.index)
        if self._key is None or now != self._key.slide:
            raise ExportError(
                expected=f"{path.name} to stay as it was while it was encoded",
                found="that it changed while it was encoded",
                hint="Encode it again once it is no longer written to.",
            )

    def close(self) -> None:
        """Leave nothing behind of an analysis that did not end well."""
        if self._writer is not None:
            self._writer.discard()
            self._writer = None

    def _give_up(self, error: ExportError) -> None:
        self.close()
        if self._strict:
            raise error
        _log.warning("The features of %s are not kept. %s", self._slide.path.name, error)


class KeptTiles:
    """Tiles of a slide whose features are kept.

    Parameters
    ----------
    kept
        The features.
    bag
        What is analyzed.
    rows
        int64 (P,), the row of features of each patch of the bag; -1 where it is unreadable.
    """

    def __init__(self, kept: PatchFeatures, bag: Bag, rows: NDArray[np.int64]) -> None:
        self._kept, self._bag, self._rows = kept, bag, rows
        members = bag.members
        lost = np.where(members >= 0, rows[members] < 0, False).any(1)
        self._lost, self._readable = np.flatnonzero(lost), np.flatnonzero(~lost)

    def unreadable(self) -> Iterator[tuple[int, str]]:
        """Yield tile and reason of what could not be read when it was encoded."""
        grid = self._bag.patches
        for tile in self._lost.tolist():
            members = self._bag.members[tile]
            first = int(members[members >= 0][0])
            place = int(grid.columns[first]), int(grid.rows[first])
            yield tile, self._kept.unreadable[place]

    def batches(self) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.float32]]]:
        """Yield number of tiles, their patches int64 (k,), and the features float32 (k, D)."""
        for start in range(0, len(self._readable), _TILES_AT_ONCE):
            tiles = self._readable[start : start + _TILES_AT_ONCE]
            members = self._bag.members[tiles]
            indices = members[members >= 0]
            yield len(tiles), indices, self._kept.features[self._rows[indices]].astype(np.float32)
