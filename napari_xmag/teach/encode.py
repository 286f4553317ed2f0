"""Makes a slide ready for teaching: finds its tissue and encodes it, or takes what is kept."""

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_xmag.analyze.engine import encode_slide
from napari_xmag.analyze.events import AnalyzeEvent, SlidePlanned
from napari_xmag.analyze.kept_features import FeatureKeeper
from napari_xmag.analyze.settings import AnalyzeSettings
from napari_xmag.features.patch_features import EXACT, PatchFeatures
from napari_xmag.features.store import FeatureStore
from napari_xmag.features.tissue import KeptTissue, keep_tissue, kept_tissue, with_patches
from napari_xmag.nets.folders.stored import StoredModel
from napari_xmag.slide.base import Slide
from napari_xmag.slide.tissue import TissueMask
from napari_xmag.teach.prepared import PreparedSlide, prepare_slide


@dataclass(frozen=True, slots=True, eq=False)
class ReadySlide:
    """A slide that can be taught on, and its tissue.

    Attributes
    ----------
    prepared
        Its patches.
    mask
        Its tissue: what was found, and the patches that a person showed beyond.
    found
        The tissue that was found.
    """

    prepared: PreparedSlide
    mask: TissueMask
    found: TissueMask

    @classmethod
    def of(
        cls, features: PatchFeatures, tissue: KeptTissue, aside: PatchFeatures | None
    ) -> "ReadySlide":
        """Measure the tissue of each patch; see `prepare_slide`."""
        features = features.without(tissue.other)
        mask = with_patches(tissue.mask, features, tissue.grown)
        prepared = prepare_slide(features, mask, aside, tissue.grown)
        # as copies, without the sums that measuring left: these are several times as large
        return cls(prepared, replace(mask), replace(tissue.mask))

    def only_with(self, places: NDArray[np.float64]) -> "ReadySlide":
        """Leave out the patches beyond the tissue found in which none of these places lies.

        Parameters
        ----------
        places
            float (N, 2), x and y in level-0 pixels.
        """
        whole = self.prepared
        grown = whole.grown & whole.cells_beyond(places)
        if grown == whole.grown:
            return self
        aside = whole.finer.aside if whole.finer is not None else None
        some = whole.features.without(whole.grown - grown)
        return ReadySlide.of(some, KeptTissue(self.found, grown), aside)


def kept_slide(
    slide: Slide,
    model: StoredModel,
    store: FeatureStore,
    settings: AnalyzeSettings | None = None,
    *,
    finer: bool = False,
) -> ReadySlide | None:
    """Return a slide that was made ready before, in whatever session; None where one has to.

    Neither is its tissue looked for, nor is an engine opened. See `encoded_slide`. What
    `napari_xmag.teach.grow.grown_slide` has ever added is there, too; see `ReadySlide.only_with`.
    """
    settings = settings or AnalyzeSettings()
    found: list[PatchFeatures] = []
    tissues: list[KeptTissue] = []
    for aside in (False, True) if finer else (False,):
        exact = settings.precision == EXACT
        kept = FeatureKeeper(store, slide, model, exact=exact, aside=aside).find()
        if kept is None:
            return None
        tissue = kept_tissue(store, kept, settings.min_tissue)
        if tissue is None or tissue.mask.method is not settings.tissue:
            return None
        found.append(kept)
        tissues.append(tissue)
    return ReadySlide.of(found[0], tissues[0], found[1] if finer else None)


def encoded_slide(
    slide: Slide,
    model: StoredModel,
    store: FeatureStore,
    settings: AnalyzeSettings | None = None,
    *,
    finer: bool = False,
) -> Generator[AnalyzeEvent, None, ReadySlide]:
    """Find the tissue of a slide and encode it, as far as it is not kept.

    Parameters
    ----------
    store
        Keeps the features, and the tissue for `kept_slide`.
    finer
        Encode it once more, half a patch aside.

    Yields
    ------
    What `encode_slide` yields.

    Raises
    ------
    XmagError
        What `encode_slide` raises.
    """
    settings = settings or AnalyzeSettings()
    found: list[PatchFeatures] = []
    mask: TissueMask | None = None
    for aside in (False, True) if finer else (False,):
        steps = encode_slide(slide, model, store, settings, mask, aside=aside)
        features, mask = yield from _with_tissue(steps)
        found.append(_keep(store, features, mask, settings))
    assert mask is not None
    return ReadySlide.of(found[0], KeptTissue(mask), found[1] if finer else None)


def _keep(
    store: FeatureStore, features: PatchFeatures, mask: TissueMask, settings: AnalyzeSettings
) -> PatchFeatures:
    """Keep the tissue, also where these features are but a part of what is kept of the slide."""
    held = features
    if not features.mark:
        held = store.find(features.key, exact=settings.precision == EXACT) or features
    other = held.places - features.places
    keep_tissue(store, held, KeptTissue(mask, other=other), settings.min_tissue)
    return held.without(other)


def _with_tissue(
    steps: Generator[AnalyzeEvent, None, PatchFeatures],
) -> Generator[AnalyzeEvent, None, tuple[PatchFeatures, TissueMask]]:
    """Hear of which tissue is encoded."""
    mask: TissueMask | None = None
    with closing(steps):
        while True:
            try:
                event = next(steps)
            except StopIteration as end:
                assert mask is not None  # it is planned before anything is encoded
                return end.value, mask
            if isinstance(event, SlidePlanned):
                mask = event.mask
            yield event
