"""The head on frozen features: what it says before and after it has learned."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_xmag.cohort.rows import TRAIN, CohortRow
from napari_xmag.mil.features import SlideFeatures
from napari_xmag.mil.head_training import Bags, new_head, patch_weights, train_head
from napari_xmag.nets.heads.abmil import HeadOutput
from napari_xmag.progress.events import EpochDone
from napari_xmag.progress.heartbeat import finish
from napari_xmag.train.config import EndToEndConfig, TrainConfig

PATCHES, DIM, TELLING = 40, 64, 3
"""Each slide has so many places; the first few of a malignant one differ in one feature."""


def bags(count: int = 20) -> Bags:
    draw = np.random.default_rng(0)
    rows, features = [], []
    for number in range(count):
        values = draw.normal(size=(PATCHES, DIM)).astype(np.float32)
        label = ("benign", "malignant")[number % 2]
        if label == "malignant":
            values[:TELLING, 0] += 6
        boxes = np.zeros((PATCHES, 4))
        features.append(SlideFeatures(values, boxes, boxes, np.ones((PATCHES, 1), bool)))
        rows.append(CohortRow(number + 2, Path(f"{number}.tiff"), label, str(number), TRAIN))
    return Bags(rows, features, ("benign", "malignant"))


@cache
def learned(seed: int) -> HeadOutput:
    """What a trained head says of a malignant slide."""
    config = TrainConfig(seed=seed, dropout=0.0, label_smoothing=0.05)
    head = finish(train_head(bags(), config.head_settings)).folded()
    return head(torch.from_numpy(bags().features[1].features))


def test_a_new_head_attends_to_all_alike_and_finds_nothing() -> None:
    output = new_head(DIM, 2, TrainConfig().head_settings)(torch.randn(PATCHES, DIM))

    torch.testing.assert_close(output.attention, torch.full((PATCHES,), 1 / PATCHES))
    assert not output.evidence.any()


def test_a_head_finds_the_places_that_tell_the_classes_apart() -> None:
    output = learned(0)

    assert set(output.attention.topk(TELLING).indices.tolist()) == set(range(TELLING))
    assert set(output.evidence[:, 1].topk(TELLING).indices.tolist()) == set(range(TELLING))
    assert output.attention[:TELLING].sum() > 0.5


def test_evidence_is_what_was_learned_and_not_what_was_drawn() -> None:
    one, other = (learned(seed).patch_evidence[:, 1].detach() for seed in (0, 1))

    assert np.corrcoef(one, other)[0, 1] > 0.9


def test_before_the_encoder_joins_the_head_learns_shorter() -> None:
    config = TrainConfig(mode="end-to-end", end_to_end=EndToEndConfig(head_epochs=3))

    events = list(train_head(bags(4), config.head_settings))

    assert sum(isinstance(event, EpochDone) for event in events) == 3


def test_the_head_never_learns_longer_than_it_would_alone() -> None:
    short = TrainConfig().fit.model_copy(update={"epochs": 2})

    assert TrainConfig(mode="end-to-end", fit=short).head_fit.epochs == 2
    assert TrainConfig(mode="head", fit=short).head_fit == short


def test_labelled_slides_count_alike_and_so_do_classes() -> None:
    """One slide of ten patches of class 0; one of 300 of class 1 and 100 of class 0."""
    few, many = torch.zeros(10), torch.cat([torch.ones(300), torch.zeros(100)])
    patches = [few.long(), many.long(), None, torch.full((5,), -1)]
    settings = TrainConfig().head_settings
    weights = patch_weights(patches, 3, replace(settings, patch_weight=0.5))
    assert weights is not None
    # of two slides class 0 has 1.25 and class 1 0.75; nobody names class 2
    expected = [0.5 * 2 / (2 * 1.25), 0.5 * 2 / (2 * 0.75), 0.0]
    assert weights.tolist() == pytest.approx(expected)
    plain = patch_weights(patches, 3, replace(settings, class_weights=False))
    assert plain is not None
    assert plain.tolist() == [1, 1, 0]


def test_patches_of_one_class_teach_nothing() -> None:
    settings = TrainConfig().head_settings
    assert patch_weights([torch.ones(4, dtype=torch.int64), None], 2, settings) is None
    both = torch.tensor([0, 1])
    assert patch_weights([both], 2, replace(settings, patch_weight=0.0)) is None
    assert patch_weights([both], 2, settings) is not None
