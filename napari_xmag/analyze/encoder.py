"""Tiles in, scores out: an engine in as many lanes as serve."""

import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_xmag.analyze.settings import AnalyzeSettings
from napari_xmag.nets.engines.base import HeadScores, PatchHead
from napari_xmag.nets.engines.lanes import EngineLanes
from napari_xmag.nets.engines.open import EngineSettings, Networks, needs_torch, open_engine
from napari_xmag.nets.folders.stored import StoredModel
from napari_xmag.slide.tiles import Tile

if TYPE_CHECKING:
    from napari_xmag.nets.model import SlideModel

    AnyModel = SlideModel | StoredModel


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """What became of one batch.

    Attributes
    ----------
    tiles
        How many tiles it held.
    indices
        int64 (k,), patches on the grid that the head attends over.
    of_patches
        What the head says of these patches, in their order.
    """

    tiles: int
    indices: NDArray[np.int64]
    of_patches: HeadScores


class EncoderLanes:
    """Runs student and head on batches of tiles in the background.

    Parameters
    ----------
    model
        Stays as it is: what runs is a copy, unless the model is ready on the device.
    settings
        Engine, device, batch size and precision.
    keep_features
        Let the features go along with the scores.

    Attributes
    ----------
    engine
        What runs the model.

    Raises
    ------
    ConfigError
        When there is no such device, or the engine does not run there.
    ModelError
        When the networks do not load, or the engine that was asked for cannot run them.
    """

    def __init__(
        self, model: "AnyModel", settings: AnalyzeSettings, *, keep_features: bool = False
    ) -> None:
        networks = networks_of(model)
        self.engine = open_engine(networks, engine_settings(settings))
        self._classifier = networks.classifier
        self._keep_features = keep_features
        self._lanes = EngineLanes(self.engine, patient=settings.batch_size is not None)

    def submit(self, tiles: Sequence[Tile], members: NDArray[np.int64]) -> Future[Scores]:
        """Start on tiles that were read; errors of the model come out of the future.

        Parameters
        ----------
        members
            int64 (k, N), the places of each tile as in ``Bag.members``.
        """

        def score(pixels: NDArray[np.uint8]) -> Scores:
            # glass is left out: nothing may be attended that is no tissue
            tissue = members >= 0
            return Scores(len(pixels), members[tissue], self._score(pixels, tissue))

        pixels = np.stack([tile.pixels for tile in tiles if tile.pixels is not None])
        return self._lanes.submit(score, pixels)

    def _score(self, pixels: NDArray[np.uint8], tissue: NDArray[np.bool_]) -> HeadScores:
        if self._classifier is None:
            return self.engine.score(pixels, tissue, keep=self._keep_features)
        began = time.perf_counter()
        features = self.engine.encode(pixels)[tissue]
        return score_features(self._classifier, features, time.perf_counter() - began)

    def close(self) -> None:
        """Drop what waits, and give what runs a moment to end."""
        self._lanes.close()


def engine_settings(settings: AnalyzeSettings) -> EngineSettings:
    """Return how an analysis runs the networks."""
    return EngineSettings(settings.engine, settings.device, settings.batch_size, settings.precision)


def open_ahead(model: StoredModel, settings: AnalyzeSettings) -> None:
    """Load what an analysis will need of a model, as far as it disturbs nobody.

    A graph that is not kept yet is not made, and no GPU is touched before it is asked for.

    Raises
    ------
    ModelError
        When the networks do not load.
    """
    wanted = engine_settings(settings)
    if needs_torch(model, wanted):
        model.student()
    else:
        open_engine(model, wanted)


def score_features(
    head: PatchHead, features: NDArray[np.float32], encode_seconds: float = 0.0
) -> HeadScores:
    """Let a head score the features of patches, float32 (k, D); they go along."""
    began = time.perf_counter()
    logit, evidence = head.patch_scores(features)
    took = time.perf_counter() - began
    total = features.sum(0, dtype=np.float64)
    return HeadScores(logit, evidence, total, encode_seconds, took, features)


def networks_of(model: "AnyModel") -> Networks:
    """Return the networks of a model for an engine."""
    if isinstance(model, StoredModel):
        return model
    from napari_xmag.nets.engines.networks import LiveNetworks

    return LiveNetworks.of_model(model)
