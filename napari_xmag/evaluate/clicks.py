"""Clicks of a simulated person, and how good what they taught is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from napari_xmag.evaluate.composed import ComposedSlide
from napari_xmag.teach.classifier import Taught, fit
from napari_xmag.teach.layout import Layout
from napari_xmag.teach.lesson import Example, Lesson, SlideId, TaughtClass
from napari_xmag.teach.session import TeachRequest
from napari_xmag.teach.settings import TeachSettings
from napari_xmag.teach.suggest import suggest

Clicks = dict[int, NDArray[np.int64]]
"""Patches that are clicked, by the number of the slide."""

_TOUCHED = 0.5


@dataclass(frozen=True, slots=True)
class Judgement:
    """How right a map is on patches that were not clicked.

    Attributes
    ----------
    auc
        Mean over classes, one against the rest.
    balanced_accuracy
        Mean over classes of the share that is right, whether taught or not.
    """

    auc: float
    balanced_accuracy: float


@dataclass(frozen=True, eq=False)
class Classroom:
    """Slides that are taught on together.

    Attributes
    ----------
    slides
        With known classes.
    layout, settings
        Of all of them.
    classes
        Indices of the classes that are taught.
    """

    slides: Sequence[ComposedSlide]
    layout: Layout
    settings: TeachSettings
    classes: tuple[int, ...]

    def taught_by(self, clicks: Clicks) -> Taught:
        """Fit what the clicks show."""
        names = self.slides[0].classes
        examples = tuple(
            Example(slide.prepared.id, x, y, names[label])
            for slide, patches in ((self.slides[n], patches) for n, patches in clicks.items())
            for (x, y), label in zip(
                slide.prepared.centers[patches].tolist(), slide.labels[patches], strict=True
            )
        )
        lesson = Lesson(tuple(TaughtClass.named(names[kind]) for kind in self.classes), examples)
        prepared = tuple(slide.prepared for slide in self.slides)
        request = TeachRequest(lesson, prepared, len(prepared), self.settings)
        return fit(request, self.layout)

    def judged(self, taught: Taught, parts: Mapping[int, NDArray[np.bool_]]) -> Judgement:
        """Compare the maps with the truth, on some patches of each slide."""
        truth, probabilities = [], []
        for number, chosen in parts.items():
            slide = self.slides[number]
            known = chosen & np.isin(slide.labels, self.classes)
            truth.append(slide.labels[known])
            probabilities.append(taught.maps[slide.prepared.id].probabilities[known])
        labels = np.searchsorted(self.classes, np.concatenate(truth))
        values = np.concatenate(probabilities)
        # the lesson's classes are in the order of this classroom's
        areas = [roc_auc_score(labels == kind, values[:, kind]) for kind in np.unique(labels)]
        return Judgement(
            float(np.mean(areas)), float(balanced_accuracy_score(labels, values.argmax(1)))
        )


def touched_islands(
    slide: ComposedSlide, classes: Sequence[int], draw: np.random.Generator
) -> NDArray[np.bool_]:
    """Return the patches of half of the islands of each class, bool (P,)."""
    chosen = np.zeros(len(slide.labels), bool)
    for kind in classes:
        islands = draw.permutation(np.unique(slide.islands[slide.labels == kind]))
        share = max(1, round(_TOUCHED * len(islands)))
        chosen |= np.isin(slide.islands, islands[:share])
    return chosen & np.isin(slide.labels, classes)


def random_clicks(
    slide: ComposedSlide,
    allowed: NDArray[np.bool_],
    classes: Sequence[int],
    count: int,
    draw: np.random.Generator,
) -> NDArray[np.int64]:
    """Return so many patches of each class, as far as there are."""
    parts = []
    for kind in classes:
        pool = np.flatnonzero(allowed & (slide.labels == kind))
        parts.append(draw.choice(pool, min(count, len(pool)), replace=False))
    return np.concatenate(parts).astype(np.int64)


def suggested_clicks(
    room: Classroom, allowed: NDArray[np.bool_], count: int, draw: np.random.Generator
) -> NDArray[np.int64]:
    """Return patches of the first slide in the order in which they are suggested and labelled.

    One random click of each class begins; ``count`` clicks for each class in all.
    """
    slide = room.slides[0]
    clicked = random_clicks(slide, allowed, room.classes, 1, draw)
    among: dict[SlideId, NDArray[np.bool_]] = {slide.prepared.id: allowed}
    while len(clicked) < count * len(room.classes):
        found = suggest(room.taught_by({0: clicked}), 1, among)
        if not found:
            break
        clicked = np.append(clicked, found[0].patch)
    return clicked
