"""On which focal plane QuPath shows what is analyzed of a slide."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from napari_xmag.result_keys import requested_plane
from napari_xmag.slide.base import Slide

if TYPE_CHECKING:
    from napari_xmag.analyze.result import SlideResult

_ONE_PLANE = frozenset({"hamamatsu"})
"""Vendors whose slides QuPath opens with OpenSlide, which shows one of their planes."""


def shown_plane(slide: Slide, planes: int = 0) -> int:
    """Return the z of the plane that a slide is, as QuPath counts: from 0, in the stack's order.

    Parameters
    ----------
    planes
        How many planes QuPath shows; 0 where nobody says.
    """
    if planes == 0:
        return 0 if slide.vendor in _ONE_PLANE else slide.image.place
    return min(slide.image.place, planes - 1)


def result_plane(result: "SlideResult") -> int:
    """Return the same for a result: as its image of QuPath said, or else by its slide."""
    stated = requested_plane(result.settings)
    if stated is not None:
        return stated
    one = result.slide.get("vendor") in _ONE_PLANE
    return 0 if one else int(result.slide.get("plane", 0))


def on_plane(features: Sequence[dict[str, Any]], z: int) -> list[dict[str, Any]]:
    """Return objects as QuPath writes them on a focal plane; nothing is written of the first."""
    if not z:
        return list(features)
    plane = {"c": -1, "z": z, "t": 0}
    return [{**each, "geometry": {**each["geometry"], "plane": plane}} for each in features]
