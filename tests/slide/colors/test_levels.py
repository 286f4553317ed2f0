"""What a slide's samples show outweighs what the file says of them."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from pydicom import Dataset

from napari_xmag.geometry import Box
from napari_xmag.slide.base import NoteCode
from napari_xmag.slide.open import open_slide
from tests.dicom_slides import write_dicom
from tests.slide.colors.test_glass import STAINS, stain
from tests.slide.colors.test_stored import (
    HEIGHT,
    PICTURE,
    WHOLE,
    WIDTH,
    state_subsampling,
    to_ycbcr,
)
from tests.slides import Pixels


def write(path: Path, pixels: Pixels, photometric: str, compression: str | int | None) -> Path:
    """Write samples under a label, right or wrong."""
    tifffile.imwrite(
        path, pixels, photometric=photometric, compression=compression, metadata=None,
        tile=(128, 128),
    )  # fmt: skip
    if photometric == "ycbcr":
        state_subsampling(path, (1, 1))
    return path


OLD_ZSTD, PIXTIFF = 34926, 50013


@pytest.mark.parametrize(
    "compression", [None, "zlib", "lzw", "lzma", "zstd", OLD_ZSTD, PIXTIFF, "png", "lerc"]
)
@pytest.mark.parametrize("stored", ["RGB", "YCbCr"])
def test_a_wrong_label_is_known_by_the_glass(
    tmp_path: Path, compression: str | int | None, stored: str
) -> None:
    pixels, label = (PICTURE, "ycbcr") if stored == "RGB" else (to_ycbcr(PICTURE), "rgb")
    with open_slide(write(tmp_path / "a.tif", pixels, label, compression)) as slide:
        assert np.abs(slide.read(WHOLE, 0).astype(int) - PICTURE).max() <= 3
        assert slide.notes == ()


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "lzma", "png", "webp"])
def test_chroma_is_whole_where_no_tag_or_a_wrong_one_calls_it_coarser(
    tmp_path: Path, compression: str | None
) -> None:
    """TIFF takes 2 × 2 for granted where the tag is missing; many writers leave it out."""
    lossless = {"compressionargs": {"lossless": True}} if compression == "webp" else {}
    stored = PICTURE if compression == "webp" else to_ycbcr(PICTURE)
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, stored, photometric="ycbcr", compression=compression, metadata=None,
        tile=(128, 128), **lossless,
    )  # fmt: skip
    state_subsampling(path, (2, 2))
    with open_slide(path) as slide:
        assert np.abs(slide.read(WHOLE, 0).astype(int) - PICTURE).max() <= 3
        assert slide.notes == ()


@pytest.mark.parametrize("stored", ["RGB", "YCbCr"])
def test_a_wrong_label_of_dicom_is_known_by_the_glass(tmp_path: Path, stored: str) -> None:
    path = write_dicom(
        tmp_path / "a.dcm", [PICTURE], kind="native",
        photometric="YBR_FULL" if stored == "RGB" else "RGB",
        encode=lambda tile: (tile if stored == "RGB" else to_ycbcr(tile)).tobytes(),
    )  # fmt: skip
    with open_slide(path) as slide:
        assert np.abs(slide.read(WHOLE, 0).astype(int) - PICTURE).max() <= 3


@pytest.mark.parametrize("glass", [(236, 220, 180), (205, 220, 240), (200, 200, 200)], ids=str)
@pytest.mark.parametrize("stored", ["RGB", "YCbCr"])
@pytest.mark.parametrize("label", ["rgb", "ycbcr"])
def test_tinted_and_dim_glass(
    tmp_path: Path, glass: tuple[int, int, int], stored: str, label: str
) -> None:
    tinted = np.where((PICTURE > 230).all(axis=2, keepdims=True), glass, PICTURE).astype(np.uint8)
    pixels = tinted if stored == "RGB" else to_ycbcr(tinted)
    with open_slide(write(tmp_path / "a.tif", pixels, label, "zlib")) as slide:
        if (stored, label) == ("YCbCr", "rgb") and glass[0] != glass[2]:
            # Red tissue beside green or purple looks the same: the label counts, and that is said.
            assert "could not be verified" in slide.notes[0].words
        else:
            assert np.abs(slide.read(WHOLE, 0).astype(int) - tinted).max() <= 3
            assert slide.notes == ()


@pytest.mark.parametrize("label", ["rgb", "ycbcr"])
def test_without_glass_the_label_counts_and_is_said(tmp_path: Path, label: str) -> None:
    rng = np.random.default_rng(3)
    tissue = np.clip(rng.normal((200, 90, 150), 3, (256, 256, 3)), 0, 255).astype(np.uint8)
    pixels = tissue if label == "rgb" else to_ycbcr(tissue)
    with open_slide(write(tmp_path / "a.tif", pixels, label, "zlib")) as slide:
        assert np.abs(slide.read(Box(0, 0, 256, 256), 0).astype(int) - tissue).max() <= 3
        (note,) = slide.notes
        assert note.code is NoteCode.COLORS
        assert "could not be verified" in note.words


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
@pytest.mark.parametrize("tiled", [True, False])
def test_fewer_bits_in_16_are_scaled_and_said(tmp_path: Path, bits: int, tiled: bool) -> None:
    deep = np.rint(PICTURE / 255 * (2**bits - 1)).astype(np.uint16)
    options = {"tile": (128, 128), "compression": "zlib"} if tiled else {}
    path = tmp_path / "deep.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(deep, photometric="rgb", metadata=None, **options)
        file.write(deep[::2, ::2], photometric="rgb", metadata=None, subfiletype=1, **options)
    with open_slide(path) as slide:
        np.testing.assert_array_equal(slide.read(WHOLE, 0), PICTURE)
        np.testing.assert_array_equal(slide.read(WHOLE, 1), PICTURE[::2, ::2])
        (note,) = slide.notes
        assert f"only {bits} are used" in note.words


def test_dark_tissue_without_glass_stays_as_dark_as_the_file_says(tmp_path: Path) -> None:
    dark = (stain(STAINS["H&E"], seed=5) * 0.24).astype(np.uint8)
    path = tmp_path / "dark.tif"
    tifffile.imwrite(path, dark.astype(np.uint16) * 257, photometric="rgb", metadata=None)
    with open_slide(path) as slide:
        np.testing.assert_array_equal(slide.read(Box(0, 0, 256, 256), 0), dark)
        assert "only 14 are used" in slide.notes[0].words
        assert "it is shown as stated" in slide.notes[0].words


def test_bits_that_ome_states_need_neither_glass_nor_note(tmp_path: Path) -> None:
    pixels = stain(STAINS["Mallory"], seed=5)
    path = tmp_path / "deep.ome.tif"
    deep = np.rint(pixels / 255 * (2**14 - 1)).astype(np.uint16)
    tifffile.imwrite(path, deep, photometric="rgb", metadata={"SignificantBits": 14})
    with open_slide(path) as slide:
        np.testing.assert_array_equal(slide.read(Box(0, 0, 256, 256), 0), pixels)
        assert slide.notes == ()


def test_fewer_bits_of_dicom_in_16(tmp_path: Path) -> None:
    def change(dataset: Dataset) -> None:
        dataset.BitsStored, dataset.HighBit = 16, 15

    deep = PICTURE.astype(np.uint16)
    path = write_dicom(tmp_path / "a.dcm", [deep], kind="native", change=change)  # type: ignore[list-item]
    with open_slide(path) as slide:
        np.testing.assert_array_equal(slide.read(Box(0, 0, WIDTH, HEIGHT), 0), PICTURE)
        assert "only 8 are used" in slide.notes[0].words
