"""A built-in sample slide that needs no download.

One picture of colonic glands that comes with scikit-image (immunohistochemistry, no known
copyright restrictions) is unmixed into its two stains, stained again in the colours of H&E,
mirrored and gently bent over some thousand pixels, and laid on glass. It shows what the program
does; what a model says of it means nothing.
"""

import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_xmag.files import whole_file
from napari_xmag.folders import cache_folder

if TYPE_CHECKING:
    import tifffile

    from napari_xmag.slide.base import Slide

SAMPLE_NAME = "colon-sample-1.tif"
"""The number rises when the picture changes, so that an old copy is not taken for the new one."""

SAMPLE_MPP = 0.5
"""µm per pixel; the source names none, so this follows from the size of its nuclei (about 5 µm)."""

SAMPLE_WORDS = "napari-xmag sample: a picture of scikit-image, mirrored and stained anew"
EXAMPLE_WORDS = "napari-xmag example, made by the computer"
"""What the files of the slides that the program makes say of themselves."""

GLASS = 243
"""Grey of the glass around the tissue."""

_WIDTH, _HEIGHT, _TILE = 12288, 8192, 512
_STEP = 4  # between the levels of the pyramid
_LEVELS = 3
_PICTURE = 512  # side of the source picture
_SHADES = 12

# Optical density of haematoxylin and eosin in R, G, B (Macenko et al. 2009, ISBI).
_STAINS = np.array([[0.5626, 0.7201, 0.4062], [0.2159, 0.8012, 0.5581]])

_Floats = NDArray[np.float64]
_Pixels = NDArray[np.uint8]
_log = logging.getLogger(__name__)


def samples_folder() -> Path:
    """Return where sample slides are kept."""
    return cache_folder() / "samples"


def sample_slide(folder: Path | None = None) -> Path:
    """Return the built-in sample slide, written on first use (some seconds).

    Parameters
    ----------
    folder
        Where it is kept; by default the user's cache.

    Returns
    -------
    Path of a tiled pyramidal TIFF of 12288 × 8192 pixels at 0.5 µm per pixel.
    """
    folder = samples_folder() if folder is None else folder
    path = folder / SAMPLE_NAME
    if not path.exists():
        _log.info("Making the sample slide %s", path)
        with whole_file(path) as part:  # a second process may be doing the same
            _write(part)
    return path


def is_sample(slide: "Slide") -> bool:
    """Return whether this program made the slide: then it shows no patient's tissue."""
    stated = (SAMPLE_WORDS, EXAMPLE_WORDS)
    return any(text.startswith(stated) for text in slide.properties.values())


def _write(path: Path) -> None:
    """Write the pyramid, one row of tiles at a time, so that little memory is needed."""
    import tifffile

    pictures = stained_pictures()
    coarse = np.empty((_HEIGHT // _STEP, _WIDTH // _STEP, 3), np.uint8)
    with tifffile.TiffWriter(path) as writer:
        _write_level(writer, 0, _finest_tiles(pictures, coarse), (_HEIGHT, _WIDTH, 3))
        for level in range(1, _LEVELS):
            _write_level(writer, level, _tiles(coarse), coarse.shape)
            coarse = block_means(coarse, _STEP)


def _write_level(
    writer: "tifffile.TiffWriter", level: int, tiles: Iterator[_Pixels], shape: tuple[int, ...]
) -> None:
    mpp = SAMPLE_MPP * _STEP**level
    writer.write(
        tiles,
        shape=shape,
        dtype=np.uint8,
        tile=(_TILE, _TILE),
        photometric="rgb",
        compression="jpeg",
        compressionargs={"level": 85},
        subfiletype=1 if level else 0,
        resolution=(1e4 / mpp, 1e4 / mpp),
        resolutionunit="CENTIMETER",
        description=SAMPLE_WORDS if not level else None,
        metadata=None,
    )


def _finest_tiles(pictures: _Pixels, coarse: _Pixels) -> Iterator[_Pixels]:
    """Yield the finest tiles row by row; fill ``coarse`` with the next level on the way."""
    for top in range(0, _HEIGHT, _TILE):
        strip = _paint(pictures, top)
        coarse[top // _STEP : (top + _TILE) // _STEP] = block_means(strip, _STEP)
        yield from _tiles(strip)


def _tiles(pixels: _Pixels) -> Iterator[_Pixels]:
    height, width = pixels.shape[:2]
    for y in range(0, height, _TILE):
        for x in range(0, width, _TILE):
            yield pixels[y : y + _TILE, x : x + _TILE]


def block_means(pixels: _Pixels, side: int) -> _Pixels:
    """Return the means of blocks of pixels, as the coarse levels show them.

    Parameters
    ----------
    pixels
        uint8 (..., H, W, 3); H and W are multiples of ``side``.
    side
        Of a block, 16 at most.
    """
    rows = pixels[..., ::side, :, :].astype(np.uint16)
    for offset in range(1, side):
        rows += pixels[..., offset::side, :, :]
    sums = rows[..., ::side, :].copy()
    for offset in range(1, side):
        sums += rows[..., offset::side, :]
    means: _Pixels = np.round(sums / np.float32(side * side)).astype(np.uint8)
    return means


def stained_pictures() -> _Pixels:
    """Return scikit-image's picture in H&E at 0.5 µm per pixel, mirrored, from pale to dark nuclei.

    Returns
    -------
    uint8 (shades, H, W, 3); its edges meet, so that it can be repeated.
    """
    from skimage.color import hdx_from_rgb, separate_stains
    from skimage.data import immunohistochemistry
    from skimage.filters import gaussian

    stains = separate_stains(immunohistochemistry(), hdx_from_rgb)
    haematoxylin = stains[..., 0]
    # Some pixels are so dark that their stain cannot be told; they would become specks.
    dab = np.minimum(stains[..., 1], np.percentile(stains[..., 1], 99.5))
    # DAB marks only the epithelium; eosin also colours the stroma around the nuclei.
    eosin = 0.32 * dab + 0.9 * gaussian(haematoxylin, 10)
    pictures = [_stained(haematoxylin * gain, eosin) for gain in np.linspace(0.9, 2.1, _SHADES)]
    return np.pad(pictures, [(0, 0), (0, _PICTURE), (0, _PICTURE), (0, 0)], mode="symmetric")


def _stained(haematoxylin: _Floats, eosin: _Floats) -> _Pixels:
    # scikit-image measures optical density in units of ln(1e6).
    amounts = np.stack([haematoxylin, eosin], axis=-1) * math.log(1e6)
    picture: _Pixels = np.round(GLASS * np.exp(-amounts @ _STAINS)).astype(np.uint8)
    return picture


def _paint(pictures: _Pixels, top: int) -> _Pixels:
    """Paint one row of tiles (_TILE, _WIDTH, 3)."""
    y = np.arange(top, top + _TILE)[:, None]
    x = np.arange(_WIDTH)[None, :]
    # Bent, because a plain mirror repeats exactly and every tile would get the same score.
    row = y + np.rint(170 * np.sin(x / 490) + 90 * np.sin(y / 310)).astype(np.int32)
    column = x + np.rint(150 * np.sin(y / 430 + 2)).astype(np.int32)
    wave = np.sin(x / 1500).astype(np.float32) * np.sin(y / 1100).astype(np.float32)
    shade = ((wave + 1) * (_SHADES / 2 - 0.01)).astype(np.int32)
    outline = _is_tissue(x[:, ::_STEP], y[::_STEP])  # coarse, for speed
    tissue = outline.repeat(_STEP, 0).repeat(_STEP, 1)
    return laid_on_glass(pictures, (shade, row, column), tissue)


def laid_on_glass(
    pictures: _Pixels,
    places: tuple[NDArray[np.integer], NDArray[np.integer], NDArray[np.integer]],
    tissue: NDArray[np.bool_],
) -> _Pixels:
    """Return pixels of repeated pictures where there is tissue, and glass around them.

    Parameters
    ----------
    pictures
        uint8 (S, H, W, 3), as of `stained_pictures`.
    places
        Which picture, row and column each pixel shows, integers that broadcast to (h, w); rows and
        columns go on without end.
    tissue
        (h, w).

    Returns
    -------
    uint8 (h, w, 3).
    """
    count, height, width, _ = pictures.shape
    picture, row, column = places
    place = (picture * height + row % height) * width + column % width
    # Glass is one more colour: to take it is faster than to overwrite.
    colors = np.append(pictures.reshape(-1, 3), np.full((1, 3), GLASS, np.uint8), 0)
    pixels: _Pixels = colors.take(np.where(tissue, place, count * height * width), axis=0)
    return pixels


def _is_tissue(x: NDArray[np.int_], y: NDArray[np.int_]) -> NDArray[np.bool_]:
    """Tell what lies inside a wavy outline; the rest is glass."""
    across, down = x / _WIDTH - 0.5, y / _HEIGHT - 0.5
    angle = np.arctan2(down, across)
    radius = np.hypot(across / 0.4, down / 0.38)
    rim = 0.9 + 0.1 * np.sin(3 * angle + 1) + 0.05 * np.sin(7 * angle)
    inside: NDArray[np.bool_] = radius < rim
    return inside
