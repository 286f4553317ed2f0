"""The slide-level task: an attention head on the frozen features of whole slides."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_xmag.nets.abmil import AttentionHead

SlideBag = tuple[Tensor, int]
"""Features float (P, D) of one slide and the index of its class."""


class HeadBatch(NamedTuple):
    """Slides of one step, and what the sum of their losses is divided by.

    That is the weight of all slides of the step, over the number of processes that share them: the
    mean over processes is then the loss of the step.
    """

    bags: Sequence[SlideBag]
    weight: float


class HeadTask(nn.Module):
    """Cross entropy of the slides of a batch, for `napari_xmag.learn.fit`.

    Parameters
    ----------
    head
        Learns, on standardised features.
    mean, std
        Float (D,) over the training tiles; `folded` moves them into the head's own weights.
    weights
        Float (C,), weight of each class in the loss.
    label_smoothing
        Share of a label that is spread over all classes.
    """

    mean: Tensor
    std: Tensor
    weights: Tensor

    def __init__(
        self,
        head: AttentionHead,
        mean: Tensor,
        std: Tensor,
        weights: Tensor,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        self.head, self.label_smoothing = head, label_smoothing
        for name, value in (("mean", mean), ("std", std), ("weights", weights)):
            self.register_buffer(name, value)

    def forward(self, batch: HeadBatch) -> dict[str, Tensor]:
        """Return loss and the class logits (N, C) of the slides as output."""
        logits = torch.stack([self.logits(features) for features, _ in batch.bags])
        labels = [label for _, label in batch.bags]
        return {"loss": self.loss_sum(logits, labels) / batch.weight, "output": logits}

    def logits(self, features: Tensor) -> Tensor:
        """Return the class logits (C,) of one slide from its features as encoded."""
        _, _, logits = self.head.pool(*self.scores(features))
        return logits

    def scores(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return attention logits (P,) and evidence (P, C) of patches, each for itself."""
        return self.head.patch_scores((features - self.mean) / self.std)

    def loss_sum(self, logits: Tensor, labels: Sequence[int]) -> Tensor:
        """Return the weighted cross entropy, summed over slides.

        Parameters
        ----------
        logits
            Float (N, C).
        labels
            Index of each slide's class.
        """
        return functional.cross_entropy(
            logits,
            torch.tensor(list(labels), device=logits.device),
            weight=self.weights.to(logits.dtype),
            label_smoothing=self.label_smoothing,
            reduction="sum",
        )

    def weight_of(self, labels: Sequence[int]) -> float:
        """Return the sum of the weights of these slides; `loss_sum` over it is their mean loss."""
        return float(sum(self.weights[label].item() for label in labels))

    @torch.no_grad()
    def folded(self) -> AttentionHead:
        """Return a head that gives the same from features that are not standardised."""
        head = self.head
        result = AttentionHead(head.dim, head.hidden, head.classes).to(self.mean.device)
        result.load_state_dict(head.state_dict())
        for layer in (result.value, result.gate, result.score):
            weight = layer.weight / self.std
            layer.bias.sub_(weight @ self.mean)
            layer.weight.copy_(weight)
        return result.eval()
