"""Sound slides of every kind that mutations start from; their colours tell where they lie."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from tests.dicom_slides import write_dicom
from tests.slides import write_aperio, write_leica, write_pyramid

SIDE = 512
Pixels = NDArray[np.uint8]


def gradient(side: int = SIDE) -> Pixels:
    """Return a picture whose red tells the column and whose green tells the row."""
    ramp = np.arange(side) * 160 // side + 40
    blue = np.full((side, side), 120)
    return np.dstack([*np.meshgrid(ramp, ramp), blue]).astype(np.uint8)


def place_of(color: NDArray[np.float64]) -> tuple[float, float]:
    """Return the (x, y) at which level 0 has a colour."""
    return (color[0] - 40) * SIDE / 160, (color[1] - 40) * SIDE / 160


@dataclass(frozen=True)
class Seed:
    """A kind of slide.

    Attributes
    ----------
    suffix
        Of the file.
    write
        Writes it.
    """

    suffix: str
    write: Callable[[Path], object]


def _pyramid(**options: Any) -> Callable[[Path], object]:
    return lambda path: write_pyramid(path, gradient(), factors=(1, 2, 4), tile=128, **options)


def _plain(**options: Any) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        tifffile.imwrite(
            path,
            gradient(),
            photometric="rgb",
            metadata=None,
            resolution=(10_000, 10_000),
            resolutionunit="CENTIMETER",
            **options,
        )

    return write


def _ome(path: Path) -> None:
    pixels, sizes = gradient(), {"PhysicalSizeX": 1.0, "PhysicalSizeY": 1.0}
    with tifffile.TiffWriter(path, ome=True) as writer:
        options: dict[str, Any] = {"photometric": "rgb", "tile": (128, 128)}
        writer.write(pixels, subifds=1, metadata={"axes": "YXS", **sizes}, **options)
        writer.write(pixels[::2, ::2].copy(), subfiletype=1, **options)


def _dicom(path: Path) -> None:
    write_dicom(path, [gradient()], mpp=1.0)


SEEDS = {
    "Aperio, JPEG": Seed(".svs", lambda path: write_aperio(path, gradient(), factors=(1, 2))),
    "pyramid, JPEG": Seed(".tif", _pyramid()),
    "pyramid, deflate": Seed(".tif", _pyramid(compression="adobe_deflate")),
    "pyramid, JPEG 2000": Seed(".tif", _pyramid(compression="jpeg2000")),
    "strips, plain": Seed(".tif", _plain()),
    "strips, LZW": Seed(".tif", _plain(compression="lzw", rowsperstrip=32)),
    "BigTIFF, big-endian": Seed(".btf", _plain(bigtiff=True, byteorder=">", tile=(128, 128))),
    "OME-TIFF": Seed(".ome.tif", _ome),
    "Leica SCN": Seed(
        ".scn",
        lambda path: write_leica(path, gradient(), slide_size=(600, 500), offset=(40, 60)),
    ),
    "DICOM": Seed(".dcm", _dicom),
}
