"""The slide-level task: an attention head on the frozen features of whole slides."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from napari_xmag.nets.abmil import AttentionHead

SlideBag = tuple[Tensor, int]
"""Features float (T, D) of one slide and the index of its class."""


class HeadTask(nn.Module):
    """Cross entropy of the slides of a batch, for `napari_xmag.train.fit`.

    Parameters
    ----------
    head
        Learns, on standardised features.
    mean, std
        Float (D,) over the training tiles; `folded` moves them into the head's own weights.
    weights
        Float (C,), weight of each class in the loss.
    """

    mean: Tensor
    std: Tensor
    weights: Tensor

    def __init__(self, head: AttentionHead, mean: Tensor, std: Tensor, weights: Tensor) -> None:
        super().__init__()
        self.head = head
        for name, value in (("mean", mean), ("std", std), ("weights", weights)):
            self.register_buffer(name, value)

    def forward(self, batch: Sequence[SlideBag]) -> dict[str, Tensor]:
        """Return loss and the class logits (N, C) of the slides as output."""
        logits = torch.stack([self.logits(features) for features, _ in batch])
        labels = torch.tensor([label for _, label in batch], device=logits.device)
        loss = nn.functional.cross_entropy(logits, labels, weight=self.weights)
        return {"loss": loss, "output": logits}

    def logits(self, features: Tensor) -> Tensor:
        """Return the class logits (C,) of one slide from its features as encoded."""
        logits: Tensor = self.head((features - self.mean) / self.std).logits
        return logits

    @torch.no_grad()
    def folded(self) -> AttentionHead:
        """Return a head that gives the same from features that are not standardised."""
        head = self.head
        result = AttentionHead(head.dim, head.hidden, head.classes)
        result.load_state_dict(head.state_dict())
        for layer in (result.value, result.gate, result.score):
            weight = layer.weight / self.std
            layer.bias.sub_(weight @ self.mean)
            layer.weight.copy_(weight)
        return result.eval()
