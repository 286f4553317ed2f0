"""Named, frozen geometry: every box is in level-0 pixels, every mpp in µm per level-0 pixel."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from napari_xmag.errors import GeometryError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def _require(valid: bool, expected: str, found: str) -> None:
    if not valid:
        raise GeometryError(
            expected=expected, found=found, hint="Check where this value comes from."
        )


@dataclass(frozen=True, slots=True)
class Mpp:
    """Size of a level-0 pixel in µm, exact for each axis."""

    x: float
    y: float

    def __post_init__(self) -> None:
        _require(
            all(math.isfinite(value) and value > 0 for value in (self.x, self.y)),
            "a positive number of µm per pixel for each axis",
            f"x={self.x}, y={self.y}",
        )

    @property
    def mean(self) -> float:
        """Geometric mean of both axes, the side of a square pixel of the same area."""
        return math.sqrt(self.x * self.y)


@dataclass(frozen=True, slots=True)
class Box:
    """Rectangle in level-0 pixels; edges may lie between pixels and outside the slide."""

    x: float
    y: float
    width: float
    height: float

    def __post_init__(self) -> None:
        _require(
            all(math.isfinite(value) for value in (self.x, self.y, self.width, self.height))
            and self.width > 0
            and self.height > 0,
            "a finite box with positive width and height",
            f"x={self.x}, y={self.y}, width={self.width}, height={self.height}",
        )

    @property
    def right(self) -> float:
        """The x of the right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """The y of the bottom edge."""
        return self.y + self.height

    @property
    def center(self) -> tuple[float, float]:
        """Centre as (x, y)."""
        return self.x + self.width / 2, self.y + self.height / 2

    def shifted(self, x: float, y: float) -> "Box":
        """Return the box moved by (x, y)."""
        return Box(self.x + x, self.y + y, self.width, self.height)

    def intersection(self, other: "Box") -> "Box | None":
        """Return the common part, or None where there is none."""
        left, top = max(self.x, other.x), max(self.y, other.y)
        width = min(self.right, other.right) - left
        height = min(self.bottom, other.bottom) - top
        return Box(left, top, width, height) if width > 0 and height > 0 else None


@dataclass(frozen=True, slots=True)
class Level:
    """One resolution level of a slide.

    Attributes
    ----------
    index
        Its place among the slide's levels.
    width, height
        Pixels that show the slide; padding that the file has beyond them does not count.
    downsample_x, downsample_y
        Level-0 pixels per pixel of this level; floats, never rounded.
    """

    index: int
    width: int
    height: int
    downsample_x: float
    downsample_y: float

    def __post_init__(self) -> None:
        scales = self.downsample_x, self.downsample_y
        _require(
            self.index >= 0 and self.width > 0 and self.height > 0 and min(scales) > 0,
            "a level with a positive size and downsamples",
            f"index={self.index}, {self.width}×{self.height}, downsamples={scales}",
        )

    @property
    def downsample(self) -> float:
        """Geometric mean of both axes."""
        return math.sqrt(self.downsample_x * self.downsample_y)

    def box(self, x: int, y: int, width: int, height: int) -> Box:
        """Return the level-0 box of a rectangle given in pixels of this level."""
        across, down = self.downsample_x, self.downsample_y
        return Box(x * across, y * down, width * across, height * down)

    def place(self, box: Box) -> tuple[int, int, int, int]:
        """Return (x, y, width, height) of a level-0 box in whole pixels of this level."""
        across, down = self.downsample_x, self.downsample_y
        return (
            round(box.x / across),
            round(box.y / down),
            round(box.width / across),
            round(box.height / down),
        )


class OnGrid(Protocol):
    """Things that lie on a grid: tiles, or patches."""

    @property
    def columns(self) -> "NDArray[np.int64]":
        """Column of each, (T,)."""
        ...

    @property
    def rows(self) -> "NDArray[np.int64]":
        """Row of each, (T,)."""
        ...

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the grid."""
        ...
