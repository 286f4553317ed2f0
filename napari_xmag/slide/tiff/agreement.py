"""Whether a picture in a TIFF is a coarser level of another, as its pixels show."""

from pathlib import Path

from napari_xmag.slide.agreement import shows_same
from napari_xmag.slide.scale import StoredLevel, place_levels
from napari_xmag.slide.tiff.picture import TiffLevel, TiffPicture


def is_level_of(level: TiffLevel, main: TiffPicture, path: Path) -> bool:
    """Return whether a picture that no flag marks is a coarser level of another.

    Its size must fit. Where both state their pixels, glass is no counter-proof; where they do not,
    the pixels themselves must prove it.
    """
    page, first = level.page, main.page
    if (page.samplesperpixel, page.dtype) != (first.samplesperpixel, first.dtype):
        return False
    if page.imagewidth >= first.imagewidth or page.imagelength >= first.imagelength:
        return False
    base = main.levels[0]
    coarse = _scales(base, level)
    if coarse is None:
        return False
    fine, fine_scales = _next_finer(level, main)
    scale = coarse[0] / fine_scales[0], coarse[1] / fine_scales[1]
    same = shows_same(fine.segments(path), level.segments(path), scale)
    return _states_scale(base.stored(), level.stored()) if same is None else same


def _next_finer(level: TiffLevel, main: TiffPicture) -> tuple[TiffLevel, tuple[float, float]]:
    """Return the level of which the fewest pixels must be read, and its scales."""
    finer = [item for item in main.levels[1:] if item.page.imagewidth > level.page.imagewidth]
    for item in sorted(finer, key=lambda item: int(item.page.imagewidth)):
        scales = _scales(main.levels[0], item)
        if scales is not None and item.page.imagelength > level.page.imagelength:
            return item, scales
    return main.levels[0], (1.0, 1.0)


def _scales(base: TiffLevel, level: TiffLevel) -> tuple[float, float] | None:
    placed = place_levels((base.stored(), level.stored())).levels
    return (placed[1].downsample_x, placed[1].downsample_y) if len(placed) > 1 else None


def _states_scale(fine: StoredLevel, coarse: StoredLevel) -> bool:
    return fine.spacing != coarse.spacing and coarse.spacing is not None
