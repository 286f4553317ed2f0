"""Makes a slide ready for teaching: finds its tissue and encodes it, or takes what is kept."""

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass

from napari_xmag.analyze.engine import encode_slide
from napari_xmag.analyze.events import AnalyzeEvent, SlidePlanned
from napari_xmag.analyze.kept_features import FeatureKeeper
from napari_xmag.analyze.settings import AnalyzeSettings
from napari_xmag.features.patch_features import EXACT, PatchFeatures
from napari_xmag.features.store import FeatureStore
from napari_xmag.features.tissue import keep_tissue, kept_tissue
from napari_xmag.nets.folders.stored import StoredModel
from napari_xmag.slide.base import Slide
from napari_xmag.slide.tissue import TissueMask
from napari_xmag.teach.prepared import PreparedSlide, prepare_slide


@dataclass(frozen=True, slots=True, eq=False)
class ReadySlide:
    """A slide that can be taught on, and its tissue."""

    prepared: PreparedSlide
    mask: TissueMask

    @classmethod
    def of(
        cls, features: PatchFeatures, mask: TissueMask, aside: PatchFeatures | None
    ) -> "ReadySlide":
        """Measure the tissue of each patch; see `prepare_slide`."""
        return cls(prepare_slide(features, mask, aside), mask)


def kept_slide(
    slide: Slide,
    model: StoredModel,
    store: FeatureStore,
    settings: AnalyzeSettings | None = None,
    *,
    finer: bool = False,
    grown: bool = False,
) -> ReadySlide | None:
    """Return a slide that was made ready before, in whatever session; None where one has to.

    Neither is its tissue looked for, nor is an engine opened. See `encoded_slide`.

    Parameters
    ----------
    grown
        Take it also with what `napari_xmag.teach.grow.grown_slide` has added.
    """
    settings = settings or AnalyzeSettings()
    found: list[PatchFeatures] = []
    masks: list[TissueMask] = []
    for aside in (False, True) if finer else (False,):
        exact = settings.precision == EXACT
        kept = FeatureKeeper(store, slide, model, exact=exact, aside=aside).find()
        if kept is None:
            return None
        mask = kept_tissue(store, kept, settings.min_tissue, grown=grown and not aside)
        if mask is None:
            return None
        found.append(kept)
        masks.append(mask)
    return ReadySlide.of(found[0], masks[0], found[1] if finer else None)


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
        keep_tissue(store, features, mask, settings.min_tissue)
        found.append(features)
    assert mask is not None
    return ReadySlide.of(found[0], mask, found[1] if finer else None)


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
