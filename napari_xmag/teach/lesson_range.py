"""How far a slide may lie from the slides of a lesson before its map is not to be trusted.

Needs no torch.
"""

from collections.abc import Mapping
from weakref import WeakKeyDictionary

from napari_xmag.analyze.flags import how_far
from napari_xmag.nets.info import TrainingRange
from napari_xmag.nets.slides_range import slides_range
from napari_xmag.teach.classifier import Taught
from napari_xmag.teach.layout import Layout
from napari_xmag.teach.lesson import SlideId

_UNKNOWN = (
    "Too little tissue bears examples to tell whether this slide looks like it. Its map may be "
    "wrong."
)

_ranges: WeakKeyDictionary[Layout, dict[tuple[SlideId, ...], TrainingRange | None]]
_ranges = WeakKeyDictionary()


def lesson_range(taught: Taught) -> TrainingRange | None:
    """Return the range of the slides that bear examples; None where there is too little.

    It is the same until examples are on other slides, and is found once.
    """
    slides = taught.bearing
    known = _ranges.setdefault(taught.layout, {})
    key = tuple(slide.id for slide in slides)
    if key not in known:
        features = [slide.features.features for slide in slides]
        known[key] = slides_range(features, [slide.centers for slide in slides])
    return known[key]


def unlike_slides(taught: Taught) -> Mapping[SlideId, str]:
    """Say which open slides without examples lie beyond the range of those with examples.

    Where there is no range, none of them is known to lie within, and that is said.
    """
    bearing = {slide.id for slide in taught.bearing}
    opened = taught.request.slides[: taught.request.opened]
    others = [slide for slide in opened if slide.id not in bearing]
    if not others:
        return {}
    found = lesson_range(taught)
    if found is None:
        return dict.fromkeys((slide.id for slide in others), _UNKNOWN)
    distances = {slide.id: found.distance(slide.features.features) for slide in others}
    return {
        slide: f"This slide looks unlike those with examples ({how_far(distance, found.limit)}), "
        "so its map may be wrong. Mark a few patches on it."
        for slide, distance in distances.items()
        if not distance <= found.limit  # nor where it is not a number
    }
