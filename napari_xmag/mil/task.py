"""The slide-level task: an attention head on the frozen features of whole slides."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_xmag.nets.heads.abmil import AttentionHead

Scores = tuple[Tensor, Tensor]
"""Attention logits (P,) and evidence (P, C) of patches."""


class SlideBag(NamedTuple):
    """One slide of which a head learns.

    Attributes
    ----------
    features
        Float (P, D).
    label
        Index of its class.
    patches
        Int64 (P,), the class of each patch, below zero where nobody named it; None for none.
    """

    features: Tensor
    label: int
    patches: Tensor | None = None


class HeadBatch(NamedTuple):
    """Slides of one step, and what the sums of their losses are divided by.

    The mean over the processes that share the slides is then the loss of the step.

    Attributes
    ----------
    bags
        The slides of this process.
    weight
        Weight of the labels of all slides of the step, over the number of processes.
    slides
        How many slides the step has, over the number of processes.
    """

    bags: Sequence[SlideBag]
    weight: float
    slides: float = 1.0


class Divided(Protocol):
    """What the sums of losses are divided by, as in `HeadBatch`."""

    @property
    def weight(self) -> float:
        """Weight of the labels of the slides."""
        ...

    @property
    def slides(self) -> float:
        """Number of slides."""
        ...


class HeadTask(nn.Module):
    """Cross entropy of the slides of a batch, for `napari_xmag.learn.fit`.

    Where patches have labels, their cross entropy joins that of the slides: the evidence of a
    patch is to speak for the patch's own class.

    Parameters
    ----------
    head
        Learns, on standardized features.
    mean, std
        Float (D,) over the training patches; `folded` moves them into the head's own weights.
    weights
        Float (C,), weight of each class in the loss.
    label_smoothing
        Share of a label that is spread over all classes.
    patch_weights
        Float (C,), weight of each class in the loss of labelled patches; None: there is no such
        loss.
    """

    mean: Tensor
    std: Tensor
    weights: Tensor
    patch_weights: Tensor | None

    def __init__(
        self,
        head: AttentionHead,
        mean: Tensor,
        std: Tensor,
        weights: Tensor,
        label_smoothing: float = 0.0,
        patch_weights: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.head, self.label_smoothing = head, label_smoothing
        for name, value in (("mean", mean), ("std", std), ("weights", weights)):
            self.register_buffer(name, value)
        self.register_buffer("patch_weights", patch_weights)

    def forward(self, batch: HeadBatch) -> dict[str, Tensor]:
        """Return what `losses` says of the slides."""
        scores = [self.scores(bag.features) for bag in batch.bags]
        labels = [bag.label for bag in batch.bags]
        return self.losses(scores, labels, [bag.patches for bag in batch.bags], batch)

    def losses(
        self,
        scores: Sequence[Scores],
        labels: Sequence[int],
        patches: Sequence[Tensor | None],
        batch: "Divided",
    ) -> dict[str, Tensor]:
        """Return the loss, its parts where there are two, and the class logits (N, C) as output.

        Parameters
        ----------
        scores
            Of the patches of each slide.
        labels
            Index of each slide's class.
        patches
            As in `SlideBag`, for each slide.
        batch
            What the sums are divided by.
        """
        logits = torch.stack([self.head.pool(*some)[2] for some in scores])
        of_slides = self.loss_sum(logits, labels) / batch.weight
        if self.patch_weights is None:
            return {"loss": of_slides, "output": logits}
        each = [self.patch_loss(some[1], own) for some, own in zip(scores, patches, strict=True)]
        of_patches = torch.stack(each).sum() / batch.slides
        parts = {"slide_loss": of_slides, "patch_loss": of_patches}
        return {"loss": of_slides + of_patches, **parts, "output": logits}

    def logits(self, features: Tensor) -> Tensor:
        """Return the class logits (C,) of one slide from its features as encoded."""
        _, _, logits = self.head.pool(*self.scores(features))
        return logits

    def scores(self, features: Tensor) -> Scores:
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

    def patch_loss(self, evidence: Tensor, patches: Tensor | None) -> Tensor:
        """Return the weighted cross entropy of a slide's labelled patches, a mean over them.

        So a slide counts alike however much of it is labelled; one without labels adds nothing.

        Parameters
        ----------
        evidence
            Float (P, C).
        patches
            As in `SlideBag`.
        """
        known = None if patches is None else patches >= 0
        if patches is None or known is None or self.patch_weights is None or not known.any():
            return evidence.new_zeros(())
        loss = functional.cross_entropy(
            evidence[known],
            patches[known],
            weight=self.patch_weights.to(evidence.dtype),
            label_smoothing=self.label_smoothing,
            reduction="sum",
        )
        return loss / known.sum()

    def weight_of(self, labels: Sequence[int]) -> float:
        """Return the sum of the weights of these slides; `loss_sum` over it is their mean loss."""
        return float(sum(self.weights[label].item() for label in labels))

    @torch.no_grad()
    def folded(self) -> AttentionHead:
        """Return a head that gives the same from features that are not standardized."""
        head = self.head
        result = AttentionHead(head.dim, head.hidden, head.classes).to(self.mean.device)
        result.load_state_dict(head.state_dict())
        for layer in (result.value, result.gate, result.score):
            weight = layer.weight / self.std
            layer.bias.sub_(weight @ self.mean)
            layer.weight.copy_(weight)
        return result.eval()
