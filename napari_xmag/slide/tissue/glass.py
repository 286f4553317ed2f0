"""The colour of a slide's glass: yellowed, bluish or grey, and not quite the same everywhere."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_xmag.slide.overview import Overview

Colors = NDArray[np.uint8]
Floats = NDArray[np.float32]

# Glass is looked for at half the overview's size: noise is halved, and tissue stays rough.
_REDUCE = 2
# A pixel whose neighbours differ by more than this shows an edge or tissue.
_ROUGH = 5
# Colours are counted on so many pixels, in steps of so many levels, from the darkest level that a
# colour of glass can have.
_COUNTED = 2**15
_STEP = 4
_FLOOR = 96
_STEPS = (256 - _FLOOR) // _STEP
# Glass is at least so bright, and never as colourful as this part of its brightness.
_DARKEST = 140
_TINT = 0.3
# Pink beyond this is eosin: no glass is, unless all of it is.
_PINK = 0.05
_PINKER = 0.022
# Beside brighter glass, what is darker than this part of it is no glass.
_DIMMER = 0.85
# Least part of what was scanned, and of what is smooth.
_LEAST = 0.001
_LEAST_SMOOTH = 0.02
# Of the colours that are at least so common beside the commonest, the brightest is the glass.
_COMMON = 0.3
# Pure white is what scanners fill in where they did not scan; true glass beside it wins, if it
# covers this part of it.
_WHITE = 253
_BESIDE_WHITE = 0.1
# Glass may drift by so much from one fit of its surface to the next.
_DRIFT = 6.0
_FIT_PIXELS = 2**14
_FIT_LEAST = 500
_FIT_GAIN = 1.2
_FIT_PINKER = 0.012
# Terms of the surface in each round: sloping, then curved.
_ROUNDS = (3, 3, 3, 6, 6)
_RIDGE = 1e-3


@dataclass(frozen=True, eq=False)
class Glass:
    """What colour the glass has at each place.

    Attributes
    ----------
    color
        float (3,), 0 to 255, in the middle of the slide; white where the slide shows no glass.
    share
        Part of what was scanned that is smooth and has the colour of glass; 0 where none was found.
    surface
        float (6, 3): how the colour depends on 1, x, y, x², xy and y², each coordinate running from
        -1 to 1 over the slide.
    """

    color: Floats
    share: float
    surface: Floats

    @property
    def even(self) -> bool:
        """Whether the glass has one colour everywhere."""
        return not self.surface[1:].any()

    def rows(self, start: int, stop: int, height: int, width: int) -> Floats:
        """Return the colour of rows of a picture of the slide, float (rows, width, 3) or (3,)."""
        if self.even:
            return self.color
        y = _axis(height)[start:stop, None]
        x = _axis(width)[None, :]
        terms = np.broadcast_arrays(*_terms(x, y))
        colors = np.stack(terms, axis=-1).astype(np.float32) @ self.surface
        return np.asarray(np.clip(colors, 1, 255), np.float32)


def find_glass(overview: Overview) -> Glass:
    """Estimate the colour of glass: the dominant bright colour of what is smooth.

    Returns
    -------
    White where nothing on the slide can be glass.
    """
    pixels, usable = _reduced(overview)
    smooth = usable & (roughness(planes_of(pixels)) <= _ROUGH)
    color = _dominant(pixels[smooth], int(usable.sum()))
    if color is None:
        white = np.full(3, 255, np.float32)
        return Glass(white, 0.0, _flat(white))
    surface, near = _fitted(pixels, smooth, color)
    return Glass(surface[0], near * float(smooth.sum() / usable.sum()), surface)


def planes_of(pixels: Colors) -> list[NDArray[np.uint8]]:
    """Return each colour of a picture by itself, which NumPy handles much faster."""
    return [np.ascontiguousarray(pixels[..., channel]) for channel in range(3)]


def roughness(planes: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Return by how much the neighbours on either side of a pixel differ, uint8 (H, W).

    The largest of the differences across and down, in any of the colours.
    """
    rough = np.zeros(planes[0].shape, np.uint8)
    for plane in planes:
        for before, after, middle in (
            (plane[:, :-2], plane[:, 2:], rough[:, 1:-1]),
            (plane[:-2], plane[2:], rough[1:-1]),
        ):
            differ = np.maximum(before, after) - np.minimum(before, after)
            np.maximum(middle, differ, out=middle)
    return rough


def _reduced(overview: Overview) -> tuple[Colors, NDArray[np.bool_]]:
    height, width = overview.usable.shape
    if min(height, width) < 4 * _REDUCE:
        return overview.pixels, overview.usable
    pixels = np.asarray(Image.fromarray(overview.pixels).reduce(_REDUCE))
    usable = Image.fromarray(overview.usable.view(np.uint8) * np.uint8(255)).reduce(_REDUCE)
    return pixels, np.asarray(usable) == 255


def _dominant(colors: Colors, scanned: int) -> Floats | None:
    """Return the glass colour among smooth pixels (N, 3), or None when none can be glass."""
    least = max(1.0, _LEAST * scanned, _LEAST_SMOOTH * len(colors))
    step = 1 + len(colors) // _COUNTED
    colors = colors[::step]
    counts, members = _peaks(colors[colors.min(axis=1) >= _FLOOR])
    counts *= step
    brightest, darkest = members.max(axis=1), members.min(axis=1)
    pink = _pinkness(members)
    possible = (counts >= least) & (members.mean(axis=1) >= _DARKEST)
    possible &= (brightest - darkest <= _TINT * brightest) & (pink <= _PINK)
    if not possible.any():
        return None
    counts, members = counts[possible], members[possible]
    first = members[np.argmax(members.mean(axis=1))]
    alike = members.mean(axis=1) >= _DIMMER * first.mean()
    alike &= _pinkness(members / first) <= _PINKER
    counts, members = counts[alike], members[alike]
    white = members.min(axis=1) >= _WHITE
    if white.any() and not white.all() and counts[~white].max() >= _BESIDE_WHITE * counts.max():
        counts, members = counts[~white], members[~white]
    # Very pale tissue is nearly as common, but never as bright.
    members = members[counts >= _COMMON * counts.max()]
    return np.asarray(members[np.argmax(members.mean(axis=1))], np.float32)


def _pinkness(colors: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return how far green lies below the darker of red and blue, as part of the brightness."""
    red, green, blue = colors.T
    return np.asarray((np.minimum(red, blue) - green) / np.maximum(colors.max(axis=1), 1e-6))


def _peaks(colors: Colors) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how often each bright colour occurs, and its mean (N, 3), neighbours together."""
    from scipy.ndimage import uniform_filter

    steps = ((colors - np.uint8(_FLOOR)) // _STEP).astype(np.int64)
    places = (steps[:, 0] * _STEPS + steps[:, 1]) * _STEPS + steps[:, 2]
    cube = (_STEPS,) * 3
    counts = np.bincount(places, minlength=_STEPS**3).astype(np.float64)
    around = uniform_filter(counts.reshape(cube), 3, mode="constant").ravel() * 27
    occupied = np.flatnonzero(counts)
    sums = np.stack(
        [np.bincount(places, colors[:, i], _STEPS**3)[occupied] for i in range(3)], axis=1
    )
    return around[occupied], sums / counts[occupied, None]


def _fitted(pixels: Colors, smooth: NDArray[np.bool_], color: Floats) -> tuple[Floats, float]:
    """Follow the glass over the slide from its dominant colour.

    Returns
    -------
    The surface, and which part of the smooth pixels lies on it.
    """
    height, width = smooth.shape
    rows, columns = np.nonzero(smooth)
    step = 1 + len(rows) // _FIT_PIXELS
    rows, columns = rows[::step], columns[::step]
    values = pixels[rows, columns].astype(np.float32)
    near = _near(values, color)
    even = _flat(np.median(values[near], axis=0) if near.any() else color)
    if _FIT_GAIN * near.sum() > len(values):
        return even, float(near.mean())
    terms = np.stack(
        [np.broadcast_to(t, rows.shape) for t in _terms(_axis(width)[columns], _axis(height)[rows])]
    ).T.astype(np.float32)
    surface = even
    for number in _ROUNDS:
        follows = _near(values, terms @ surface)
        if follows.sum() < _FIT_LEAST:
            break
        surface = _solved(terms[follows, :number], values[follows])
    follows = _near(values, terms @ surface)
    # A surface bends to anything: it must explain much that one colour does not, and no tissue.
    pinker = _pinkness((terms @ surface) / even[0]).max() > _FIT_PINKER
    if pinker or follows.sum() < max(_FIT_LEAST, _FIT_GAIN * near.sum()):
        surface, follows = even, near
    return surface, float(follows.mean())


def _near(values: Floats, colors: Floats) -> NDArray[np.bool_]:
    """Return which colours (N, 3) are glass of these colours, bool (N,)."""
    return np.asarray((np.abs(values - colors) <= _DRIFT).all(axis=1))


def _solved(terms: Floats, values: Floats) -> Floats:
    number = terms.shape[1]
    # The constant is free; a curve that few pixels support is held back.
    ridge = np.eye(number) * _RIDGE * len(terms)
    ridge[0, 0] = 0
    solved = np.linalg.solve(terms.T @ terms + ridge, terms.T @ values)
    surface = np.zeros((6, 3), np.float32)
    surface[:number] = solved
    return surface


def _flat(color: NDArray[np.floating]) -> Floats:
    surface = np.zeros((6, 3), np.float32)
    surface[0] = color
    return surface


def _axis(length: int) -> NDArray[np.float64]:
    """Return the places of pixel centres from -1 to 1."""
    return (2 * np.arange(length) + 1) / length - 1


def _terms(x: NDArray[np.float64], y: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    return [np.ones(()), x, y, x * x, x * y, y * y]
