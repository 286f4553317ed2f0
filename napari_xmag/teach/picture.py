"""A taught map as a picture: the likeliest class of each patch, coloured on tissue only."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xmag.analyze.heatmap import GridLike, heat_map, on_tissue
from napari_xmag.export.palette import heat_colors
from napari_xmag.nets.heads.patch_classifier import Classified
from napari_xmag.qupath.classes import RGB
from napari_xmag.slide.tissue import TissueMask

_MOST_PIXELS = 4_000_000
_FAINTEST = 60
"""Opacity, of 255, of a patch whose classes are all equally likely."""

_BAND = 64

_HATCH = (90, 90, 90, 150)
_HATCH_PERIOD, _HATCH_WIDTH = 8, 2


@dataclass(frozen=True, eq=False)
class MapGround:
    """Where the map of a slide has colour; made once for a slide.

    Attributes
    ----------
    patches
        How many patches there are.
    entry
        int32 (H, W), which colour of a list each pixel shows: those of all patches and of glass,
        and then the same again for pixels on diagonal lines, where what is unlike is hatched.
    scale_x, scale_y
        Level-0 pixels per pixel; the corner of the first lies on the corner of level 0.
    """

    patches: int
    entry: NDArray[np.int32]
    scale_x: float
    scale_y: float

    @classmethod
    def of(cls, grid: GridLike, mask: TissueMask) -> "MapGround":
        """Lay patches over the tissue, at the mask's resolution as far as it stays quick to draw.

        Parameters
        ----------
        grid
            Where the patches lie.
        mask
            The tissue.
        """
        count = len(grid.rows)
        # exact: no slide has as many patches as float32 has whole numbers
        numbers = heat_map(grid, np.arange(count, dtype=np.float32))
        shown = on_tissue(numbers, mask, _MOST_PIXELS)
        entry = np.nan_to_num(shown.pixels, nan=count).astype(np.int32)
        entry[_lines(entry.shape)] += count + 1
        return cls(count, entry, shown.stride_x, shown.stride_y)

    @property
    def patch(self) -> NDArray[np.int32]:
        """Which patch each pixel shows, int32 (H, W); -1 on glass and outside all patches."""
        patch = self.entry % (self.patches + 1)
        patch[patch == self.patches] = -1
        return patch

    def painted(
        self, colors: NDArray[np.uint8], on_lines: NDArray[np.uint8] | None = None
    ) -> NDArray[np.uint8]:
        """Return a picture, uint8 (H, W, 4), transparent on glass.

        Parameters
        ----------
        colors
            uint8 (P, 4), of the patches.
        on_lines
            The same for pixels on diagonal lines, where they differ.
        """
        glass = np.zeros((1, 4), np.uint8)
        lined = colors if on_lines is None else on_lines
        # a colour is one number: to look up four is many times slower
        table = np.concatenate([colors, glass, lined, glass]).view(np.uint32)[:, 0]
        picture = np.empty(self.entry.shape, np.uint32)
        # in bands: meanwhile numpy keeps all other threads waiting
        for top in range(0, len(picture), _BAND):
            band = slice(top, top + _BAND)
            picture[band] = table[self.entry[band]]
        return picture.view(np.uint8).reshape(*picture.shape, 4)


def _lines(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return diagonal lines, bool (H, W)."""
    diagonal = np.arange(shape[0])[:, None] + np.arange(shape[1])[None, :]
    lines: NDArray[np.bool_] = diagonal % _HATCH_PERIOD < _HATCH_WIDTH
    return lines


def class_picture(
    ground: MapGround, classified: Classified, colors: Sequence[RGB]
) -> NDArray[np.uint8]:
    """Paint each patch in the colour of its likeliest class, the surer the stronger.

    Patches that are unlike every example have no colour but are hatched.

    Parameters
    ----------
    classified
        What the P patches are.
    colors
        Of the taught classes, in their order.

    Returns
    -------
    uint8 (H, W, 4), transparent on glass.
    """
    probabilities = classified.probabilities
    count = probabilities.shape[1]
    surest = probabilities.max(1)
    strength = (surest - 1 / count) / (1 - 1 / count) if count > 1 else np.ones_like(surest)
    shown = _strong(np.asarray(colors, np.uint8)[probabilities.argmax(1)], strength)
    shown[~classified.is_taught] = 0
    hatched = shown.copy()
    hatched[~classified.is_taught] = _HATCH
    return ground.painted(shown, hatched)


def likeness_picture(ground: MapGround, likeness: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Paint patches by how like a place they are: blue where unlike, red and strong where like.

    Parameters
    ----------
    likeness
        float32 (P,), -1 to 1; what is below 0 counts as unlike.

    Returns
    -------
    uint8 (H, W, 4), transparent on glass.
    """
    strength = likeness.clip(0, 1)
    return ground.painted(_strong(heat_colors(strength), strength))


def _strong(colors: NDArray[np.uint8], strength: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return colours (P, 3) with an opacity, uint8 (P, 4), by their strength, 0 to 1."""
    opacity = (_FAINTEST + (255 - _FAINTEST) * strength.clip(0, 1)).round().astype(np.uint8)
    return np.concatenate([colors, opacity[:, None]], axis=1)
