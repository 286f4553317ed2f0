"""Metrics, temperature and the folding of the standardisation, against known values."""

import numpy as np
import pytest
import torch

from napari_xmag.nets.abmil import AttentionHead
from napari_xmag.train.calibration import fit_temperature
from napari_xmag.train.metrics import slide_metrics
from napari_xmag.train.task import HeadTask


def test_metrics_by_hand() -> None:
    labels = [0, 0, 0, 1]
    probabilities = [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7]]
    figures = slide_metrics(labels, probabilities, ("a", "b"))
    assert figures["slides"] == 4
    assert figures["accuracy"] == pytest.approx(3 / 4)
    assert figures["balanced_accuracy"] == pytest.approx((2 / 3 + 1) / 2)
    assert figures["auc"] == pytest.approx(2 / 3)  # b outranks two of three


def test_auc_of_three_classes_is_the_mean_over_classes() -> None:
    labels = [0, 1, 2]
    probabilities = [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.5, 0.4, 0.1]]
    figures = slide_metrics(labels, probabilities, ("a", "b", "c"))
    assert figures["auc"] == pytest.approx((1 + 1 + 0.5) / 3)
    assert np.isnan(slide_metrics([0, 0], probabilities[:2], ("a", "b", "c"))["auc"])


def test_temperature_of_overconfident_logits() -> None:
    rng = np.random.default_rng(0)
    honest = rng.normal(0, 1.5, (4000, 2))
    chance = np.exp(honest) / np.exp(honest).sum(1, keepdims=True)
    labels = (rng.random(4000) < chance[:, 1]).astype(int)
    assert fit_temperature(3 * honest, labels) == pytest.approx(3, rel=0.1)


def test_temperature_never_sharpens() -> None:
    logits = np.array([[0.1, -0.1], [-0.1, 0.1]])
    assert fit_temperature(logits, [0, 1]) == 1
    assert fit_temperature(np.zeros((0, 2)), []) == 1


def test_folded_head_gives_the_same_on_raw_features() -> None:
    torch.manual_seed(0)
    head = AttentionHead(6, 5, 3, dropout=0.5)
    mean, std = torch.randn(6), torch.rand(6) + 0.5
    task = HeadTask(head, mean, std, torch.ones(3)).eval()
    features = 4 * torch.randn(11, 6) + 2
    expected = head((features - mean) / std)
    folded = task.folded()(features)
    torch.testing.assert_close(folded.logits, expected.logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(folded.attention, expected.attention, atol=1e-6, rtol=1e-5)


def test_class_weights_make_classes_count_alike() -> None:
    head = AttentionHead(2, 2, 2)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.zero_()
        head.score.bias.copy_(torch.tensor([0.0, np.log(3)]))  # probabilities 1/4, 3/4
    task = HeadTask(head, torch.zeros(2), torch.ones(2), torch.tensor([3.0, 1.0]))
    bag = torch.zeros(4, 2)
    loss = task([(bag, 0), (bag, 1)])["loss"].item()
    assert loss == pytest.approx((3 * np.log(4) + np.log(4 / 3)) / 4)
