"""Gated-attention multiple instance learning whose class logits are sums of patch evidence."""

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from napari_xmag.errors import ModelError

_CHUNK = 4096
"""Patches scored at once: hidden activations take a few megabytes, however large the slide."""


class HeadOutput(NamedTuple):
    """What the head says of one slide of P patches and C classes.

    Attributes
    ----------
    attention_logit
        Float (P,), before the softmax over patches.
    patch_evidence
        Float (P, C), class scores of each patch for itself, not weighted.
    attention
        Float32 (P,), positive, sums to 1.
    evidence
        Float32 (P, C): attention times patch evidence.
    logits
        Float32 (C,): the sum of the evidence over patches, and nothing else.
    """

    attention_logit: Tensor
    patch_evidence: Tensor
    attention: Tensor
    evidence: Tensor
    logits: Tensor


class AttentionHead(nn.Module):
    """Gated-attention ABMIL (Ilse, Tomczak, Welling 2018, arXiv 1802.04712) with class evidence.

    Ilse et al. classify the attention-weighted mean of the features. The classifier is linear, so
    it may as well act on each patch before the mean is taken: a slide's class logit is then exactly
    the sum of what its patches contribute, and a map of these contributions cannot disagree with
    the number. The class bias is part of every patch's score (the attention sums to 1).

    Parameters
    ----------
    dim
        Length of a patch's feature vector.
    hidden
        Width of the gated attention.
    classes
        Number of classes.
    dropout
        Share of the feature values dropped in training.
    """

    def __init__(self, dim: int, hidden: int, classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        if min(dim, hidden, classes) < 1:
            raise ModelError(
                expected="a head with positive dim, hidden and classes",
                found=f"dim={dim}, hidden={hidden}, classes={classes}",
                hint="Correct the head's sizes.",
            )
        self.dim, self.hidden, self.classes = dim, hidden, classes
        self.dropout = nn.Dropout(dropout)
        self.value = nn.Linear(dim, hidden)
        self.gate = nn.Linear(dim, hidden)
        # No bias: the softmax over patches would swallow it.
        self.attend = nn.Linear(hidden, 1, bias=False)
        self.score = nn.Linear(dim, classes)

    def forward(self, features: Tensor) -> HeadOutput:
        """Classify one slide.

        Parameters
        ----------
        features
            Float (P, dim), all patches of the slide, P ≥ 1.
        """
        attention_logit, patch_evidence = self.patch_scores(features)
        return HeadOutput(
            attention_logit, patch_evidence, *self.pool(attention_logit, patch_evidence)
        )

    def patch_scores(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Score patches, each for itself: any part of a slide gives what the whole gives.

        Returns
        -------
        Attention logits (P,) and patch evidence (P, C).
        """
        parts = [self._score(chunk) for chunk in torch.split(features, _CHUNK)]
        return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])

    def pool(
        self, attention_logit: Tensor, patch_evidence: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Bring the scores of all patches together.

        Returns
        -------
        Attention (P,), evidence (P, C) and logits (C,), in float32.

        Raises
        ------
        ModelError
            When there are no patches.
        """
        if len(attention_logit) == 0:
            raise ModelError(
                expected="at least one patch to classify",
                found="none",
                hint="Check the tissue of the slide.",
            )
        # Half precision would round the weights of thousands of patches; torch.softmax takes the
        # largest logit off first, so no logit overflows.
        attention = torch.softmax(attention_logit.float(), dim=0)
        evidence = attention.unsqueeze(1) * patch_evidence.float()
        return attention, evidence, evidence.sum(0)

    def _score(self, features: Tensor) -> tuple[Tensor, Tensor]:
        features = self.dropout(features)
        gated = torch.tanh(self.value(features)) * torch.sigmoid(self.gate(features))
        return cast(Tensor, self.attend(gated)).squeeze(1), self.score(features)
