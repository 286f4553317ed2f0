"""How much of the tissue each class covers, and how sure that is."""

import csv
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_xmag._about import NOTICE
from napari_xmag.errors import TeachError
from napari_xmag.files import whole_file
from napari_xmag.nets.heads.patch_classifier import NOT_TAUGHT, Classified
from napari_xmag.spreadsheets import as_text
from napari_xmag.teach.classifier import Taught, fit_examples
from napari_xmag.teach.lesson import SlideId
from napari_xmag.teach.one_thread import one_thread
from napari_xmag.teach.prepared import PreparedSlide
from napari_xmag.teach.regions import example_regions
from napari_xmag.teach.steps import answer_of

_REPLICATES = 20
_TAIL = 0.025


@dataclass(frozen=True, slots=True)
class ClassArea:
    """The area of one class on one slide.

    Attributes
    ----------
    class_name
        The class, or `NOT_TAUGHT`.
    mm2
        Its tissue in mm².
    share
        Its part of all tissue, 0 to 1.
    low, high
        Where that part lies for 95 of 100 classifiers that other examples like these would teach;
        both equal ``share`` where that was not asked for.
    """

    class_name: str
    mm2: float
    share: float
    low: float
    high: float


def areas(taught: Taught, slide: SlideId, *, intervals: bool = True) -> list[ClassArea]:
    """Measure the classes on an open slide, `NOT_TAUGHT` last; only tissue counts.

    Parameters
    ----------
    intervals
        Teach twenty more classifiers on examples that are drawn again, region by region, which
        takes seconds on a large slide.

    Raises
    ------
    ResultError
        When the slide is not part of the request.
    """
    return answer_of(area_steps(taught, slide, intervals=intervals))


def area_steps(
    taught: Taught, slide: SlideId, *, intervals: bool = True
) -> Generator[None, None, list[ClassArea]]:
    """Measure as `areas` does, and yield after each classifier, so that one can leave off."""
    prepared = taught.request.slide(slide)
    shares = _shares(prepared, taught.shown[slide], len(taught.classes))
    drawn = [shares]
    if intervals:
        for share in _drawn_shares(taught, prepared):
            drawn.append(share)
            yield
    low, high = np.quantile(np.stack(drawn), [_TAIL, 1 - _TAIL], axis=0)
    whole = float(prepared.map_tissue.sum()) * prepared.place_um2 / 1e6
    names = (*taught.classes, NOT_TAUGHT)
    return [
        ClassArea(name, float(share * whole), float(share), float(least), float(most))
        for name, share, least, most in zip(names, shares, low, high, strict=True)
    ]


def _shares(prepared: PreparedSlide, classified: Classified, classes: int) -> NDArray[np.float64]:
    """Return the part of the tissue of each class and of what is not taught, float (C + 1,)."""
    labels = np.where(classified.labels < 0, classes, classified.labels)
    weights = np.bincount(labels, prepared.map_tissue, minlength=classes + 1)
    whole = max(float(weights.sum()), np.finfo(float).tiny)
    return np.asarray(weights / whole, np.float64)


def _drawn_shares(taught: Taught, prepared: PreparedSlide) -> Iterator[NDArray[np.float64]]:
    """Yield the shares by classifiers that were taught by examples drawn again."""
    examples, regions = taught.examples, example_regions(taught.examples, taught.request.slides)
    patches = taught.layout.patches[prepared.id]
    draw = np.random.default_rng(0)
    names = np.unique(regions)
    for _ in range(_REPLICATES):
        counts = np.bincount(draw.choice(names, len(names)), minlength=int(names.max()) + 1)
        rows = np.repeat(np.arange(len(examples)), counts[regions])
        again = examples.chosen(rows)
        try:
            with one_thread():
                classifier = fit_examples(taught.request, again, taught.layout)
                classified = taught.layout.shown(classifier, prepared, classifier.at(patches))
        except TeachError:
            continue  # a draw that lacks all classes but one teaches nothing
        yield _shares(prepared, classified, len(taught.classes))


def write_areas(rows: Sequence[tuple[str, Sequence[ClassArea], str]], path: Path) -> None:
    """Write the areas of many slides as CSV, a row for each slide and class.

    Parameters
    ----------
    rows
        Name and areas of each slide, and what makes them doubtful; empty for nothing.

    Raises
    ------
    ExportError
        When the file cannot be written.
    """
    with whole_file(path) as part, part.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        numbers = ("area_mm2", "share", "share_low", "share_high")
        writer.writerow(("slide", "class", *numbers, "warning", "notice"))
        for slide, found, warning in rows:
            for item in found:
                values = (item.mm2, item.share, item.low, item.high)
                names = as_text(slide), as_text(item.class_name)
                writer.writerow([*names, *(f"{n:.6g}" for n in values), warning, NOTICE])
