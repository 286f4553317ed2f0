"""Simple classifiers on frozen features: what they reach is the encoder's merit, not theirs."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xmag.evaluate.config import ProbeConfig
from napari_xmag.stats.folds import Indices, inner_folds

Features = NDArray[np.float32]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Training:
    """Rows to learn from: features (N, D), classes int (N,) of ``classes``, groups int (N,)."""

    features: Features
    labels: Indices
    groups: Indices
    classes: int

    def rows(self, chosen: Indices) -> "Training":
        """Return some of the rows."""
        return Training(
            self.features[chosen], self.labels[chosen], self.groups[chosen], self.classes
        )


@dataclass(frozen=True)
class Probed:
    """Probabilities (M, C) of test rows, and what the classifier settled on."""

    probabilities: Floats
    strength: float | None = None
    converged: bool = True


def linear_probe(training: Training, test: Features, settings: ProbeConfig, seed: int) -> Probed:
    """Logistic regression on standardized features; C from folds inside the training rows.

    With ``settings.bounded`` no feature of a test row lies outside its range in the rows that are
    learned from.

    Parameters
    ----------
    test
        Float (M, D).
    """
    strength = choose_strength(training, settings, seed)
    path = _fit_path(training, (strength,), test, settings)
    return Probed(path.probabilities[0], strength, path.converged)


def choose_strength(training: Training, settings: ProbeConfig, seed: int) -> float:
    """Return the C with the least log loss on held-out training rows; 1 when none can be held."""
    strengths = tuple(sorted(settings.strengths))
    folds = inner_folds(training.labels, training.groups, settings.inner_folds, seed)
    if len(strengths) == 1:
        return strengths[0]
    if not folds:
        return min(strengths, key=lambda strength: abs(np.log(strength)))
    surprise = np.zeros(len(strengths))
    for kept, held in folds:
        fitted = _fit_path(training.rows(kept), strengths, training.features[held], settings)
        found = fitted.probabilities[:, np.arange(len(held)), training.labels[held]]
        surprise -= np.log(np.maximum(found, 1e-12)).sum(1)
    return strengths[int(surprise.argmin())]


@dataclass(frozen=True)
class _Path:
    probabilities: Floats  # (strengths, M, C)
    converged: bool


def _fit_path(
    training: Training, strengths: tuple[float, ...], test: Features, settings: ProbeConfig
) -> _Path:
    """Fit from the strongest regularisation to the weakest, each from where the last one ended."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    if settings.bounded:
        test = np.clip(test, training.features.min(0), training.features.max(0))
    reduce = _reduction(training.features)
    rows, asked = reduce.transform(training.features), reduce.transform(test)
    model = LogisticRegression(max_iter=settings.most_iterations, warm_start=True)
    parts, converged = [], True
    for strength in strengths:
        model.set_params(C=strength)
        with warnings.catch_warnings():
            # told in the result instead
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(rows, training.labels)
        converged &= int(model.n_iter_.max()) < settings.most_iterations
        part = np.zeros((len(test), training.classes))
        part[:, model.classes_] = model.predict_proba(asked)
        parts.append(part)
    return _Path(np.stack(parts), converged)


def _reduction(features: Features) -> Any:
    """Standardize, and turn fewer rows than dimensions into as many coordinates.

    The turn changes nothing: what L2-regularised logistic regression finds lies in the span of
    its rows. It is only faster.
    """
    from sklearn.decomposition import PCA
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    steps = [FunctionTransformer(np.float64), StandardScaler()]
    if features.shape[0] < features.shape[1]:
        steps.append(PCA(svd_solver="full"))
    return make_pipeline(*steps).fit(features)


def nearest_neighbors(training: Training, test: Features, settings: ProbeConfig) -> Probed:
    """Votes of the nearest training rows by cosine, features centred on the training mean.

    Centred because features after a ReLU all point the same way (Wang et al. 2019,
    arXiv 1911.04623, do so for few-shot classification). No more of them vote than the rarest class
    has rows, which would be outvoted wherever it is.
    """
    from sklearn.neighbors import KNeighborsClassifier

    center = training.features.mean(0)
    rarest = int(np.unique(training.labels, return_counts=True)[1].min())
    model = KNeighborsClassifier(n_neighbors=min(settings.neighbors, rarest), metric="cosine")
    model.fit(training.features - center, training.labels)
    probabilities = np.zeros((len(test), training.classes))
    probabilities[:, model.classes_] = model.predict_proba(test - center)
    return Probed(probabilities)


def probe(
    method: str, training: Training, test: Features, settings: ProbeConfig, seed: int
) -> Probed:
    """Train one of the methods and apply it to test features (M, D)."""
    if method == "linear":
        return linear_probe(training, test, settings, seed)
    return nearest_neighbors(training, test, settings)
