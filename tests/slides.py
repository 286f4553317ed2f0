"""Small slides that look like H&E sections, written as the files that scanners write."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

Pixels = NDArray[np.uint8]
Color = tuple[int, int, int]
GLASS = (243, 243, 243)
TILE = 256


def draw_section(
    width: int,
    height: int,
    *,
    center: tuple[float, float] = (0.5, 0.5),
    seed: int = 0,
    stroma: Color = (222, 160, 194),
    nuclei: Color = (96, 62, 140),
    glass: Color = GLASS,
) -> Pixels:
    """Return glass with one ellipse of pink tissue and purple nuclei, uint8 (height, width, 3)."""
    return _section(width, height, center, seed, stroma, nuclei, glass).copy()


@lru_cache(maxsize=12)  # many tests want the same ones
def _section(
    width: int,
    height: int,
    center: tuple[float, float],
    seed: int,
    stroma: Color,
    nuclei: Color,
    glass: Color,
) -> Pixels:
    rng = np.random.default_rng(seed)
    y, x = np.arange(height, dtype=np.float32)[:, None], np.arange(width, dtype=np.float32)
    distance = ((x / width - center[0]) / 0.32) ** 2 + ((y / height - center[1]) / 0.36) ** 2
    tissue = distance < 1
    noise = gaussian_filter(rng.standard_normal((height, width)).astype(np.float32), 3)
    dark = noise[tissue] > 1.6 * noise.std()
    waves = gaussian_filter(rng.standard_normal((height, width)).astype(np.float32), 12)
    ground = np.array(stroma, np.float32) + 120 * waves[tissue][:, None] / waves.std() / 10
    picture = np.empty((height, width, 3), np.float32)
    picture[:] = glass
    picture[tissue] = np.where(dark[:, None], np.array(nuclei, np.float32), ground)
    picture += rng.normal(0, 2, picture.shape)
    return np.clip(picture, 0, 255, out=picture).astype(np.uint8)


def shrink(pixels: Pixels, factor: int) -> Pixels:
    """Return the picture averaged over blocks, as scanners make coarse levels."""
    size = pixels.shape[1] // factor, pixels.shape[0] // factor
    box = (0, 0, size[0] * factor, size[1] * factor)
    image = Image.fromarray(pixels).resize(size, Image.Resampling.BOX, box=box)
    return np.asarray(image)


def write_pyramid(
    path: Path,
    pixels: Pixels,
    *,
    mpp: float | tuple[float, float] | None = 0.5,
    factors: Sequence[int] = (1, 4),
    compression: str | None = "jpeg",
    tile: int = TILE,
    description: str | None = None,
    icc: bytes | None = None,
) -> Path:
    """Write a tiled TIFF with one page a level; ``mpp`` becomes resolution tags in pixels per cm.

    ``compression`` "jpeg" is lossy at quality 95; None keeps every pixel as it is.
    """
    x, y = mpp if isinstance(mpp, tuple) else (mpp, mpp)
    alpha = pixels.shape[2] == 4
    with tifffile.TiffWriter(path) as writer:
        for factor in factors:
            resolution = {}
            if x is not None and y is not None:
                resolution = {
                    "resolution": (1e4 / x / factor, 1e4 / y / factor),
                    "resolutionunit": "CENTIMETER",
                }
            writer.write(
                shrink(pixels, factor) if factor > 1 else pixels,
                photometric="rgb",
                tile=(tile, tile),
                compression=compression,
                compressionargs={"level": 95} if compression == "jpeg" else None,
                extrasamples=["unassalpha"] if alpha else None,
                subfiletype=int(factor > 1),
                metadata=None,
                description=description if factor == 1 else None,
                iccprofile=icc,
                **resolution,
            )
    return path


def write_aperio(
    path: Path,
    pixels: Pixels,
    *,
    mpp: float | None = 0.25,
    power: int | None = 40,
    factors: Sequence[int] = (1, 4, 16),
) -> Path:
    """Write what OpenSlide reads as an Aperio SVS."""
    notes = f"|AppMag = {power}" if power else ""
    notes += f"|MPP = {mpp:.4f}" if mpp else ""
    with tifffile.TiffWriter(path) as writer:
        for factor in factors:
            level = shrink(pixels, factor) if factor > 1 else pixels
            size = f"{level.shape[1]}x{level.shape[0]}"
            writer.write(
                level,
                photometric="rgb",
                tile=(TILE, TILE),
                compression="jpeg",
                compressionargs={"level": 95},
                subfiletype=int(factor > 1),
                metadata=None,
                description=f"Aperio Image Library v11.2.1\n{size} JPEG/RGB Q=95{notes}",
            )
    return path


def write_leica(
    path: Path,
    pixels: Pixels,
    *more: tuple[Pixels, tuple[int, int]],
    mpp: float = 0.5,
    slide_size: tuple[int, int] = (6000, 5000),
    offset: tuple[int, int] = (1501, 2003),
    factors: Sequence[int] = (1, 4),
    more_factors: Sequence[int] | None = None,
) -> Path:
    """Write what OpenSlide reads as a Leica SCN: scanned parts of a larger slide, with bounds.

    ``slide_size`` and ``offset`` are in level-0 pixels; all outside the scanned parts is
    transparent. ``more`` are further parts with their offsets, in levels of their own where
    ``more_factors`` says so: OpenSlide refuses such a file.
    """
    overview = np.full((TILE * slide_size[1] // slide_size[0], TILE, 3), 240, np.uint8)
    parts = [(pixels, offset, factors)]
    parts += [(part, place, more_factors or factors) for part, place in more]
    pyramids = [
        [shrink(part, factor) if factor > 1 else part for factor in steps]
        for part, _, steps in parts
    ]
    places = [place for _, place, _ in parts]
    xml = _leica_xml(overview, pyramids, places, mpp, slide_size)
    sizes = [mpp * slide_size[0] / TILE]
    sizes += [
        mpp * pyramid[0].shape[1] / level.shape[1] for pyramid in pyramids for level in pyramid
    ]
    pages = [overview, *(level for pyramid in pyramids for level in pyramid)]
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        for index, (level, size) in enumerate(zip(pages, sizes, strict=True)):
            writer.write(
                level,
                tile=(TILE, TILE),
                photometric="rgb",
                compression="jpeg",
                compressionargs={"level": 95},
                metadata=None,
                resolution=(1e4 / size, 1e4 / size),
                resolutionunit="CENTIMETER",
                description=xml if index == 0 else None,
            )
    return path


def _leica_xml(
    overview: Pixels,
    pyramids: Sequence[Sequence[Pixels]],
    places: Sequence[tuple[int, int]],
    mpp: float,
    slide_size: tuple[int, int],
) -> str:
    """Return the description of an SCN file, in nanometres."""
    nanometres = [round(side * mpp * 1000) for side in slide_size]
    images = _leica_image([overview], 0, tuple(nanometres), (0, 0), 0.6)
    page = 1
    for levels, (x, y) in zip(pyramids, places, strict=True):
        size = levels[0].shape[1] * mpp * 1000, levels[0].shape[0] * mpp * 1000
        images += _leica_image(levels, page, size, (x * mpp * 1000, y * mpp * 1000), 20)
        page += len(levels)
    return (
        '<?xml version="1.0"?><scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01">'
        f'<collection name="slide" sizeX="{nanometres[0]}" sizeY="{nanometres[1]}">'
        + images
        + "</collection></scn>"
    )


def _leica_image(
    levels: Sequence[Pixels],
    first_page: int,
    size: tuple[float, ...],
    place: tuple[float, float],
    power: float,
) -> str:
    dimensions = "".join(
        f'<dimension sizeX="{level.shape[1]}" sizeY="{level.shape[0]}" r="{index}" '
        f'ifd="{first_page + index}"/>'
        for index, level in enumerate(levels)
    )
    return (
        '<image name="part"><creationDate>2024-01-01T00:00:00Z</creationDate>'
        f'<device model="synthetic" version="1"/><pixels sizeX="{levels[0].shape[1]}" '
        f'sizeY="{levels[0].shape[0]}">{dimensions}</pixels>'
        f'<view sizeX="{size[0]:.0f}" sizeY="{size[1]:.0f}" offsetX="{place[0]:.0f}" '
        f'offsetY="{place[1]:.0f}"/><scanSettings><objectiveSettings>'
        f"<objective>{power:g}</objective></objectiveSettings><illuminationSettings>"
        "<illuminationSource>brightfield</illuminationSource></illuminationSettings>"
        "</scanSettings></image>"
    )
