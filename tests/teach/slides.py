"""Slides for teaching that need no encoder: patches whose features say what they are."""

import numpy as np
from numpy.typing import NDArray

from napari_xmag.features.key import FeatureKey
from napari_xmag.features.patch_features import PatchFeatures
from napari_xmag.teach.lesson import SlideId
from napari_xmag.teach.prepared import PreparedSlide
from napari_xmag.teach.session import TeachSession

STRIDE_X, STRIDE_Y, ORIGIN_X, ORIGIN_Y = 256.5, 255.0, 1000.0, 700.0
MPP = 0.25, 0.26
KINDS = np.random.default_rng(8).normal(0, 2, (3, 24))


def tissue_kinds(rows: int = 16, columns: int = 24) -> NDArray[np.int64]:
    """Three kinds in upright stripes; the top row is glass (-1)."""
    kinds = np.repeat(np.arange(3), columns // 3)[None].repeat(rows, 0)
    kinds[0] = -1
    return kinds


def prepared_slide(
    kinds: NDArray[np.int64], letter: str = "a", encoder: str = "e", seed: int = 0
) -> PreparedSlide:
    """Return a slide with these kinds of tissue (R, C); half as much noise as kinds differ."""
    rows, columns = np.nonzero(kinds >= 0)
    draw = np.random.default_rng(seed)
    features = KINDS[kinds[rows, columns]] + draw.normal(0, 1, (len(rows), KINDS.shape[1]))
    key = FeatureKey(
        letter * 32, 1, encoder * 64, "cells", 2.0, 256, STRIDE_X, STRIDE_Y, ORIGIN_X, ORIGIN_Y
    )
    kept = PatchFeatures(
        features.astype(np.float16),
        columns,
        rows,
        kinds.shape,
        key,
        "float32",
        (f"{letter}.svs", encoder),
        MPP,
    )
    return PreparedSlide(kept, np.ones(len(rows)))


def kinds_of(slide: PreparedSlide, kinds: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the kind of each patch."""
    return kinds[slide.features.rows, slide.features.columns]


def show(
    session: TeachSession,
    slide: PreparedSlide,
    kinds: NDArray[np.int64],
    names: tuple[str, ...],
    count: int = 6,
    seed: int = 0,
) -> None:
    """Mark some patches of each kind."""
    draw = np.random.default_rng(seed)
    of = kinds_of(slide, kinds)
    for kind, name in enumerate(names):
        if name not in session.lesson.class_names:
            session.add_class(name)
        session.mark(slide.id, draw.choice(np.flatnonzero(of == kind), count, False), name)


def slide_id(letter: str = "a") -> SlideId:
    """Return the id of a slide."""
    return SlideId(letter * 32, 1)
