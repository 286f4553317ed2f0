"""The analysis: read, encode, weigh and sum, as a generator of small events."""

import logging
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from napari_xmag.analyze.accumulator import ScoreAccumulator
from napari_xmag.analyze.build_result import build_result
from napari_xmag.analyze.encode_tiles import TileEncoding
from napari_xmag.analyze.encoder import EncoderLanes, Scores, networks_of, score_features
from napari_xmag.analyze.events import AnalyzeEvent, SlideFinished, SlidePlanned, Waiting
from napari_xmag.analyze.kept_features import FeatureKeeper, KeptTiles
from napari_xmag.analyze.result import SlideResult
from napari_xmag.analyze.settings import AnalyzeSettings
from napari_xmag.errors import ConfigError, ResultError, TissueError
from napari_xmag.features.key import FeatureKey
from napari_xmag.features.patch_features import EXACT, PatchFeatures
from napari_xmag.features.store import FeatureStore
from napari_xmag.nets.accelerators import torch_is_loading
from napari_xmag.nets.engines.open import open_head
from napari_xmag.progress.heartbeat import BEAT_SECONDS
from napari_xmag.slide.bag import Bag, plan_bag
from napari_xmag.slide.base import Slide, require_mpp
from napari_xmag.slide.fingerprint import slide_fingerprint
from napari_xmag.slide.tissue import TissueChoice, TissueMask, find_tissue, whole_slide

if TYPE_CHECKING:
    from napari_xmag.analyze.encoder import AnyModel

_log = logging.getLogger(__name__)

_Answer = TypeVar("_Answer")


def analyze(
    slide: Slide,
    model: "AnyModel",
    settings: AnalyzeSettings | None = None,
    mask: TissueMask | None = None,
    store: FeatureStore | None = None,
    *,
    live: bool = True,
) -> Generator[AnalyzeEvent, None, None]:
    """Analyze a slide step by step.

    Memory stays bounded whatever the slide's size: tiles are read a bounded number ahead, and of
    their features only scores and a sum are kept.

    Parameters
    ----------
    slide
        An open slide; stays open.
    model
        On whatever device and in whatever mode; stays as it is.
    settings
        How to run; the defaults when None.
    mask
        Where to look; found on the slide when None.
    store
        Where the features of patches are kept: those that are there are not encoded again.
    live
        Whether somebody watches the map: then tiles from all over the slide come first. In rows,
        they are read in less time.

    Yields
    ------
    `Waiting` at least four times a second, `SlidePlanned`, `TilesDone` for each batch, and at
    last `SlideFinished` with the result. Closing the generator cancels within a second.

    Raises
    ------
    MppMissingError
        At once, when the slide has no mpp.
    ConfigError
        When a setting does not fit this machine.
    TileReadError
        When the tissue cannot be looked for; single unreadable tiles raise nothing.
    ModelError
        When the model fails or gives values that are not numbers.
    ResultError
        When the file was replaced or changed meanwhile.
    """
    require_mpp(slide)
    return _Analysis(slide, model, settings or AnalyzeSettings(), mask, store, live=live).events()


def analyze_slide(
    slide: Slide,
    model: "AnyModel",
    settings: AnalyzeSettings | None = None,
    mask: TissueMask | None = None,
    listen: Callable[[AnalyzeEvent], None] | None = None,
    store: FeatureStore | None = None,
) -> SlideResult:
    """Analyze a slide and wait for the result; see `analyze`.

    Parameters
    ----------
    listen
        Called with every event.
    """
    last: AnalyzeEvent = Waiting("starting")
    live = listen is not None
    with closing(analyze(slide, model, settings, mask, store, live=live)) as events:
        for last in events:
            if listen is not None:
                listen(last)
    assert isinstance(last, SlideFinished)  # a run ends with it or raises
    return last.result


def encode_slide(
    slide: Slide,
    model: "AnyModel",
    store: FeatureStore,
    settings: AnalyzeSettings | None = None,
    mask: TissueMask | None = None,
    *,
    aside: bool = False,
    key: FeatureKey | None = None,
) -> Generator[AnalyzeEvent, None, PatchFeatures]:
    """Encode the tissue of a slide into a store, or take what is there; asks no head.

    Parameters
    ----------
    slide, model, settings, mask
        As for `analyze`.
    aside
        Encode on the grid that lies half a patch aside, up and to the left.
    key
        Of these features, where it is known.

    Yields
    ------
    What `analyze` yields, but no `SlideFinished`.

    Returns
    -------
    The features of the patches in ``mask``.

    Raises
    ------
    TissueError
        When the slide has no tissue, or none of it can be read.
    ExportError
        When the store cannot be written.
    MppMissingError, ConfigError, TileReadError, ModelError
        As for `analyze`.
    """
    require_mpp(slide)
    whole = replace(settings or AnalyzeSettings(), quick=False)
    run = _Analysis(slide, model, whole, mask, store, only_encodes=True, aside=aside, key=key)
    return (yield from run.encoding())


class _Analysis:
    """One run; lives as long as its generator."""

    def __init__(
        self,
        slide: Slide,
        model: "AnyModel",
        settings: AnalyzeSettings,
        mask: TissueMask | None,
        store: FeatureStore | None,
        *,
        live: bool = False,
        only_encodes: bool = False,
        aside: bool = False,
        key: FeatureKey | None = None,
    ) -> None:
        exact = settings.precision == EXACT
        self._aside_grid, self._only_encodes, self._live = aside, only_encodes, live
        self._keeper = FeatureKeeper(
            store, slide, model, exact=exact, strict=only_encodes, aside=aside, key=key
        )
        self._clock = _Clock()
        self._slide = slide
        self._model = model
        self._settings = settings
        self._mask = mask

    def events(self) -> Generator[AnalyzeEvent, None, None]:
        path = self._slide.path
        with self._aside() as aside:
            # first of all: whoever replaces the file meanwhile must not get this result
            begun = aside.submit(slide_fingerprint, path, self._slide.image.index)
            run = yield from self._scored(aside)
            run.accumulator.seconds["total"] = self._clock.total()
            model = self._model
            assembled = aside.submit(
                build_result,
                *(self._slide, model.info, run.bag, run.mask, run.accumulator, run.settings),
                networks_of(model).classifier,
            )
            result = yield from _awaited(assembled, "summing up")
            _require_unchanged(path, begun.result(), str(result.slide["fingerprint"]))
            _log.info("Analyzed %s in %.1f s", self._slide.path.name, result.seconds["total"])
            yield SlideFinished(result)

    def encoding(self) -> Generator[AnalyzeEvent, None, PatchFeatures]:
        with self._aside() as aside:
            run = yield from self._scored(aside)
            if run.kept is None:
                raise _nothing_to_encode(self._slide, run.accumulator)
            return run.kept

    @contextmanager
    def _aside(self) -> Iterator[ThreadPoolExecutor]:
        aside = ThreadPoolExecutor(2, "xmag-aside")
        try:
            yield aside
        finally:
            aside.shutdown(wait=False, cancel_futures=True)
            self._keeper.close()

    def _scored(self, aside: ThreadPoolExecutor) -> "Generator[AnalyzeEvent, None, _Scored]":
        """Score all patches, by features that are kept if there are any, else by encoding."""
        clock = self._clock
        found = yield from _awaited(aside.submit(self._keeper.find), "looking for kept features")
        preparing = None if found else aside.submit(self._prepare)
        mask = yield from _awaited(aside.submit(self._find_mask), "finding the tissue")
        clock.lap("tissue")
        bag = yield from _awaited(aside.submit(self._plan, mask), "planning the tiles")
        clock.lap("plan")
        places = bag.patches.columns, bag.patches.rows
        rows = found.where(*places) if found and len(bag.patches.boxes) else None
        planned = len(bag.tiles.boxes)
        classes = len(self._model.info.classes)
        whole = networks_of(self._model).classifier is not None
        if whole and self._settings.quick:
            raise _not_quick(self._model.info.display_name)
        accumulator = ScoreAccumulator(planned, classes, seconds=clock.laps, keep_features=whole)
        if found is not None and rows is not None:
            yield SlidePlanned(bag.patches, mask, planned)
            if not self._only_encodes:
                tiles = KeptTiles(found, bag, rows)
                yield from self._kept_tiles(tiles, accumulator, aside)
            used = self._settings_used(mask, engine="kept features", precision=found.precision)
            return _Scored(bag, mask, accumulator, used, found.part(rows[rows >= 0]))
        # before the model is ready: who waits for it sees what will be read
        yield SlidePlanned(bag.patches, mask, planned)
        preparing = preparing or aside.submit(self._prepare)
        encoder = yield from _awaited(preparing, _model_stage)
        clock.lap("model")
        with closing(encoder):
            used = yield from self._encoded(bag, mask, encoder, accumulator)
        if accumulator.done < accumulator.total:
            self._keeper.close()  # features are kept of whole slides only
            used["tiles_planned"], used["tiles_seen"] = accumulator.total, accumulator.done
        keeping = aside.submit(self._keeper.finish)
        kept = yield from _awaited(keeping, "keeping the features")
        return _Scored(bag, mask, accumulator, used, kept)

    def _encoded(
        self, bag: Bag, mask: TissueMask, encoder: EncoderLanes, accumulator: ScoreAccumulator
    ) -> Generator[AnalyzeEvent, None, dict[str, Any]]:
        engine = encoder.engine
        self._keeper.begin(bag, engine.precision)
        encoding = TileEncoding(self._slide, self._settings, bag, encoder, self._keeper)
        yield from encoding.events(accumulator, self._model.info, live=self._live)
        return self._settings_used(
            mask,
            engine=engine.name,
            device=engine.device,
            batch_size=engine.batch_size,
            precision=engine.precision,
        )

    def _prepare(self) -> EncoderLanes:
        return EncoderLanes(self._model, self._settings, keep_features=self._keeper.has_store)

    def _kept_tiles(
        self, tiles: KeptTiles, accumulator: ScoreAccumulator, aside: ThreadPoolExecutor
    ) -> Generator[AnalyzeEvent, None, None]:
        opening = aside.submit(open_head, networks_of(self._model))
        head = yield from _awaited(opening, "preparing the model")
        self._clock.lap("model")
        for index, reason in tiles.unreadable():
            yield accumulator.add_unreadable(index, reason)
        for count, indices, features in tiles.batches():
            scores = Scores(count, indices, score_features(head, features))
            yield accumulator.add(scores)
        accumulator.stop(1)

    def _find_mask(self) -> TissueMask:
        if self._mask is not None:
            return self._mask
        find = whole_slide if self._settings.tissue is TissueChoice.WHOLE else find_tissue
        return find(self._slide)

    def _plan(self, mask: TissueMask) -> Bag:
        info = self._model.info
        return plan_bag(
            self._slide,
            mask,
            mpp=info.mpp,
            tile_px=info.tile_px,
            cells=self._model.cells,
            min_tissue=self._settings.min_tissue,
            aside=self._aside_grid,
        )

    def _settings_used(self, mask: TissueMask, **used: object) -> dict[str, Any]:
        return {**asdict(self._settings), **used, "tissue": str(mask.method)}


@dataclass(frozen=True, slots=True, eq=False)
class _Scored:
    """What a run has when all patches are scored; the features if they are kept."""

    bag: Bag
    mask: TissueMask
    accumulator: ScoreAccumulator
    settings: dict[str, Any]
    kept: PatchFeatures | None


def _nothing_to_encode(slide: Slide, accumulator: ScoreAccumulator) -> TissueError:
    tiles = accumulator.total
    return TissueError(
        expected=f"tissue in {slide.path.name}",
        found=f"{tiles} tiles of which none can be read" if tiles else "no tissue",
        hint="Check the tissue outline and correct it, or choose another slide.",
    )


def _not_quick(name: str) -> ConfigError:
    return ConfigError(
        expected="a model with an attention head, for a quick analysis",
        found=f"{name}, which measures areas and needs every tile",
        hint="Analyze the whole slide.",
    )


def _require_unchanged(path: Path, begun: str, ended: str) -> None:
    if begun != ended:
        raise ResultError(
            expected=f"{path.name} to stay as it was while it was analyzed",
            found="that it changed during the analysis",
            hint="Analyze it again once it is no longer written to.",
        )


class _Clock:
    """Wall seconds by stage."""

    def __init__(self) -> None:
        self._start = self._last = time.perf_counter()
        self.laps: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.laps[stage], self._last = now - self._last, now

    def total(self) -> float:
        return time.perf_counter() - self._start


def _model_stage() -> str:
    return "loading PyTorch and the model" if torch_is_loading() else "preparing the model"


def _awaited(
    future: Future[_Answer], stage: str | Callable[[], str]
) -> Generator[AnalyzeEvent, None, _Answer]:
    while True:
        try:
            return future.result(timeout=BEAT_SECONDS)
        except NotYet:
            # a TimeoutError that the work itself raised is an answer too
            if future.done():
                return future.result()
            yield Waiting(stage if isinstance(stage, str) else stage())
