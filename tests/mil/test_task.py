"""The loss, and the folding of the standardisation, against known values."""

import numpy as np
import pytest
import torch

from napari_xmag.mil.task import HeadBatch, HeadTask
from napari_xmag.nets.abmil import AttentionHead


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
    loss = task(HeadBatch([(bag, 0), (bag, 1)], weight=4.0))["loss"].item()
    assert loss == pytest.approx((3 * np.log(4) + np.log(4 / 3)) / 4)
