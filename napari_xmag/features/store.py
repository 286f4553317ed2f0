"""The store of patch features: found by slide and encoder, capped on disk, oldest out."""

import logging
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from napari_xmag.errors import ResultError
from napari_xmag.features.beside import Arrays, find_beside, keep_beside
from napari_xmag.features.key import FeatureKey
from napari_xmag.features.patch_features import EXACT, PatchFeatures, stated_slide
from napari_xmag.features.writer import FeatureWriter, told_plainly
from napari_xmag.folder_limits import bytes_of, note_count, surely_fits
from napari_xmag.folders import cache_folder
from napari_xmag.slide.tiles import TileGrid

_log = logging.getLogger(__name__)

DEFAULT_BYTES = 20 * 2**30
"""What the user's own store may take: some three hundred large slides."""


def user_store_folder() -> Path:
    """Return where features are kept."""
    return cache_folder() / "features"


@dataclass(frozen=True)
class FeatureStore:
    """Features of many slides in one folder, a folder for each slide, encoder and grid.

    Several processes may share it: what one writes appears whole, and who reads a folder that
    another removes encodes anew.

    Parameters
    ----------
    folder
        Where; made when something is written.
    most_bytes
        What all may take together; None for no limit. What was not used for longest goes first.
    """

    folder: Path
    most_bytes: int | None = None

    @classmethod
    def of_user(cls, most_bytes: int = DEFAULT_BYTES) -> "FeatureStore":
        """Return the store that all analyses of this user share."""
        return cls(user_store_folder(), most_bytes)

    def place(self, key: FeatureKey) -> Path:
        """Return the folder of a slide's features, whether they are there or not."""
        return self.folder / key.name

    def find(self, key: FeatureKey, *, exact: bool = False) -> PatchFeatures | None:
        """Return the features of a slide; None when there are none, or none that can be trusted.

        Parameters
        ----------
        exact
            Take only those that were computed in full precision.
        """
        folder = self.place(key)
        if not folder.is_dir():
            return None
        try:
            kept = PatchFeatures.load(folder)
            if kept.key != key:
                raise ResultError(
                    expected="features of this slide and encoder",
                    found=f"those of {kept.names[0]} by {kept.names[1]}",
                    hint="Remove the folder.",
                )
        except ResultError as error:
            _log.warning("Kept features are not used and will be made anew. %s", error)
            return None
        if exact and kept.precision != EXACT:
            return None
        with suppress(OSError):  # a store that others wrote may be read-only
            os.utime(folder)
        return kept

    def entries(self) -> Iterator[PatchFeatures]:
        """Yield all that is in the store.

        Raises
        ------
        ResultError
            When something in it is damaged.
        """
        for folder in sorted(self._folders()):
            yield PatchFeatures.load(folder)

    def of_slides(self, wanted: Collection[tuple[str, int, str]]) -> list[PatchFeatures]:
        """Return the features of slides that are not open, as far as they are there and whole.

        Parameters
        ----------
        wanted
            Fingerprint and picture of each slide and fingerprint of the encoder; see `FeatureKey`.
        """
        found: dict[tuple[str, int, str], PatchFeatures] = {}
        for folder in sorted(self._folders()):
            stated = stated_slide(folder)
            if stated is None or stated in found or stated not in wanted:
                continue
            try:
                found[stated] = PatchFeatures.load(folder)
            except ResultError as error:
                _log.warning("Kept features are not used. %s", error)
        return list(found.values())

    def writer(
        self,
        key: FeatureKey,
        patches: TileGrid,
        *,
        precision: str,
        names: tuple[str, str],
        mpp: tuple[float, float],
    ) -> FeatureWriter:
        """Return what takes the features of a slide; see `FeatureWriter`.

        Raises
        ------
        ExportError
            When the folder cannot be written.
        """
        with told_plainly(self.place(key)):
            self.folder.mkdir(parents=True, exist_ok=True)
        return FeatureWriter(
            self.place(key), key, patches, precision=precision, names=names, mpp=mpp
        )

    def keep_beside(self, kept: PatchFeatures, name: str, of: str, arrays: Arrays) -> None:
        """Keep what was found out about a slide's patches, as long as these are kept.

        Parameters
        ----------
        name
            Of the file, in the folder of the features; replaced where it is there.
        of
            What else it was made of.
        """
        if kept.mark and keep_beside(self.place(kept.key), name, f"{kept.mark} {of}", arrays):
            self.make_room(keep=kept.key)

    def find_beside(
        self, kept: PatchFeatures, name: str, of: str
    ) -> dict[str, NDArray[Any]] | None:
        """Return what is kept of these very patches and of nothing else; see `keep_beside`."""
        if not kept.mark:
            return None
        return find_beside(self.place(kept.key), name, f"{kept.mark} {of}")

    def make_room(self, keep: FeatureKey | None = None) -> None:
        """Remove what was not used for longest until the rest is within the limit.

        Parameters
        ----------
        keep
            What was added; stays, whatever its age. All is counted when None.
        """
        if self.most_bytes is None:
            return
        if keep is not None and surely_fits(self.place(keep), self.folder, self.most_bytes):
            return
        dated = []
        for folder in self._folders():
            with suppress(OSError):  # another process may have removed it just now
                dated.append((folder.stat().st_mtime, folder, bytes_of(folder)))
        taken = left = 0
        for _, folder, size in sorted(dated, reverse=True):
            taken += size
            if taken <= self.most_bytes or (keep and folder == self.place(keep)):
                left += size
                continue
            shutil.rmtree(folder, ignore_errors=True)
            _log.info("Removed %s: not used for long", folder)
        note_count(self.folder, left)

    def _folders(self) -> list[Path]:
        """Return those that are finished."""
        if not self.folder.is_dir():
            return []
        return [item for item in self.folder.glob("[!.]*") if item.is_dir()]
