"""The work that threads do for the worklist: generators that know neither widget nor viewer."""

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_xmag._gui.analyze import tasks
from napari_xmag._gui.analyze.tasks import Analysis
from napari_xmag._gui.analyze.tissue.request import TissueRequest
from napari_xmag._gui.shared.jobs import awaited
from napari_xmag.analyze.events import AnalyzeEvent, SlideFinished, Waiting
from napari_xmag.analyze.result import SlideResult
from napari_xmag.errors import XmagError
from napari_xmag.geometry import Mpp
from napari_xmag.result_keys import with_entry
from napari_xmag.review.store import ReviewStore
from napari_xmag.review.worklist import Worklist
from napari_xmag.review.worklist_row import RowKey, WorklistRow
from napari_xmag.review.worklist_sources import worklist_rows
from napari_xmag.slide.base import Slide
from napari_xmag.slide.given_mpp import fill_mpp
from napari_xmag.slide.open import open_slide
from napari_xmag.slide.small_picture import small_picture
from napari_xmag.slide.tissue import TissueChoice

THUMBNAIL_PX = 48


@dataclass(frozen=True, slots=True, eq=False)
class Thumbnail:
    """A small picture of a slide, uint8 (H, W, 3)."""

    key: RowKey
    pixels: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class RowAnalyzed:
    """A slide of the list is analyzed, and its result saved under ``id``."""

    result: SlideResult
    id: str


def find_rows(
    sources: Sequence[Path],
) -> Generator[Waiting | tuple[WorklistRow, ...], None, None]:
    """Look for the slides that files, folders, tables, projects and lists name."""
    yield (yield from awaited(lambda: worklist_rows(sources).rows, "Looking for slides"))


def thumbnails(
    rows: Sequence[WorklistRow], worklist: Worklist
) -> Generator[Thumbnail | Waiting, None, None]:
    """Read a small picture of each slide; one that cannot be read has none.

    Where its path leads is looked up for the list, too: the window need not wait for that.
    """
    for row in rows:
        worklist.real_slide(row)
        yield Waiting("Looking up paths")
    for row in rows:
        try:
            with closing(open_slide(row.slide, image=row.image)) as slide:
                pixels = small_picture(slide, THUMBNAIL_PX)
        except XmagError:
            pixels = None  # whoever analyzes it says why
        yield Waiting("Reading thumbnails") if pixels is None else Thumbnail(row.key, pixels)


def analyze_row(
    row: WorklistRow, analysis: Analysis
) -> Generator[AnalyzeEvent | tasks.ModelReady | RowAnalyzed, None, None]:
    """Analyze a slide of the list as the window does, and save its result."""
    slide = yield from awaited(lambda: _opened(row), "Opening the slide")
    with closing(slide):
        tissue = TissueRequest(TissueChoice.AUTO)
        request = tasks.AnalyzeRequest(slide, analysis.model, analysis.settings, tissue)
        result = None
        with closing(tasks.run(request, analysis.shelf, live=False)) as events:
            for event in events:
                if isinstance(event, SlideFinished):
                    result = event.result
                else:
                    yield event
        if result is not None:
            if row.entry:  # results of several images that show one picture are all kept
                result = replace(result, settings=with_entry(result.settings, row.entry))
            store = ReviewStore(str(result.slide["fingerprint"]))
            yield RowAnalyzed(result, store.save_result(result))


def is_as_run(result: SlideResult, model: str) -> bool:
    """Return whether `analyze_row` would make such a result, with the model of this digest."""
    of_all_tissue = result.tissue.get("choice") == TissueChoice.AUTO
    return of_all_tissue and result.model["sha256"] == model


def _opened(row: WorklistRow) -> Slide:
    slide = open_slide(row.slide, image=row.image)
    if row.mpp is not None:
        fill_mpp(slide, Mpp(row.mpp, row.mpp))
    return slide
