"""All that is done to keep the features of one slide: open, look, encode."""

import shutil
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_xmag.batch.events import (
    SlideEncoded,
    SlideEvent,
    SlideLabel,
    SlideMoved,
    SlideWarned,
)
from napari_xmag.batch.models import opened_model
from napari_xmag.batch.regions import outlines_mark
from napari_xmag.batch.slide_job import BatchTask, SlideJob
from napari_xmag.features.key import FeatureKey
from napari_xmag.features.patch_features import PatchFeatures
from napari_xmag.features.store import FeatureStore
from napari_xmag.filenames import ABOUT

if TYPE_CHECKING:
    from napari_xmag.analyze.events import AnalyzeEvent
    from napari_xmag.nets.folders.stored import StoredModel
    from napari_xmag.qupath.origin import Origin
    from napari_xmag.qupath.regions import Regions
    from napari_xmag.slide.base import Slide


@dataclass(frozen=True, kw_only=True)
class FeaturesJob(SlideJob):
    """Encode into a store.

    Attributes
    ----------
    model
        Folder of the model whose encoder it is.
    model_sha256
        What it must be, in whatever process.
    out
        Folder of the store.
    """

    model: Path
    model_sha256: str
    out: Path

    def work(self, task: BatchTask, label: SlideLabel, slide: "Slide") -> Iterator[SlideEvent]:
        """Encode one picture."""
        from napari_xmag.analyze.engine import encode_slide

        target = task.target
        store, model = FeatureStore(self.out), opened_model(self.model, self.model_sha256)
        within = self.regions.read(target, label.image, target.plane(slide))
        if words := self.give_mpp(slide):
            yield SlideWarned(label, words)
        origin = target.origin(slide, self.origin)
        key = self._key(slide, model, within, origin)
        folder = store.place(key)
        if self.anew:
            shutil.rmtree(folder, ignore_errors=True)
        before = _written(folder)
        mask = self.regions.mask(slide, within, origin)
        encoding = encode_slide(slide, model, store, self.settings, mask, key=key)
        features = yield from _moved(label, encoding)
        yield _encoded(label, folder, features, within, reused=_written(folder) == before)

    def _key(
        self, slide: "Slide", model: "StoredModel", within: "Regions | None", origin: "Origin"
    ) -> FeatureKey:
        """Return the key of these patches: those of another choice stay beside them."""
        info = model.info
        grid = (info.granularity, info.mpp, info.tile_px, model.cells)
        key = FeatureKey.of(slide, model.fingerprint(), *grid)
        return replace(
            key,
            tissue=f"{self.settings.tissue}, at least {self.settings.min_tissue:g}",
            regions="" if within is None else f"{outlines_mark(within)[:16]} from {origin}",
        )


def _moved(
    label: SlideLabel, encoding: "Generator[AnalyzeEvent, None, PatchFeatures]"
) -> Generator[SlideEvent, None, PatchFeatures]:
    with closing(encoding):
        while True:
            try:
                yield SlideMoved(label, next(encoding))
            except StopIteration as stop:
                features: PatchFeatures = stop.value
                return features


def _written(folder: Path) -> int | None:
    """Return when features were written; None where there are none."""
    try:
        return (folder / ABOUT).stat().st_mtime_ns
    except OSError:
        return None


def _encoded(
    label: SlideLabel,
    folder: Path,
    features: PatchFeatures,
    within: "Regions | None",
    *,
    reused: bool,
) -> SlideEncoded:
    patches, dimensions = features.features.shape
    return SlideEncoded(
        label,
        folder,
        fingerprint=features.key.slide,
        encoder=features.names[1],
        patches=patches,
        dimensions=dimensions,
        unreadable=len(features.unreadable),
        regions="" if within is None else within.file,
        reused=reused,
    )
