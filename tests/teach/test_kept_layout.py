"""Coordinates kept for the next session: the same ones, and only of the same slides."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_xmag.features.store import FeatureStore
from napari_xmag.geometry import Box
from napari_xmag.slide.tiles import TileGrid
from napari_xmag.teach import classifier
from napari_xmag.teach.classifier import Learner
from napari_xmag.teach.kept_layout import LAYOUT
from napari_xmag.teach.prepared import PreparedSlide
from napari_xmag.teach.session import TeachSession
from napari_xmag.teach.settings import TeachSettings
from tests.teach.slides import prepared_slide, show, tissue_kinds

KINDS = ("Tumor", "Stroma", "Necrosis")


def stored(store: FeatureStore, letter: str, seed: int = 0) -> PreparedSlide:
    """Keep a slide's features and return it as another session finds it."""
    made = prepared_slide(tissue_kinds(), letter, seed=seed)
    kept, key = made.features, made.features.key
    boxes = tuple(Box(x, y, r - x, b - y) for x, y, r, b in kept.corners().tolist())
    steps = key.stride_x, key.stride_y, key.origin_x, key.origin_y
    grid = TileGrid(boxes, kept.columns, kept.rows, 2.0, 64, *steps, kept.shape)
    writer = store.writer(key, grid, precision="float32", names=kept.names, mpp=kept.mpp)
    writer.add(np.arange(len(kept)), kept.features)
    writer.finish()
    return replace(made, features=found(store, made))


def found(store: FeatureStore, slide: PreparedSlide) -> Any:
    features = store.find(slide.features.key)
    assert features is not None
    return features


def lesson_on(*slides: PreparedSlide, settings: TeachSettings | None = None) -> TeachSession:
    session = TeachSession(settings=settings)
    for slide in slides:
        session.open_slide(slide)
    show(session, slides[0], tissue_kinds(), KINDS)
    return session


@pytest.fixture
def laid_out(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many slides were laid out each time."""
    counts: list[int] = []
    plain = classifier.lay_out

    def counted(slides: Any, settings: TeachSettings) -> Any:
        counts.append(len(slides))
        return plain(slides, settings)

    monkeypatch.setattr(classifier, "lay_out", counted)
    return counts


def test_the_next_session_maps_the_same_without_laying_out(
    tmp_path: Path, laid_out: list[int]
) -> None:
    store = FeatureStore(tmp_path)
    slides = [stored(store, letter, seed) for seed, letter in enumerate("ab")]
    first = Learner(store)
    before = first.fit(lesson_on(*slides).request())
    first.keep()
    again = [replace(slide, features=found(store, slide)) for slide in slides]
    after = Learner(store).fit(lesson_on(*again).request())
    assert laid_out == [2]
    for slide in slides:
        one, two = before.maps[slide.id], after.maps[slide.id]
        np.testing.assert_array_equal(one.probabilities, two.probabilities)
        np.testing.assert_array_equal(one.distance, two.distance)


def test_other_slides_features_and_settings_are_laid_out(
    tmp_path: Path, laid_out: list[int]
) -> None:
    store = FeatureStore(tmp_path)
    one, two = (stored(store, letter, seed) for seed, letter in enumerate("ab"))

    def taught(*slides: PreparedSlide, settings: TeachSettings | None = None) -> None:
        learner = Learner(store)
        learner.fit(lesson_on(*slides, settings=settings).request())
        learner.keep()

    taught(one, two)
    taught(one)  # in coordinates of its own
    taught(one)
    assert laid_out == [2, 1]
    taught(one, settings=TeachSettings(components=8))
    taught(stored(store, "a", seed=5))
    assert laid_out == [2, 1, 1, 1]


def test_a_damaged_layout_is_made_anew(tmp_path: Path, laid_out: list[int]) -> None:
    store = FeatureStore(tmp_path)
    slide = stored(store, "a")
    learner = Learner(store)
    before = learner.fit(lesson_on(slide).request())
    learner.keep()
    path = store.place(slide.features.key) / LAYOUT
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x55
    path.write_bytes(content)
    after = Learner(store).fit(lesson_on(slide).request())
    assert laid_out == [1, 1]
    np.testing.assert_array_equal(
        before.maps[slide.id].probabilities, after.maps[slide.id].probabilities
    )
