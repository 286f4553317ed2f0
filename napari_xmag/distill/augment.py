"""Views of one field: flips act on pixels and teacher grid alike, colour on the student only."""

import torch
from torch import Tensor


def flip(view: Tensor, grid: Tensor, *, horizontal: bool, vertical: bool) -> tuple[Tensor, Tensor]:
    """Mirror a student view (3, H, W) and its teacher grid (4, 4, D) together.

    The cached teacher saw the field unflipped; its tiles are moved to where the mirrored field
    has them, so that each cell keeps its own tile.
    """
    if horizontal:
        view, grid = view.flip(-1), grid.flip(1)
    if vertical:
        view, grid = view.flip(-2), grid.flip(0)
    return view, grid


class Augment:
    """Random flips and colour jitter with the published strengths.

    Parameters
    ----------
    flips
        Probability of each of the two flips.
    color
        Largest relative change of brightness, contrast and saturation, and of hue (in turns).
    color_probability
        Share of views that are jittered.
    """

    def __init__(
        self, flips: float = 0.5, color: float = 0.05, color_probability: float = 0.5
    ) -> None:
        from torchvision.transforms import ColorJitter  # type: ignore[import-untyped]

        self._flips, self._probability = flips, color_probability
        self._jitter = ColorJitter(color, color, color, color)

    def __call__(self, view: Tensor, grid: Tensor) -> tuple[Tensor, Tensor]:
        """Return a random view of uint8 (3, H, W) and the grid that belongs to it."""
        draw = torch.rand(3)
        view, grid = flip(
            view,
            grid,
            horizontal=bool(draw[0] < self._flips),
            vertical=bool(draw[1] < self._flips),
        )
        if draw[2] < self._probability:
            view = self._jitter(view)
        return view, grid
