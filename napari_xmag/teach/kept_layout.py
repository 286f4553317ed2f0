"""The coordinates in which patches are compared, kept beside their features for the next session.

They depend on the features of all slides that are taught on together, and on nothing else.
"""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xmag.features.patch_features import PatchFeatures
from napari_xmag.features.store import FeatureStore
from napari_xmag.nets.heads.label_spreading import LikenessGraph
from napari_xmag.nets.heads.patch_classifier import FeatureSpace, PlacedPatches, Ties
from napari_xmag.teach.layout import Layout
from napari_xmag.teach.prepared import PreparedSlide
from napari_xmag.teach.settings import TeachSettings

_log = logging.getLogger(__name__)

LAYOUT = "layout.npz"

_Arrays = dict[str, NDArray[Any]]


def keep_layout(
    store: FeatureStore, slides: Sequence[PreparedSlide], settings: TeachSettings, layout: Layout
) -> None:
    """Keep the coordinates of slides, those of each with its features; only the last ones are."""
    if not all(slide.features.mark for slide in slides):
        return  # nobody could find it again
    of = _made_of(slides, settings)
    for slide in slides:
        store.keep_beside(slide.features, LAYOUT, of, _arrays(layout, layout.patches[slide.id]))
        if slide.finer is not None:
            placed = layout.aside[slide.id]
            store.keep_beside(slide.finer.aside, LAYOUT, of, _arrays(layout, placed))


def kept_layout(
    store: FeatureStore, slides: Sequence[PreparedSlide], settings: TeachSettings
) -> Layout | None:
    """Return what `keep_layout` kept of these slides; None unless it is there of all of them."""
    if not slides:
        return None
    of = _made_of(slides, settings)
    spaces: list[FeatureSpace] = []

    def found(features: PatchFeatures) -> PlacedPatches:
        arrays = store.find_beside(features, LAYOUT, of)
        if arrays is None:
            raise KeyError(features.names[0])
        spaces.append(_space(arrays, settings))
        return _placed(arrays, features, settings)

    try:
        patches = {slide.id: found(slide.features) for slide in slides}
        aside = {slide.id: found(slide.finer.aside) for slide in slides if slide.finer}
    except KeyError as error:
        _log.debug("No layout is kept of %s", error)
        return None
    return Layout(spaces[0], patches, aside)


def _made_of(slides: Sequence[PreparedSlide], settings: TeachSettings) -> str:
    """Return a hash of all that decides a layout; the order of the slides does, too."""
    marks = [
        (slide.features.mark, slide.finer.aside.mark if slide.finer else "") for slide in slides
    ]
    stated = repr((marks, sorted(asdict(settings).items())))
    return hashlib.sha256(stated.encode()).hexdigest()


def _arrays(layout: Layout, placed: PlacedPatches) -> _Arrays:
    space, graph = layout.space, placed.graph
    arrays: _Arrays = {"mean": space.mean, "scale": space.scale, "basis": space.basis}
    arrays["coordinates"] = placed.coordinates
    if graph is not None:
        lower = np.tril_indices(len(graph.nodes))  # above it, a lower factor says nothing
        arrays["factor"] = graph.factor[lower]
        arrays["nodes"], arrays["node_of"] = graph.nodes, graph.node_of.astype(np.uint16)
    return arrays


def _space(arrays: _Arrays, settings: TeachSettings) -> FeatureSpace:
    switches = settings.by_slide, settings.context, settings.spreading
    return FeatureSpace(arrays["mean"], arrays["scale"], arrays["basis"], *switches)


def _placed(arrays: _Arrays, features: PatchFeatures, settings: TeachSettings) -> PlacedPatches:
    coordinates = arrays["coordinates"]
    own = coordinates[:, : arrays["basis"].shape[1]]
    ties = Ties.of(own, features) if settings.context else None
    return PlacedPatches(coordinates, ties, _graph(arrays) if "factor" in arrays else None)


def _graph(arrays: _Arrays) -> LikenessGraph:
    nodes = arrays["nodes"]
    factor = np.zeros((len(nodes), len(nodes)), np.float32)
    factor[np.tril_indices(len(nodes))] = arrays["factor"]
    return LikenessGraph(nodes, factor, arrays["node_of"].astype(np.int64))
