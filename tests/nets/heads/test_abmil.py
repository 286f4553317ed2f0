"""The head: map and number agree, chunks agree with the whole, extremes stay finite."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from napari_xmag.errors import ModelError
from napari_xmag.nets.heads.abmil import AttentionHead


def _head(classes: int = 3) -> AttentionHead:
    torch.manual_seed(0)
    return AttentionHead(16, 8, classes).eval().requires_grad_(False)


def test_evidence_sums_to_the_logits_and_attention_to_one() -> None:
    output = _head()(torch.randn(5000, 16))
    summed = output.evidence.numpy().sum(0, dtype=np.float64)
    np.testing.assert_allclose(summed, output.logits.numpy(), atol=1e-6)
    assert float(output.attention.sum()) == pytest.approx(1, abs=1e-5)
    assert (output.attention > 0).all()


def test_logits_are_those_of_ilse() -> None:
    """The classifier on the attention-weighted mean feature, bias and all, gives the same."""
    head, features = _head(), torch.randn(300, 16)
    output = head(features)
    mean = (output.attention.unsqueeze(1) * features).sum(0)
    torch.testing.assert_close(output.logits, head.score(mean), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cut", [1, 7, 4096])
def test_parts_of_a_slide_score_as_the_whole_does(cut: int) -> None:
    head, features = _head(), torch.randn(5000, 16)
    whole = head(features)
    parts = [head.patch_scores(part) for part in torch.split(features, cut)]
    logits, evidence = (torch.cat(values) for values in zip(*parts, strict=True))
    torch.testing.assert_close(logits, whole.attention_logit, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(head.pool(logits, evidence)[2], whole.logits, rtol=1e-4, atol=1e-6)


def test_huge_logits_stay_finite() -> None:
    attention, evidence, logits = _head().pool(
        torch.tensor([1e4, -1e4, 1e4]), torch.tensor([[1.0, 2.0, 3.0]] * 3)
    )
    torch.testing.assert_close(attention, torch.tensor([0.5, 0.0, 0.5]))
    torch.testing.assert_close(logits, torch.tensor([1.0, 2.0, 3.0]))
    assert torch.isfinite(evidence).all()


def test_half_precision_scores_pool_in_float32() -> None:
    """In float16 the weights of 100,000 tiles would fall below its smallest number."""
    attention, _, logits = _head().pool(
        torch.zeros(100_000, dtype=torch.float16), torch.ones(100_000, 3, dtype=torch.float16)
    )
    assert attention.dtype == torch.float32
    torch.testing.assert_close(logits, torch.ones(3), rtol=1e-3, atol=0)


def test_no_layer_ever_sees_a_hundred_thousand_tiles_at_once() -> None:
    head, seen = _head(), []
    head.value.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    with torch.inference_mode():
        output = head(torch.randn(100_000, 16))
    assert output.attention.shape == (100_000,)
    assert sum(seen) == 100_000
    assert max(seen) <= 4096


def test_order_of_tiles_does_not_matter() -> None:
    head, features = _head(), torch.randn(200, 16)
    order = torch.randperm(200)
    shuffled, straight = head(features[order]), head(features)
    torch.testing.assert_close(shuffled.logits, straight.logits, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(shuffled.attention, straight.attention[order])


def test_no_patches_is_an_error_in_words() -> None:
    with pytest.raises(ModelError, match="at least one patch"):
        _head().pool(torch.empty(0), torch.empty(0, 3))


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ModelError, match="hidden=0"):
        AttentionHead(16, 0, 2)


def test_learns_which_few_tiles_decide() -> None:
    """Ten of 100 tiles carry the class: the head must find slides' classes and those tiles."""
    torch.manual_seed(1)
    bags = [torch.randn(100, 16) for _ in range(60)]
    for bag in bags[::2]:
        bag[:10, 0] += 3
    head = AttentionHead(16, 8, 2)
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-2)
    for _ in range(8):
        for index, bag in enumerate(bags[:40]):
            target = torch.tensor(1 - index % 2)
            loss = torch.nn.functional.cross_entropy(head(bag).logits, target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.inference_mode():
        outputs = [head(bag) for bag in bags[40:]]
    truth = [1 - index % 2 for index in range(20)]
    assert roc_auc_score(truth, [float(o.logits[1] - o.logits[0]) for o in outputs]) > 0.95
    evidence = outputs[0].evidence[:, 1] - outputs[0].evidence[:, 0]
    assert roc_auc_score([1] * 10 + [0] * 90, evidence.numpy()) > 0.9
