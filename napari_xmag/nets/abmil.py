"""Gated-attention multiple instance learning whose class logits are sums of tile evidence."""

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from napari_xmag.errors import ModelError

_CHUNK = 4096
"""Tiles scored at once: keeps the hidden activations of a 100,000-tile slide at some megabytes."""


class HeadOutput(NamedTuple):
    """What the head says of one slide of T tiles and C classes.

    Attributes
    ----------
    attention_logit
        Float (T,), before the softmax over tiles.
    patch_evidence
        Float (T, C), class scores of each tile for itself, not weighted.
    attention
        Float32 (T,), positive, sums to 1.
    evidence
        Float32 (T, C): attention times tile evidence.
    logits
        Float32 (C,): the sum of the evidence over tiles, and nothing else.
    """

    attention_logit: Tensor
    patch_evidence: Tensor
    attention: Tensor
    evidence: Tensor
    logits: Tensor


class AttentionHead(nn.Module):
    """Gated-attention ABMIL (Ilse, Tomczak, Welling 2018, arXiv 1802.04712) with class evidence.

    Ilse et al. classify the attention-weighted mean of the features. The classifier is linear, so
    it may as well act on each tile before the mean is taken: a slide's class logit is then exactly
    the sum of what its tiles contribute, and a map of these contributions cannot disagree with the
    number. The class bias is part of every tile's score (the attention sums to 1).

    Parameters
    ----------
    dim
        Length of a tile's feature vector.
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
        # No bias: the softmax over tiles would swallow it.
        self.attend = nn.Linear(hidden, 1, bias=False)
        self.score = nn.Linear(dim, classes)

    def forward(self, features: Tensor) -> HeadOutput:
        """Classify one slide.

        Parameters
        ----------
        features
            Float (T, dim), all tiles of the slide, T ≥ 1.
        """
        attention_logit, patch_evidence = self.patch_scores(features)
        return HeadOutput(
            attention_logit, patch_evidence, *self.pool(attention_logit, patch_evidence)
        )

    def patch_scores(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Score tiles, each for itself: any part of a slide gives what the whole gives.

        Returns
        -------
        Attention logits (T,) and tile evidence (T, C).
        """
        parts = [self._score(chunk) for chunk in torch.split(features, _CHUNK)]
        return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])

    def pool(
        self, attention_logit: Tensor, patch_evidence: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Bring the scores of all tiles together.

        Returns
        -------
        Attention (T,), evidence (T, C) and logits (C,), in float32.

        Raises
        ------
        ModelError
            When there are no tiles.
        """
        if len(attention_logit) == 0:
            raise ModelError(
                expected="at least one tile to classify",
                found="none",
                hint="Check the tissue of the slide.",
            )
        # Half precision would round the weights of thousands of tiles; torch.softmax takes the
        # largest logit off first, so no logit overflows.
        attention = torch.softmax(attention_logit.float(), dim=0)
        evidence = attention.unsqueeze(1) * patch_evidence.float()
        return attention, evidence, evidence.sum(0)

    def _score(self, features: Tensor) -> tuple[Tensor, Tensor]:
        features = self.dropout(features)
        gated = torch.tanh(self.value(features)) * torch.sigmoid(self.gate(features))
        return cast(Tensor, self.attend(gated)).squeeze(1), self.score(features)
