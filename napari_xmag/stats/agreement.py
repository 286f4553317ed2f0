"""How much of a teacher's features an encoder's features hold."""

import numpy as np
from numpy.typing import NDArray

Features = tuple[NDArray[np.floating], NDArray[np.floating]]
"""An encoder's features (N, D) and the teacher's (N, D') of the same N places."""

_PENALTY = 0.1


def agreement(training: Features, testing: Features) -> float:
    """Return how well a linear map predicts the teacher's features in other slides.

    A ridge regression from the encoder's standardized features to the teacher's is fitted on one
    set of places. Returned is the mean cosine, over the places of the other set, of what it
    predicts and what the teacher says, both without the teacher's mean of the first set: 1 when
    the encoder knows all that the teacher says, 0 when it knows nothing of it.

    Parameters
    ----------
    training, testing
        Features of the places to fit on, and of places of other slides.
    """
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(training[0])
    mean = training[1].mean(0)
    model = Ridge(alpha=_PENALTY * len(training[0]))
    model.fit(scaler.transform(training[0]), training[1] - mean)
    predicted, true = model.predict(scaler.transform(testing[0])), testing[1] - mean
    norms = np.linalg.norm(predicted, axis=1) * np.linalg.norm(true, axis=1)
    return float(((predicted * true).sum(1) / np.maximum(norms, 1e-12)).mean())


def cells_as_rows(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return features (N, cells, D) as (N · cells, D)."""
    return values.reshape(-1, values.shape[-1])
