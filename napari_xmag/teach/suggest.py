"""What is worth labelling next, and what looks like a place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xmag.nets.heads.likeness import cosines, nearest
from napari_xmag.nets.heads.patch_classifier import Classified
from napari_xmag.teach.classifier import Taught
from napari_xmag.teach.layout import Layout
from napari_xmag.teach.lesson import SlideId
from napari_xmag.teach.prepared import PreparedSlide

_CANDIDATES = 2000


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A patch that would teach much.

    Attributes
    ----------
    slide
        On which slide.
    patch
        Which of its patches.
    is_taught
        Whether it is like an example.
    """

    slide: SlideId
    patch: int
    is_taught: bool


def uncertainties(classified: Classified) -> NDArray[np.float32]:
    """Return float32 (P,): 1 minus the lead of the likeliest class; 1 where not taught."""
    ranked = np.sort(classified.probabilities, axis=1)
    unsure = 1 - (ranked[:, -1] - ranked[:, -2])
    result: NDArray[np.float32] = np.where(classified.is_taught, unsure, 1).astype(np.float32)
    return result


def suggest(
    taught: Taught, count: int = 12, among: Mapping[SlideId, NDArray[np.bool_]] | None = None
) -> list[Suggestion]:
    """Return patches worth labelling, the best first: unsure ones that differ from one another.

    Each is the one whose uncertainty, times the part of it that is tissue, times its distance from
    all examples and from those chosen before it, is largest.

    Parameters
    ----------
    count
        How many; fewer when there are not so many patches without a label.
    among
        Only these patches, bool (P,) of each slide; all of them when None.
    """
    if not taught.maps:
        return []  # all slides that teach are closed
    pool = _pool(taught, among)
    if not len(pool.patch):
        return []
    distance = nearest(pool.points, taught.classifier.examples)[0]
    chosen: list[Suggestion] = []
    for _ in range(min(count, len(pool.patch))):
        best = int(np.argmax(pool.unsure * distance))
        chosen.append(pool.suggestion(best))
        distance = np.minimum(distance, nearest(pool.points, pool.points[best : best + 1])[0])
        distance[best] = -1
    return chosen


@dataclass(frozen=True, eq=False)
class _Pool:
    """Candidates of all open slides: the unsurest ones without a label."""

    slides: list[SlideId]
    owner: NDArray[np.int64]
    patch: NDArray[np.int64]
    unsure: NDArray[np.float32]
    is_taught: NDArray[np.bool_]
    points: NDArray[np.float32]

    def suggestion(self, index: int) -> Suggestion:
        return Suggestion(
            self.slides[self.owner[index]],
            int(self.patch[index]),
            bool(self.is_taught[index]),
        )


def _pool(taught: Taught, among: Mapping[SlideId, NDArray[np.bool_]] | None) -> _Pool:
    slides = list(taught.maps)
    # of an edge that is mostly glass nobody can say much
    unsure = [
        uncertainties(found) * taught.request.slide(of).tissue.astype(np.float32)
        for of, found in taught.maps.items()
    ]
    for number, values in enumerate(unsure):
        # their labels are known; a negative value keeps them out
        values[taught.examples.patches[taught.examples.slides == number]] = -1
        if among is not None:
            values[~among[slides[number]]] = -1
    sizes = [len(values) for values in unsure]
    owner = np.repeat(np.arange(len(slides)), sizes)
    patch = np.concatenate([np.arange(size) for size in sizes])
    joined = np.concatenate(unsure)
    best = np.argsort(-joined, kind="stable")[:_CANDIDATES]
    best = best[joined[best] >= 0]
    is_taught = np.concatenate([found.is_taught for found in taught.maps.values()])
    points = [
        taught.layout.coordinates[slides[slide]][index]
        for slide, index in zip(owner[best], patch[best], strict=True)
    ]
    width = taught.layout.space.length
    return _Pool(
        slides,
        owner[best],
        patch[best],
        joined[best],
        is_taught[best],
        np.array(points, np.float32).reshape(-1, width),
    )


def find_similar(
    layout: Layout, slides: Sequence[PreparedSlide], slide: SlideId, patch: int
) -> Mapping[SlideId, NDArray[np.float32]]:
    """Return how like a patch all places of the maps of slides are, float32 from -1 to 1.

    The cosine of their standardized features; needs no class and no example.

    Parameters
    ----------
    slides
        Whose maps are wanted.
    slide, patch
        The patch to which they are compared.
    """
    wanted = layout.coordinates[slide][patch : patch + 1]
    found = {}
    for each in slides:
        likeness = cosines(layout.coordinates[each.id], wanted)[:, 0]
        if each.finer is not None:
            aside = cosines(layout.aside[each.id].coordinates, wanted)[:, 0]
            likeness = each.finer.joined(likeness, aside)
        found[each.id] = likeness
    return found
