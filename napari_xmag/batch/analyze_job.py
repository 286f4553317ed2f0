"""All that is done to analyze one slide: open, look, analyze, export."""

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_xmag.batch.events import SlideDone, SlideEvent, SlideLabel, SlideMoved, SlideWarned
from napari_xmag.batch.models import opened_model
from napari_xmag.batch.regions import recorded, words_mark
from napari_xmag.batch.saved import Wanted, requested
from napari_xmag.batch.slide_job import BatchTask, SlideJob
from napari_xmag.result_keys import ENTRY, PLANE, entry_of, with_entry

if TYPE_CHECKING:
    from napari_xmag.analyze.result import SlideResult
    from napari_xmag.features.store import FeatureStore
    from napari_xmag.qupath.origin import Origin
    from napari_xmag.qupath.regions import Regions
    from napari_xmag.slide.base import Slide


@dataclass(frozen=True, kw_only=True)
class AnalyzeJob(SlideJob):
    """Analyze and export.

    Attributes
    ----------
    model
        Folder of the model.
    model_sha256
        What it must be, in whatever process.
    out
        Holds the folders of all results.
    store
        Where the features of slides are kept; None keeps none.
    """

    model: Path
    model_sha256: str
    out: Path
    store: "FeatureStore | None" = None

    def work(self, task: BatchTask, label: SlideLabel, slide: "Slide") -> Iterator[SlideEvent]:
        """Analyze one picture."""
        from napari_xmag.export.result_folders import ResultFolders, owner_name, result_name
        from napari_xmag.slide.fingerprint import slide_fingerprint

        target, place = task.target, task.place
        plane = target.plane(slide)
        within = self.regions.read(target, label.image, plane)
        if words := self.give_mpp(slide):
            yield SlideWarned(label, words)
        number = slide.image.index
        mark = slide_fingerprint(target.path, number)
        origin = target.origin(slide, self.origin)
        request = self._request(within, origin, target.entry)
        if slide.image.focal_planes > 1:
            request[PLANE] = plane
        wanted = Wanted(mark, self.model_sha256, request)
        name, whose = result_name(target.path, number), owner_name(mark, target.entry)
        before = owner_name(mark, target.earlier) if target.earlier else ""
        folders = ResultFolders(self.out)
        own = place.own(name, {whose, before})
        with folders.reserve(name, whose, place.number, before, own) as folder:
            kept = None if self.anew else _own(wanted.find(folder, slide), folder, target.entry)
            result = kept or (
                yield from self._analyzed(label, slide, within, origin, wanted, folder)
            )
        notes = () if within is None else (within.words,)
        yield SlideDone(label, folder, result, notes, reused=kept is not None)

    def _analyzed(
        self,
        label: SlideLabel,
        slide: "Slide",
        within: "Regions | None",
        origin: "Origin",
        wanted: Wanted,
        folder: Path,
    ) -> "Generator[SlideEvent, None, SlideResult]":
        from napari_xmag.analyze.engine import analyze
        from napari_xmag.analyze.events import SlideFinished, SlidePlanned
        from napari_xmag.export import export_all

        mask = self.regions.mask(slide, within, origin)
        model = opened_model(self.model, self.model_sha256)
        running = analyze(slide, model, self.settings, mask, self.store, live=False)
        with closing(running) as events:
            for event in events:
                if isinstance(event, SlideFinished):
                    result = recorded(event.result, within, wanted.request)
                    continue
                if isinstance(event, SlidePlanned):
                    mask = event.mask
                yield SlideMoved(label, event)
        export_all(slide, result, folder, origin, mask=mask)
        return result

    def _request(self, within: "Regions | None", origin: "Origin", entry: str) -> dict[str, Any]:
        more: dict[str, Any] = {"origin": str(origin)}
        if entry:
            more[ENTRY] = entry
        if within is not None:
            more |= {"regions": words_mark(within), "glass": self.regions.whole}
        return requested(self.settings, **more)


def _own(result: "SlideResult | None", folder: Path, entry: str) -> "SlideResult | None":
    """Return a kept result; one of a project that was moved since says from now on where it is."""
    if result is None or entry_of(result.settings) == entry:
        return result
    result = replace(result, settings=with_entry(result.settings, entry))
    result.save(folder)
    return result
