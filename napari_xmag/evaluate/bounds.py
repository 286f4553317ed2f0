"""How right a map can be at all with an encoder: probes that see the classes of all other islands.

What they reach, no number of clicks will pass by much: a click shows less.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from napari_xmag.evaluate.composed import ComposedSlide
from napari_xmag.nets.heads.patch_classifier import PlacedPatches
from napari_xmag.teach.layout import lay_out
from napari_xmag.teach.one_thread import one_thread
from napari_xmag.teach.settings import TeachSettings

STRENGTHS = (0.0003, 0.003, 0.03, 0.3)
"""Of the regularization; the best of them by the truth is taken, which flatters the probe."""

COMPONENTS = (64, 256)
"""As taught, and more of them: likewise."""

_Judged = tuple[NDArray[np.int64], NDArray[np.float64]]
"""Classes of patches (P,), and what a probe says of each class (P, C)."""

_FOLDS = 5
_FALSE_ALARMS = 0.1


@dataclass(frozen=True, slots=True)
class BoundRow:
    """What one probe reached on one slide.

    Attributes
    ----------
    question
        within: each fifth of the islands by all other islands of the slide; across: a slide by all
        slides of the other side, of the classes that both sides show; unseen: as within, one class
        against all others together.
    components, strength
        Of the probe.
    unseen
        The class of the question unseen; empty otherwise.
    auc
        Mean over classes, one against the rest.
    balanced_accuracy
        Mean over classes of the share that is right.
    hit
        Of the class unseen, the share that is found where 10 % of the others are flagged wrongly.
    """

    source: str
    encoder: str
    question: str
    slide: str
    components: int
    strength: float
    unseen: str
    auc: float
    balanced_accuracy: float
    hit: float


def bounds(source: str, encoder: str, slides: Sequence[ComposedSlide]) -> Iterator[BoundRow]:
    """Probe the slides of one source; yield one row after another."""
    for components in COMPONENTS:
        layout = lay_out([slide.prepared for slide in slides], TeachSettings(components=components))
        placed = [layout.patches[slide.prepared.id] for slide in slides]
        for strength in STRENGTHS:
            of = _Probe(source, encoder, components, strength)
            for slide, patches in zip(slides, placed, strict=True):
                yield from of.within(slide, patches)
            yield from of.across(slides, placed)


@dataclass(frozen=True)
class _Probe:
    source: str
    encoder: str
    components: int
    strength: float

    def within(self, slide: ComposedSlide, patches: PlacedPatches) -> Iterator[BoundRow]:
        known = slide.labels >= 0
        yield from self._rows("within", slide, self._by_islands(slide, patches, slide.labels))
        kinds = np.unique(slide.labels[known]).tolist()
        for unseen in kinds if len(kinds) > 2 else ():
            is_it = np.where(known, slide.labels == unseen, -1)
            parts = self._by_islands(slide, patches, is_it)
            yield from self._rows("unseen", slide, parts, slide.classes[unseen])

    def across(
        self, slides: Sequence[ComposedSlide], placed: Sequence[PlacedPatches]
    ) -> Iterator[BoundRow]:
        shared = _shared_classes(slides)
        parts = [
            (slide, patches, np.isin(slide.labels, shared))
            for slide, patches in zip(slides, placed, strict=True)
        ]
        for side in (0, 1) if len(shared) > 1 else ():
            others = [part for part in parts if part[0].side != side]
            shown = [patches.coordinates[known] for _, patches, known in others]
            labels = np.concatenate([slide.labels[known] for slide, _, known in others])
            model = self._fitted(np.concatenate(shown), labels)
            for slide, patches, known in parts:
                truth = np.searchsorted(model.classes_, slide.labels[known])
                if slide.side == side and len(np.unique(truth)) > 1:
                    values = _logits(model, patches)[known]
                    yield from self._rows("across", slide, [(truth, values)])

    def _by_islands(
        self, slide: ComposedSlide, patches: PlacedPatches, labels: NDArray[np.int64]
    ) -> Iterator[_Judged]:
        """Yield truth and values of the patches of some islands, by all patches of the others.

        Islands are judged together only with those that the same probe has not seen.
        """
        known = np.flatnonzero(labels >= 0)
        truth, islands = labels[known], slide.islands[known]
        kinds = np.unique(truth)
        count = min(_FOLDS, *(len(np.unique(islands[truth == kind])) for kind in kinds))
        if count < 2 or len(kinds) < 2:
            return  # nothing to compare
        folds = StratifiedGroupKFold(count, shuffle=True, random_state=0)
        for some, rest in folds.split(known, truth, islands):
            if len(np.unique(truth[some])) == len(np.unique(truth[rest])) == len(kinds):
                model = self._fitted(patches.coordinates[known[some]], truth[some])
                values = _logits(model, patches)[known[rest]]
                yield np.searchsorted(model.classes_, truth[rest]), values

    def _fitted(self, points: NDArray[np.float32], labels: NDArray[np.int64]) -> Pipeline:
        regression = LogisticRegression(C=self.strength, class_weight="balanced", max_iter=300)
        with one_thread():
            return make_pipeline(StandardScaler(with_std=False), regression).fit(points, labels)

    def _rows(
        self, question: str, slide: ComposedSlide, parts: Iterable[_Judged], unseen: str = ""
    ) -> Iterator[BoundRow]:
        """Yield the mean over the parts of a slide; nothing where there is none."""
        figures = [_figures(truth, values, bool(unseen)) for truth, values in parts]
        if figures:
            auc, accuracy, hit = np.mean(figures, axis=0).tolist()
            of = self.source, self.encoder, question, slide.prepared.name
            yield BoundRow(*of, self.components, self.strength, unseen, auc, accuracy, hit)


def _shared_classes(slides: Sequence[ComposedSlide]) -> list[int]:
    """Return the classes that slides of both sides show; none where there is one side only."""
    first, second = (
        {label for slide in slides if slide.side == side for label in slide.labels.tolist()}
        for side in (0, 1)
    )
    return sorted((first & second) - {-1})


def _figures(
    truth: NDArray[np.int64], values: NDArray[np.float64], is_unseen: bool
) -> tuple[float, float, float]:
    """Return AUC, balanced accuracy, and what is found of the last class."""
    kinds = np.unique(truth).tolist()
    areas = [roc_auc_score(truth == kind, values[:, kind]) for kind in kinds]
    is_right = values.argmax(1) == truth
    accuracy = np.mean([is_right[truth == kind].mean() for kind in kinds])
    hit = math.nan
    if is_unseen:
        wrong, right, _ = roc_curve(truth == 1, values[:, 1])
        hit = float(np.interp(_FALSE_ALARMS, wrong, right))
    return float(np.mean(areas)), float(accuracy), hit


def _logits(model: Pipeline, patches: PlacedPatches) -> NDArray[np.float64]:
    """Return what each patch is, (P, C), averaged over alike neighbours as a map is."""
    values = model.decision_function(patches.coordinates)
    if values.ndim == 1:  # of the second of two classes
        values = np.stack([-values, values], axis=1) / 2
    return np.asarray(values if patches.ties is None else patches.ties.mean(values))


def bound_table(rows: Iterable[BoundRow]) -> list[dict[str, Any]]:
    """Return the best mean over slides that any probe reached, for each source and question.

    With the number of those slides: a question is left out on slides that lack classes for it.
    """
    grouped: dict[tuple[str, str, str], dict[tuple[int, float], list[BoundRow]]] = {}
    for row in rows:
        of = grouped.setdefault((row.source, row.encoder, row.question), {})
        of.setdefault((row.components, row.strength), []).append(row)
    lines = []
    for key, probes in grouped.items():
        line: dict[str, Any] = dict(zip(("source", "encoder", "question"), key, strict=True))
        for name in ("auc", "balanced_accuracy", "hit"):
            means = [
                float(np.mean([getattr(row, name) for row in some])) for some in probes.values()
            ]
            line[name] = None if np.isnan(means).any() else max(means)
        line["slides"] = len({row.slide for some in probes.values() for row in some})
        lines.append(line)
    return lines
