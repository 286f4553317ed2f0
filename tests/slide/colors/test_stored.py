"""Whatever a TIFF stores becomes RGB: YCbCr by any codec, deeper bits, palettes."""

from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from napari_xmag.errors import SlideOpenError
from napari_xmag.geometry import Box
from napari_xmag.slide.colors.codestreams import jpeg2000_color, jpeg_color
from napari_xmag.slide.colors.stored import ColorModel, StoredColor, components_are_ycbcr
from napari_xmag.slide.open import open_slide
from tests.slides import Pixels, draw_section

WIDTH, HEIGHT = 512, 384
PICTURE = draw_section(WIDTH, HEIGHT, seed=7)
WHOLE = Box(0, 0, WIDTH, HEIGHT)
TILE = 128
GLASS = np.array([243, 243, 243])


def to_ycbcr(pixels: Pixels) -> Pixels:
    """Return JFIF's YCbCr, by Pillow."""
    return np.asarray(Image.fromarray(pixels).convert("YCbCr"))


def write_tiles(
    path: Path,
    encode: Callable[[Pixels], bytes],
    *,
    photometric: int,
    compression: int,
    subsampling: tuple[int, int] = (1, 1),
    description: str = "",
) -> Path:
    """Write a tiled TIFF with encoded tiles and the tags that it is given, right or wrong."""
    tiles = [
        encode(PICTURE[y : y + TILE, x : x + TILE])
        for y in range(0, HEIGHT, TILE)
        for x in range(0, WIDTH, TILE)
    ]
    tifffile.imwrite(
        path, iter(tiles), shape=PICTURE.shape, dtype=np.uint8, tile=(TILE, TILE),
        photometric=photometric, compression=compression,
        description=description or None, metadata=None,
        resolution=(20000, 20000), resolutionunit="CENTIMETER",
    )  # fmt: skip
    if photometric == 6:
        state_subsampling(path, subsampling)
    return path


def state_subsampling(path: Path, subsampling: tuple[int, int]) -> None:
    """Write the tag that tells coarser chroma, which tifffile writes for JPEG only."""
    with tifffile.TiffFile(path, mode="r+b") as file:
        file.pages[0].tags["YCbCrSubSampling"].overwrite(subsampling)


def jpeg2000(pixels: Pixels, *, ycbcr: bool, transform: bool) -> bytes:
    """Return a bare JPEG 2000 stream of RGB or YCbCr, with or without component transform."""
    stored = to_ycbcr(pixels) if ycbcr else pixels
    return imagecodecs.jpeg2k_encode(
        np.ascontiguousarray(stored), level=0, mct=transform, codecformat="J2K", reversible=True
    )


@pytest.mark.parametrize("photometric", [2, 6])
@pytest.mark.parametrize("compression", [33003, 33005, 34712])
@pytest.mark.parametrize("ycbcr", [False, True])
def test_jpeg_2000_without_transform_is_known_by_its_glass(
    tmp_path: Path, photometric: int, compression: int, ycbcr: bool
) -> None:
    path = write_tiles(
        tmp_path / "slide.svs",
        lambda pixels: jpeg2000(pixels, ycbcr=ycbcr, transform=False),
        photometric=photometric,
        compression=compression,
        description="Aperio Image Library v11\n512x384 (128x128) J2K/YUV16 Q=70|MPP = 0.5",
    )
    seen = open_slide(path).read(WHOLE, 0).astype(int)
    assert np.abs(seen - PICTURE).max() <= 3


@pytest.mark.parametrize("photometric", [2, 6])
@pytest.mark.parametrize("compression", [33003, 33005, 34712])
def test_jpeg_2000_with_transform_is_rgb_whatever_the_label(
    tmp_path: Path, photometric: int, compression: int
) -> None:
    path = write_tiles(
        tmp_path / "slide.tif",
        lambda pixels: jpeg2000(pixels, ycbcr=False, transform=True),
        photometric=photometric,
        compression=compression,
    )
    np.testing.assert_array_equal(open_slide(path).read(WHOLE, 0), PICTURE)


@pytest.mark.parametrize("codecformat", ["J2K", "JP2"])
def test_what_jpeg_2000_says(codecformat: str) -> None:
    pixels = to_ycbcr(PICTURE[:64, :64])
    options = {"level": 0, "codecformat": codecformat}
    silent = jpeg2000_color(imagecodecs.jpeg2k_encode(pixels, mct=False, **options))
    assert silent is not None
    assert (silent.is_ycbcr, silent.bits, silent.undone) == (None, 8, False)
    transformed = jpeg2000_color(imagecodecs.jpeg2k_encode(pixels, mct=True, **options))
    assert transformed is not None
    assert transformed.undone
    deep = imagecodecs.jpeg2k_encode(pixels.astype(np.uint16) << 4, mct=False, **options)
    assert jpeg2000_color(deep).bits == 16  # type: ignore[union-attr]
    assert jpeg2000_color(b"no stream at all") is None


def test_jpeg_2000_in_a_box_of_sycc_is_converted_once() -> None:
    pixels = to_ycbcr(PICTURE[:64, :64])
    stream = imagecodecs.jpeg2k_encode(
        pixels, level=0, mct=False, codecformat="JP2", colorspace="SYCC"
    )
    color = jpeg2000_color(stream)
    assert color is not None
    assert color.undone


def test_coarse_chroma_in_jpeg_2000_is_ycbcr() -> None:
    stream = bytearray(jpeg2000(PICTURE[:64, :64], ycbcr=True, transform=False))
    sizes = stream.find(b"\xff\x51") + 40
    assert stream[sizes : sizes + 3] == b"\x07\x01\x01"
    stream[sizes + 4] = stream[sizes + 7] = 2  # the columns of Cb and Cr
    color = jpeg2000_color(bytes(stream))
    assert color is not None
    assert color.is_ycbcr


JPEG_KINDS = {
    "jfif": {"colorspace": "RGB", "outcolorspace": "YCBCR"},
    "adobe rgb": {"colorspace": "RGB", "outcolorspace": "RGB"},
}


@pytest.mark.parametrize("photometric", [2, 6])
@pytest.mark.parametrize("kind", JPEG_KINDS)
@pytest.mark.parametrize("marked", [True, False], ids=["marked", "bare"])
def test_jpeg_is_known_by_its_markers_or_its_glass(
    tmp_path: Path, photometric: int, kind: str, marked: bool
) -> None:
    def encode(pixels: Pixels) -> bytes:
        stream = imagecodecs.jpeg8_encode(pixels, 98, subsampling="444", **JPEG_KINDS[kind])
        return stream if marked else without_markers(stream)

    path = write_tiles(tmp_path / "slide.tif", encode, photometric=photometric, compression=7)
    seen = open_slide(path).read(WHOLE, 0).astype(int)
    assert np.abs(seen - PICTURE).mean() < 2
    assert np.abs(seen[:8, :8] - GLASS).max() < 10


def without_markers(stream: bytes) -> bytes:
    """Return a JPEG without its JFIF and Adobe markers, as tiles of slides often are."""
    kept, place = [stream[:2]], 2
    while stream[place + 1] != 0xDA:
        length = 2 + int.from_bytes(stream[place + 2 : place + 4], "big")
        if stream[place + 1] not in (0xE0, 0xEE):
            kept.append(stream[place : place + length])
        place += length
    return b"".join([*kept, stream[place:]])


def test_what_jpeg_says() -> None:
    def said(stream: bytes) -> bool | None:
        color = jpeg_color(stream)
        assert color is not None
        return color.is_ycbcr

    part = PICTURE[:64, :64]
    jfif = imagecodecs.jpeg8_encode(part, 90, colorspace="RGB", outcolorspace="YCBCR")
    plain = imagecodecs.jpeg8_encode(part, 90, subsampling="444", **JPEG_KINDS["jfif"])
    coarse = imagecodecs.jpeg8_encode(part, 90, subsampling="420", **JPEG_KINDS["jfif"])
    adobe = imagecodecs.jpeg8_encode(part, 90, **JPEG_KINDS["adobe rgb"])
    assert said(jfif)
    assert said(adobe) is False
    assert said(without_markers(plain)) is None
    assert said(without_markers(coarse))
    assert jpeg_color(b"\x89PNG") is None


def test_without_glass_the_label_counts() -> None:
    tissue = np.full((64, 64, 3), (150, 90, 140), np.uint8)
    stream = jpeg2000(tissue, ycbcr=False, transform=False)
    assert components_are_ycbcr([stream], None, labelled_ycbcr=True).is_ycbcr
    assert not components_are_ycbcr([stream], None, labelled_ycbcr=False).is_ycbcr


def test_red_tissue_is_not_taken_for_ycbcr() -> None:
    """Bright salmon has nearly the chroma of glass in YCbCr, if one takes RGB for that."""
    rng = np.random.default_rng(1)
    salmon = np.clip(rng.normal((228, 124, 134), 7, (64, 64, 3)), 0, 255).astype(np.uint8)
    glass = np.full((64, 64, 3), 243, np.uint8)
    red, white = (jpeg2000(part, ycbcr=False, transform=False) for part in (salmon, glass))
    assert not components_are_ycbcr([red], None, labelled_ycbcr=False).is_ycbcr
    # One piece of glass settles it, wherever it lies.
    assert not components_are_ycbcr([red, red, white], None, labelled_ycbcr=True).is_ycbcr


def units(pixels: Pixels, across: int, down: int) -> bytes:
    """Return YCbCr as TIFF stores it with coarser chroma: an independent writer."""
    height, width, _ = pixels.shape
    blocks = to_ycbcr(pixels).reshape(height // down, down, width // across, across, 3)
    blocks = blocks.swapaxes(1, 2).reshape(height // down, width // across, down * across, 3)
    chroma = np.rint(blocks[..., 1:].mean(2)).astype(np.uint8)
    return np.concatenate([blocks[..., 0], chroma], axis=-1).tobytes()


@pytest.mark.parametrize("subsampling", [(1, 1), (2, 1), (2, 2), (4, 2)], ids=str)
@pytest.mark.parametrize(
    ("compression", "pack"),
    [
        (1, bytes),
        (5, imagecodecs.lzw_encode),
        (8, imagecodecs.zlib_encode),
        (34925, imagecodecs.lzma_encode),
        (50000, imagecodecs.zstd_encode),
    ],
    ids=["none", "LZW", "deflate", "LZMA", "zstd"],
)
def test_ycbcr_by_any_codec(
    tmp_path: Path,
    subsampling: tuple[int, int],
    compression: int,
    pack: Callable[[bytes], bytes],
) -> None:
    path = write_tiles(
        tmp_path / "slide.tif",
        lambda pixels: pack(units(pixels, *subsampling)),
        photometric=6,
        compression=compression,
        subsampling=subsampling,
    )
    seen = open_slide(path).read(WHOLE, 0).astype(int)
    assert np.abs(seen[:8, :8] - GLASS).max() < 10
    if subsampling == (1, 1):
        assert np.abs(seen - PICTURE).max() <= 3
    else:
        # Brightness keeps every pixel; colours are those of small blocks.
        assert (
            np.abs(
                to_ycbcr(seen.astype(np.uint8))[..., 0].astype(int) - to_ycbcr(PICTURE)[..., 0]
            ).mean()
            < 3
        )
        blocks = (slice(None), slice(None))
        means = [
            part.reshape(HEIGHT // 8, 8, WIDTH // 8, 8, 3).mean((1, 3))[blocks]
            for part in (seen, PICTURE)
        ]
        assert np.abs(means[0] - means[1]).max() < 6


def test_ycbcr_in_strips_of_uneven_height(tmp_path: Path) -> None:
    picture = PICTURE[:350, :501]
    strips = []
    for y in range(0, 350, 64):
        part = picture[y : y + 64]
        edge = ((0, part.shape[0] % 2), (0, 1), (0, 0))
        strips.append(imagecodecs.zlib_encode(units(np.pad(part, edge, "edge"), 2, 2)))
    path = tmp_path / "strips.tif"
    tifffile.imwrite(
        path, iter(strips), shape=picture.shape, dtype=np.uint8, rowsperstrip=64, photometric=6,
        compression=8, metadata=None,
    )  # fmt: skip
    state_subsampling(path, (2, 2))
    seen = open_slide(path).read(Box(0, 0, 501, 350), 0).astype(int)
    assert np.abs(seen - picture).mean() < 5


def test_studio_range_is_stretched() -> None:
    """ReferenceBlackWhite of CCIR 601: 16 is black, 235 is white."""
    color = StoredColor(ColorModel.YCBCR, black_white=(16.0, 235.0, 128.0, 240.0, 128.0, 240.0))
    samples = np.array([[[16, 128, 128], [235, 128, 128], [126, 128, 240]]], np.uint8)
    seen = color.to_8_bit(samples)[0].astype(int)
    assert (seen[:2] == [[0, 0, 0], [255, 255, 255]]).all()
    # R = Y + 1.402 Cr, G = Y - 0.714 Cr, B = Y for full Cr, with Y at 128.1.
    np.testing.assert_allclose(seen[2], (255, 128.1 - 0.7141 * 127, 128.1), atol=1)


@pytest.mark.parametrize("planar", [False, True], ids=["chunky", "planar"])
@pytest.mark.parametrize("compression", [None, "adobe_deflate", "lzw"])
@pytest.mark.parametrize("bits", [16, 12])
def test_deeper_bits_are_scaled(
    tmp_path: Path, planar: bool, compression: str | None, bits: int
) -> None:
    peak = 2**bits - 1
    deep = np.rint(PICTURE / 255 * peak).astype(np.uint16)
    path = tmp_path / "deep.tif"
    options: dict[str, object] = {} if bits == 16 else {"extratags": [(281, 3, 3, (peak,) * 3)]}
    tifffile.imwrite(
        path, np.moveaxis(deep, 2, 0) if planar else deep, photometric="rgb", metadata=None,
        planarconfig="separate" if planar else "contig", compression=compression,
        tile=(128, 128), byteorder=">" if planar else "<", **options,
    )  # fmt: skip
    np.testing.assert_array_equal(open_slide(path).read(WHOLE, 0), PICTURE)


@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_deep_strips_in_one_piece_are_mapped_and_scaled(tmp_path: Path, byteorder: str) -> None:
    deep = PICTURE.astype(np.uint16) * 257
    path = tmp_path / "deep.tif"
    tifffile.imwrite(path, deep, photometric="rgb", metadata=None, byteorder=byteorder)
    np.testing.assert_array_equal(open_slide(path).read(WHOLE, 0), PICTURE)


def test_deep_jpeg_2000_is_scaled(tmp_path: Path) -> None:
    deep = PICTURE.astype(np.uint16) * 257
    path = tmp_path / "deep.tif"
    tifffile.imwrite(
        path, deep, photometric="rgb", metadata=None, tile=(128, 128), compression="jpeg2000",
    )  # fmt: skip
    np.testing.assert_array_equal(open_slide(path).read(WHOLE, 0), PICTURE)


def test_transparency_of_16_bits(tmp_path: Path) -> None:
    rgba = np.zeros((64, 64, 4), np.uint16)
    rgba[:, 32:] = (200 * 257, 100 * 257, 0, 128 * 257)
    path = tmp_path / "alpha.tif"
    tifffile.imwrite(path, rgba, photometric="rgb", extrasamples=["unassalpha"], metadata=None)
    seen = open_slide(path).read(Box(0, 0, 64, 64), 0)
    assert (seen[:, :32] == 255).all()
    np.testing.assert_allclose(seen[0, 40], (227, 177, 127), atol=1)


@pytest.mark.parametrize("scale", [257, 1], ids=["16 bits", "8 bits in 16"])
def test_palette_becomes_rgb(tmp_path: Path, scale: int) -> None:
    indexed = Image.fromarray(PICTURE).quantize(200)
    table = np.zeros((3, 256), np.uint16)
    colors = np.array(indexed.getpalette(), np.uint16).reshape(-1, 3)
    table[:, : len(colors)] = colors.T * scale
    path = tmp_path / "palette.tif"
    tifffile.imwrite(
        path, np.asarray(indexed), photometric="palette", colormap=table, tile=(128, 128),
        metadata=None,
    )  # fmt: skip
    np.testing.assert_array_equal(
        open_slide(path).read(WHOLE, 0), np.asarray(indexed.convert("RGB"))
    )


@pytest.mark.parametrize(
    ("pixels", "photometric", "words"),
    [
        (np.zeros((64, 64, 4), np.uint8), "separated", "another kind of colour"),
        (np.zeros((64, 64, 3), np.uint8), "cielab", "another kind of colour"),
        (np.zeros((64, 64, 3), np.float32), "rgb", "float32"),
        (np.zeros((64, 64, 3), np.uint32), "rgb", "uint32"),
        (np.zeros((64, 64), np.uint16), "minisblack", "uint16"),
    ],
)
def test_other_colours_are_refused_in_words(
    tmp_path: Path, pixels: NDArray[np.generic], photometric: str, words: str
) -> None:
    path = tmp_path / "other.tif"
    tifffile.imwrite(path, pixels, photometric=photometric, metadata=None, tile=(64, 64))
    with pytest.raises(SlideOpenError, match=words):
        open_slide(path)


def test_a_fourth_sample_that_nothing_explains_is_no_alpha(tmp_path: Path) -> None:
    rgbx = np.dstack([PICTURE, np.zeros((HEIGHT, WIDTH), np.uint8)])
    for planar in ("contig", "separate"):
        path = tmp_path / f"{planar}.tif"
        tifffile.imwrite(
            path, np.moveaxis(rgbx, 2, 0) if planar == "separate" else rgbx, photometric="rgb",
            extrasamples=["unspecified"], planarconfig=planar, metadata=None, tile=(128, 128),
        )  # fmt: skip
        with open_slide(path) as slide:
            np.testing.assert_array_equal(slide.read(WHOLE, 0), PICTURE)
            assert slide.scanned(WHOLE, 0).all()
