"""Samples that lie uncompressed and in one piece in a file, read where they are wanted.

Read, not mapped: a file that is cut while it is mapped ends the whole program (SIGBUS).
"""

from dataclasses import dataclass
from io import FileIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Rows of which at least this share is wanted are read whole.
_MOST_OF_A_ROW = 0.5


@dataclass(frozen=True, eq=False)
class PlainSamples:
    """Where the samples of one picture lie.

    Attributes
    ----------
    offset
        Of the first sample in bytes.
    dtype
        Of a sample, with its byte order.
    width, height
        In pixels.
    samples
        For each pixel.
    planes
        1, or as many as samples where each lies in a plane of its own.
    """

    offset: int
    dtype: np.dtype[Any]
    width: int
    height: int
    samples: int
    planes: int = 1

    @property
    def end(self) -> int:
        """Place in bytes after the last sample."""
        return self.offset + self.dtype.itemsize * self.width * self.height * self.samples

    def read(self, file: FileIO, left: int, top: int, right: int, bottom: int) -> NDArray[Any]:
        """Return samples (bottom - top, right - left, samples).

        Raises
        ------
        OSError
            When the file ends before.
        """
        parts = [
            self._read_plane(file, plane, left, top, right, bottom) for plane in range(self.planes)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)

    def _read_plane(
        self, file: FileIO, plane: int, left: int, top: int, right: int, bottom: int
    ) -> NDArray[Any]:
        together = self.samples // self.planes
        pixel = self.dtype.itemsize * together
        row = self.width * pixel
        start = self.offset + plane * row * self.height + top * row
        rows, columns = bottom - top, right - left
        if columns >= _MOST_OF_A_ROW * self.width:
            whole = np.frombuffer(_exactly(file, start, rows * row), self.dtype)
            return whole.reshape(rows, self.width, together)[:, left:right]
        parts = (
            _exactly(file, start + line * row + left * pixel, columns * pixel)
            for line in range(rows)
        )
        return np.frombuffer(b"".join(parts), self.dtype).reshape(rows, columns, together)


def _exactly(file: FileIO, place: int, count: int) -> bytes:
    file.seek(place)
    data = file.read(count)
    while data and len(data) < count:  # one call gives 2 GiB at most
        more = file.read(count - len(data))
        if not more:
            break
        data += more
    if data is None or len(data) != count:
        raise OSError("the file ends within the image")
    return data
