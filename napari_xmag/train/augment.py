"""How a slide looks in one epoch: its stains and focus changed, each of its tiles turned."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_xmag.blur import blurred
from napari_xmag.stain import change_stains, draw_stain_changes
from napari_xmag.train.config import AugmentConfig

_TURNS = 8


@dataclass(frozen=True)
class TileChange:
    """What is done to the tiles of one slide.

    Stain and focus differ between slides, not between the tiles of one: they are drawn once for
    the slide. Drawn for all tiles at once, a view does not depend on how they are cut into chunks.

    Attributes
    ----------
    turns
        Int (T,): for each tile of the slide one of the eight turns, see `turned`.
    factors, offsets
        Float (1, 3), see `napari_xmag.stain.change_stains`.
    blur
        Standard deviation of the blur in pixels; 0 for none.
    """

    turns: NDArray[np.int64]
    factors: Tensor
    offsets: Tensor
    blur: float

    def images(self, pixels: Tensor, indices: NDArray[np.intp]) -> Tensor:
        """Return the changed tiles, on the device of ``pixels``.

        Parameters
        ----------
        pixels
            uint8 (k, 3, H, H).
        indices
            Int (k,), which tiles of the slide these are.

        Returns
        -------
        Float (k, 3, H, H), 0 to 1.
        """
        device = pixels.device
        images = turned(pixels, self.turns[indices]).float() / 255
        if self.factors.ne(1).any() or self.offsets.ne(0).any():
            images = change_stains(images, self.factors.to(device), self.offsets.to(device))
        return blurred(images, self.blur) if self.blur else images

    def cells(self, tissue: Tensor, indices: NDArray[np.intp]) -> Tensor:
        """Turn what is known of the cells (k, N) of these tiles as the tiles are turned."""
        side = round(tissue.shape[1] ** 0.5)
        grid = tissue.reshape(-1, side, side)
        return turned(grid, self.turns[indices]).reshape(tissue.shape)


def draw_view(config: AugmentConfig, tiles: int, seed: tuple[int, ...]) -> TileChange:
    """Draw how a slide looks; the same for the same seed.

    Parameters
    ----------
    tiles
        Number of tiles of the slide.
    seed
        Numbers ≥ 0 that name the run, the epoch and the slide.
    """
    draw = np.random.default_rng(seed)
    turns = draw.integers(_TURNS, size=tiles) if config.turns else np.zeros(tiles, np.int64)
    blurred = draw.random() < config.blur_share
    blur = float(draw.uniform(0, config.blur)) if blurred else 0.0
    generator = torch.Generator().manual_seed(int(draw.integers(2**31)))
    factors, offsets = draw_stain_changes(1, config.stain, generator)
    return TileChange(turns, factors, offsets, blur)


def turned(images: Tensor, turns: NDArray[np.int64]) -> Tensor:
    """Turn each square image by its number: quarter turns (``n % 4``), then mirrored from 4 on.

    Parameters
    ----------
    images
        (k, ..., H, H).
    turns
        Int (k,), 0 to 7.
    """
    result = torch.empty_like(images)
    for turn in np.unique(turns):
        these = torch.from_numpy(turns == turn).to(images.device)
        part = torch.rot90(images[these], int(turn) % 4, (-2, -1))
        result[these] = part.flip(-1) if turn >= _TURNS // 2 else part
    return result
