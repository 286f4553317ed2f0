"""The loss, and the folding of the standardization, against known values."""

import numpy as np
import pytest
import torch

from napari_xmag.mil.task import HeadBatch, HeadTask, SlideBag
from napari_xmag.nets.heads.abmil import AttentionHead


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
    loss = task(HeadBatch([SlideBag(bag, 0), SlideBag(bag, 1)], weight=4.0))["loss"].item()
    assert loss == pytest.approx((3 * np.log(4) + np.log(4 / 3)) / 4)


def test_labelled_patches_join_the_loss_and_others_take_no_part() -> None:
    torch.manual_seed(0)
    weights, features = torch.tensor([0.25, 2.0]), torch.randn(6, 4)
    head = AttentionHead(4, 3, 2)
    task = HeadTask(head, torch.zeros(4), torch.ones(4), torch.ones(2), patch_weights=weights)
    labels = torch.tensor([-1, 0, 1, -1, 1, -1])
    bags = [
        SlideBag(features, 1, labels),
        SlideBag(features, 0),
        SlideBag(features, 0, torch.full((6,), -1)),
    ]
    output = task(HeadBatch(bags, weight=3.0, slides=3.0))
    chances = head.score(features).log_softmax(1)
    expected = -(0.25 * chances[1, 0] + 2 * chances[2, 1] + 2 * chances[4, 1]) / 3
    assert output["patch_loss"].item() == pytest.approx(expected.item() / 3)
    assert output["loss"].item() == pytest.approx(
        (output["slide_loss"] + output["patch_loss"]).item()
    )
    evidence = torch.randn(6, 2, requires_grad=True)
    task.patch_loss(evidence, labels).backward()
    assert evidence.grad is not None
    assert evidence.grad.abs().sum(1).gt(0).tolist() == (labels >= 0).tolist()


def test_without_weights_labels_of_patches_change_nothing() -> None:
    head, features = AttentionHead(4, 3, 2), torch.randn(6, 4)
    task = HeadTask(head, torch.zeros(4), torch.ones(4), torch.ones(2)).eval()
    with_labels = task(HeadBatch([SlideBag(features, 1, torch.ones(6, dtype=torch.int64))], 1.0))
    assert with_labels.keys() == {"loss", "output"}
    assert torch.equal(with_labels["loss"], task(HeadBatch([SlideBag(features, 1)], 1.0))["loss"])
