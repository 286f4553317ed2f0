"""How far a slide may lie from the slides of a lesson before its map is not to be trusted.

Needs no torch.
"""

from collections.abc import Mapping

from napari_xmag.analyze.flags import how_far
from napari_xmag.nets.info import TrainingRange
from napari_xmag.nets.slides_range import slides_range
from napari_xmag.teach.classifier import Taught
from napari_xmag.teach.lesson import SlideId
from napari_xmag.teach.prepared import PreparedSlide


def lesson_range(taught: Taught) -> TrainingRange | None:
    """Return the range of the slides that bear examples; None where there is too little."""
    slides = _shown(taught)
    return slides_range([s.features.features for s in slides], [s.centers for s in slides])


def unlike_slides(taught: Taught) -> Mapping[SlideId, str]:
    """Say which open slides without examples lie beyond the range of those with examples."""
    shown = {slide.id for slide in _shown(taught)}
    opened = taught.request.slides[: taught.request.opened]
    others = [slide for slide in opened if slide.id not in shown]
    found = lesson_range(taught) if others else None
    if found is None:
        return {}
    distances = {slide.id: found.distance(slide.features.features) for slide in others}
    return {
        slide: f"This slide looks unlike those with examples ({how_far(distance, found.limit)} the "
        "usual distance), so its map may be wrong. Mark a few patches on it."
        for slide, distance in distances.items()
        if distance > found.limit
    }


def _shown(taught: Taught) -> list[PreparedSlide]:
    """Return the slides that bear examples."""
    return [taught.request.slides[n] for n in sorted(set(taught.examples.slides.tolist()))]
