"""Reading and encoding the tiles of a slide, side by side."""

import time
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from contextlib import closing
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_xmag.analyze.accumulator import ScoreAccumulator
from napari_xmag.analyze.encoder import EncoderLanes, Scores
from napari_xmag.analyze.events import AnalyzeEvent, Waiting
from napari_xmag.analyze.kept_features import FeatureKeeper
from napari_xmag.analyze.quick import has_settled
from napari_xmag.analyze.settings import AnalyzeSettings
from napari_xmag.cores import usable_cores
from napari_xmag.nets.engines.base import Engine
from napari_xmag.nets.info import ModelInfo
from napari_xmag.progress.heartbeat import BEAT_SECONDS
from napari_xmag.slide.bag import Bag
from napari_xmag.slide.base import Slide
from napari_xmag.slide.reading_order import live_order, spread_passes
from napari_xmag.slide.tiles import Tile, read_tiles, tiles_ahead

_MOST_READERS = 16


class TileEncoding:
    """Encodes and scores the tiles of one slide.

    Parameters
    ----------
    slide, settings
        Of the analysis.
    bag
        Its tiles and patches.
    encoder
        Student and head.
    keeper
        Gets the features.
    """

    def __init__(
        self,
        slide: Slide,
        settings: AnalyzeSettings,
        bag: Bag,
        encoder: EncoderLanes,
        keeper: FeatureKeeper,
    ) -> None:
        self._slide, self._settings, self._bag = slide, settings, bag
        self._encoder, self._keeper = encoder, keeper
        self._pending: deque[Future[Scores]] = deque()
        self._spoke = time.perf_counter()

    def events(
        self, accumulator: ScoreAccumulator, info: ModelInfo, *, live: bool
    ) -> Generator[AnalyzeEvent, None, None]:
        """Encode all tiles, or in a quick run as many as the answer needs.

        Parameters
        ----------
        live
            Begin with tiles from all over the slide.
        """
        quick = self._settings.quick
        for places in self._passes(live=live):
            yield from self._pass(places, accumulator)
            if quick and has_settled(info, accumulator, self._bag.members):
                break
        accumulator.stop(self._encoder.engine.lanes)

    def _passes(self, *, live: bool) -> list[NDArray[np.int64]]:
        grid = self._bag.tiles
        if self._settings.quick:
            return spread_passes(grid.rows, grid.columns)
        return live_order(grid.rows, grid.columns) if live else [np.arange(len(grid.boxes))]

    def _pass(
        self, places: NDArray[np.int64], accumulator: ScoreAccumulator
    ) -> Generator[AnalyzeEvent, None, None]:
        batch: list[Tile] = []
        bag, engine = self._bag, self._encoder.engine
        with closing(self._read(places, engine)) as tiles:
            for tile in tiles:
                if tile is not None and tile.pixels is None:
                    self._keeper.add_unreadable(bag.members[tile.index], tile.error)
                    yield self._said(accumulator.add_unreadable(tile.index, tile.error))
                elif tile is not None:
                    batch.append(tile)
                if len(batch) >= engine.batch_size:
                    self._submit(batch)
                    batch = []
                yield from self._collect(accumulator, most_pending=2 * engine.lanes)
                if time.perf_counter() - self._spoke > BEAT_SECONDS:
                    yield self._said(Waiting("reading", accumulator.done, accumulator.total))
        if batch:
            self._submit(batch)
        yield from self._collect(accumulator, most_pending=0)

    def _submit(self, batch: list[Tile]) -> None:
        members = self._bag.members[[tile.index for tile in batch]]
        self._pending.append(self._encoder.submit(batch, members))

    def _read(
        self, places: NDArray[np.int64], engine: Engine
    ) -> Generator[Tile | None, None, None]:
        grid = self._bag.tiles
        workers, ahead = self._settings.workers, tiles_ahead(grid.tile_px)
        if engine.device != "cpu":
            # all cores are free to read, and each lane takes a whole batch at once
            workers = workers or min(_MOST_READERS, usable_cores())
            ahead = max(ahead, engine.lanes * engine.batch_size)
        found = read_tiles(
            self._slide,
            [grid.boxes[place] for place in places],
            grid.tile_px,
            workers=workers,
            ahead=ahead,
            poll_seconds=BEAT_SECONDS,
        )
        with closing(found):
            for tile in found:
                yield tile if tile is None else replace(tile, index=int(places[tile.index]))

    def _collect(
        self, accumulator: ScoreAccumulator, most_pending: int
    ) -> Generator[AnalyzeEvent, None, None]:
        """Report finished batches in order; wait while more than ``most_pending`` are not."""
        while self._pending and (self._pending[0].done() or len(self._pending) > most_pending):
            try:
                scores = self._pending[0].result(timeout=BEAT_SECONDS)
            except NotYet:
                yield self._said(Waiting("encoding", accumulator.done, accumulator.total))
                continue
            self._pending.popleft()
            self._keeper.add(scores.indices, scores.of_patches.features)
            yield self._said(accumulator.add(scores))

    def _said(self, event: AnalyzeEvent) -> AnalyzeEvent:
        self._spoke = time.perf_counter()
        return event
