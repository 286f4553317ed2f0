"""From the scores of all patches of a slide to its class logits; needs no torch."""

import numpy as np
from numpy.typing import NDArray


def pool_scores(
    attention_logit: NDArray[np.float32], patch_evidence: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]:
    """Bring the scores of all patches together, as `AttentionHead.pool` does in training.

    Parameters
    ----------
    attention_logit
        float32 (P,), P ≥ 1.
    patch_evidence
        float32 (P, C).

    Returns
    -------
    Attention float32 (P,), which sums to 1; evidence float32 (P, C), attention times patch
    evidence; and the class logits float64 (C,), the sum of the evidence.
    """
    from scipy.special import softmax

    attention = softmax(attention_logit.astype(np.float64))
    evidence = attention[:, None] * patch_evidence
    return attention.astype(np.float32), evidence.astype(np.float32), evidence.sum(0)
