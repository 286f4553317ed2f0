"""Small DICOM whole slides, written as scanners and converters write them, rightly and wrongly."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
    generate_uid,
)

from tests.dicom import WHOLE_SLIDE
from tests.slides import Pixels

TILE = 256


def to_ycbcr(pixels: Pixels) -> Pixels:
    """Return JFIF's YCbCr, by Pillow."""
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).convert("YCbCr"))


def jpeg_frame(tile: Pixels) -> bytes:
    """Return a JPEG frame of YCbCr, which says so."""
    return imagecodecs.jpeg8_encode(
        np.ascontiguousarray(tile), 95, colorspace="RGB", outcolorspace="YCBCR", subsampling="444"
    )


def jpeg2000_frame(tile: Pixels, *, ycbcr: bool = False, transform: bool = True) -> bytes:
    """Return a lossless JPEG 2000 frame."""
    stored = to_ycbcr(tile) if ycbcr else np.ascontiguousarray(tile)
    return imagecodecs.jpeg2k_encode(
        stored, level=0, mct=transform, codecformat="J2K", reversible=True
    )


def native_frame(tile: Pixels) -> bytes:
    """Return the samples themselves."""
    return np.ascontiguousarray(tile).tobytes()


def rle_frame(tile: Pixels) -> bytes:
    """Return run lengths, a segment for each colour."""
    segments = [imagecodecs.packbits_encode(tile[..., i].tobytes()) for i in range(3)]
    segments = [part + bytes(len(part) % 2) for part in segments]
    places = [64 + sum(map(len, segments[:i])) for i in range(3)]
    header = np.zeros(16, "<u4")
    header[0], header[1:4] = 3, places
    return header.tobytes() + b"".join(segments)


Encode = Callable[[Pixels], bytes]
SYNTAXES: dict[str, tuple[str, str, Encode]] = {
    "jpeg": (JPEGBaseline8Bit, "YBR_FULL_422", jpeg_frame),
    "jpeg2000": (JPEG2000Lossless, "YBR_RCT", jpeg2000_frame),
    "lossy": (JPEG2000, "YBR_ICT", jpeg2000_frame),
    "rle": (RLELossless, "RGB", rle_frame),
    "native": (ExplicitVRLittleEndian, "RGB", native_frame),
}


def tiles_of(pixels: Pixels, tile: int = TILE) -> list[Pixels]:
    """Return the tiles of a picture, row by row, padded with black as frames are."""
    height, width = pixels.shape[:2]
    padded = np.pad(pixels, ((0, -height % tile), (0, -width % tile), (0, 0)))
    return [
        padded[y : y + tile, x : x + tile]
        for y in range(0, height, tile)
        for x in range(0, width, tile)
    ]


def write_dicom(
    path: Path,
    planes: Sequence[Pixels],
    *,
    mpp: float | tuple[float, float] | None = 0.5,
    series: str = "1.2.3.1",
    container: str = "A",
    kind: str = "jpeg",
    photometric: str | None = None,
    encode: Encode | None = None,
    volume_mpp: tuple[float, float] | None = None,
    order: Sequence[int] | None = None,
    flavor: str = "VOLUME",
    tile: int = TILE,
    change: Callable[[Dataset], None] = lambda dataset: None,
) -> Path:
    """Write one level of a DICOM slide.

    Parameters
    ----------
    planes
        One picture, or one for each focal plane.
    mpp
        µm per pixel, (x, y) where they differ, as PixelSpacing; None states none.
    volume_mpp
        The same as ImagedVolume.
    order
        Frames in this order, each with its place (TILED_SPARSE); None for TILED_FULL.
    change
        Alters the dataset before it is written.
    """
    syntax, label, own = SYNTAXES[kind]
    frames = [(encode or own)(part) for plane in planes for part in tiles_of(plane, tile)]
    height, width = planes[0].shape[:2]
    dataset = _header(path, syntax, series, container, flavor)
    dataset.update(_pixels(width, height, tile, planes[0].dtype.itemsize * 8))
    dataset.PhotometricInterpretation = photometric or label
    dataset.TotalPixelMatrixFocalPlanes = len(planes)
    _state_spacing(dataset, mpp, volume_mpp)
    if order is not None:
        frames = [frames[index] for index in order]
        _state_places(dataset, order, width, height, tile)
    dataset.DimensionOrganizationType = "TILED_FULL" if order is None else "TILED_SPARSE"
    dataset.NumberOfFrames = len(frames)
    native = syntax == ExplicitVRLittleEndian
    dataset.PixelData = b"".join(frames) if native else encapsulate(frames)
    dataset["PixelData"].VR = "OB"
    change(dataset)
    dataset.save_as(path, enforce_file_format=True)
    return path


def _header(path: Path, syntax: str, series: str, container: str, flavor: str) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = WHOLE_SLIDE
    uid = generate_uid(entropy_srcs=[str(path), series, container])
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = uid
    dataset.ImageType = ["ORIGINAL", "PRIMARY", flavor, "NONE"]
    dataset.Modality = "SM"
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID = series, "1.2.3"
    dataset.SeriesNumber = int(series.rsplit(".", 1)[1])
    dataset.ContainerIdentifier = container
    optics = Dataset()
    optics.OpticalPathIdentifier, optics.ObjectiveLensPower = "1", 20.0
    dataset.OpticalPathSequence = [optics]
    return dataset


def _pixels(width: int, height: int, tile: int, bits: int) -> dict[Any, Any]:
    dataset = Dataset()
    dataset.TotalPixelMatrixColumns, dataset.TotalPixelMatrixRows = width, height
    dataset.Rows = dataset.Columns = tile
    dataset.SamplesPerPixel, dataset.PlanarConfiguration = 3, 0
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit, dataset.PixelRepresentation = bits - 1, 0
    return dict(dataset.items())


def _state_spacing(
    dataset: Dataset,
    mpp: float | tuple[float, float] | None,
    volume_mpp: tuple[float, float] | None,
) -> None:
    if mpp is not None:
        x, y = mpp if isinstance(mpp, tuple) else (mpp, mpp)
        measures, shared = Dataset(), Dataset()
        measures.PixelSpacing = [f"{y / 1000:.9g}", f"{x / 1000:.9g}"]
        shared.PixelMeasuresSequence = [measures]
        dataset.SharedFunctionalGroupsSequence = [shared]
    if volume_mpp is not None:
        dataset.ImagedVolumeWidth = dataset.TotalPixelMatrixColumns * volume_mpp[0] / 1000
        dataset.ImagedVolumeHeight = dataset.TotalPixelMatrixRows * volume_mpp[1] / 1000


def _state_places(
    dataset: Dataset, order: Sequence[int], width: int, height: int, tile: int
) -> None:
    columns, rows = -(-width // tile), -(-height // tile)
    items = []
    for index in order:
        plane, place = divmod(index, columns * rows)
        position, item = Dataset(), Dataset()
        position.ColumnPositionInTotalImagePixelMatrix = place % columns * tile + 1
        position.RowPositionInTotalImagePixelMatrix = place // columns * tile + 1
        position.ZOffsetInSlideCoordinateSystem = f"{plane * 1.5:g}"
        item.PlanePositionSlideSequence = [position]
        items.append(item)
    dataset.PerFrameFunctionalGroupsSequence = items
