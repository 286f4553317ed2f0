"""Writing features as they are encoded: in the end all of them lie there, or nothing does."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from napari_xmag.errors import ExportError
from napari_xmag.features.key import FeatureKey
from napari_xmag.features.patch_features import (
    FEATURES,
    PLACES,
    PatchFeatures,
    Place,
    about_json,
    mapped,
    mark_of,
)
from napari_xmag.filenames import ABOUT
from napari_xmag.files import write_json
from napari_xmag.leftovers import part_of, remove
from napari_xmag.nets.folders.folder import file_sha256
from napari_xmag.replacing import take_place
from napari_xmag.slide.tiles import TileGrid


class FeatureWriter:
    """Takes the features of one slide, batch by batch, into a folder that appears when all are in.

    Parameters
    ----------
    folder
        Where they shall lie.
    key
        Slide, encoder and grid.
    patches
        The grid and the patches that will be encoded.
    precision
        Number type of the encoder's arithmetic.
    names
        File name of the slide and name of the encoder.
    mpp
        Level-0 µm per pixel, x and y.
    """

    def __init__(
        self,
        folder: Path,
        key: FeatureKey,
        patches: TileGrid,
        *,
        precision: str,
        names: tuple[str, str],
        mpp: tuple[float, float],
    ) -> None:
        self.folder = folder
        self._key, self._patches = key, patches
        self._precision, self._names, self._mpp = precision, names, mpp
        self._part = part_of(folder)
        self._file: IO[bytes] | None = None
        self._length = 0
        self._written: list[NDArray[np.int64]] = []
        self._unreadable: dict[Place, str] = {}

    def add(self, indices: NDArray[np.int64], features: NDArray[np.floating]) -> None:
        """Write the features of some patches.

        Parameters
        ----------
        indices
            int64 (k,), which patches of the grid.
        features
            Float (k, D).

        Raises
        ------
        ExportError
            When they cannot be written, or are beyond float16.
        """
        with np.errstate(over="ignore"):
            half = np.ascontiguousarray(features, np.dtype("<f2"))
        if not np.isfinite(half).all():
            raise ExportError(
                expected=f"features within ±{np.finfo(np.float16).max:g}, as float16 holds them",
                found="larger ones, or values that are not numbers",
                hint="Choose the precision float32; a network with such features cannot be kept.",
            )
        with told_plainly(self.folder):
            self._open(half.shape[1]).write(half.tobytes())
        self._written.append(indices)

    def add_unreadable(self, indices: NDArray[np.int64], reason: str) -> None:
        """Note that the tile of some patches could not be read."""
        for index in indices:
            place = int(self._patches.columns[index]), int(self._patches.rows[index])
            self._unreadable[place] = reason

    @property
    def is_empty(self) -> bool:
        """Whether no features came in."""
        return not self._written

    def finish(self) -> PatchFeatures:
        """Put the folder in its place; return what lies there now.

        Raises
        ------
        ExportError
            When it cannot be written, or a patch is missing.
        """
        try:
            kept = self._described()
            with told_plainly(self.folder):
                self._close()
                np.save(self._part / PLACES, np.stack([kept.columns, kept.rows], 1).astype("<i4"))
                sha256 = {name: file_sha256(self._part / name) for name in (FEATURES, PLACES)}
                write_json(self._part / ABOUT, about_json(kept, sha256))
                take_place(self._part, self.folder)
        finally:
            self.discard()
        return replace(kept, features=mapped(self.folder), mark=mark_of(sha256))

    def discard(self) -> None:
        """Leave nothing behind of what was not finished."""
        if self._file is not None:
            with suppress(OSError):  # what could not be flushed goes anyway
                self._file.close()
        remove(self._part)

    def _open(self, length: int) -> IO[bytes]:
        if self._file is None:
            self._part.mkdir(parents=True)
            self._length = length
            self._file = (self._part / FEATURES).open("wb")
            self._write_header(len(self._patches.columns))
        return self._file

    def _write_header(self, rows: int) -> None:
        # numpy leaves room in the header, so that another number of rows fits as well
        assert self._file is not None
        header = {"descr": "<f2", "fortran_order": False, "shape": (rows, self._length)}
        self._file.seek(0)
        np.lib.format.write_array_header_1_0(self._file, header)

    def _close(self) -> None:
        assert self._file is not None
        self._write_header(sum(map(len, self._written)))
        self._file.close()

    def _described(self) -> PatchFeatures:
        places = self._patches
        written = np.concatenate([*self._written, np.empty(0, np.int64)])
        expected = len(places.columns) - len(self._unreadable)
        if not len(written) or len(written) != expected or len(np.unique(written)) != expected:
            raise ExportError(
                expected=f"the features of {expected or 'some'} patches, each once",
                found=f"those of {len(written)}",
                hint="Encode the slide again.",
            )
        return PatchFeatures(
            np.broadcast_to(np.float16(0), (len(written), self._length)),
            places.columns[written].astype(np.int64),
            places.rows[written].astype(np.int64),
            places.shape,
            self._key,
            self._precision,
            self._names,
            self._mpp,
            self._unreadable,
        )


@contextmanager
def told_plainly(folder: Path) -> Iterator[None]:
    """Say in words why features cannot be written.

    Raises
    ------
    ExportError
        In place of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise ExportError(
            expected=f"to keep features in {folder.parent}",
            found=error.strerror or str(error),
            hint="Make room on that disk, or choose another folder.",
            causes=[error],
        ) from error
