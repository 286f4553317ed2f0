"""How well the evidence of patches fits the regions of the slides."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_xmag.cohort.rows import SPLITS, CohortRow
from napari_xmag.nets.info import softmax
from napari_xmag.progress.heartbeat import Steps
from napari_xmag.stats.folds import bootstrap_units, group_codes
from napari_xmag.stats.metrics import Interval, bootstrap, interval

PATCH_REPLICATES = 200

_LEVEL = 0.95
_FIGURES = ("auc", "balanced_accuracy", "accuracy")


class JudgedPatches(Protocol):
    """What is said of the labelled patches of a slide."""

    @property
    def evidence(self) -> NDArray[np.float64]:
        """Float64 (K, C)."""
        ...

    @property
    def patches(self) -> NDArray[np.int64]:
        """Int64 (K,), their classes."""
        ...


@dataclass(frozen=True)
class PatchReport:
    """How a model does on the labelled patches of one split.

    Attributes
    ----------
    patches, slides, patients
        How many.
    counts
        Patches of each class.
    figures
        ``auc`` (one class against the rest, mean over classes), ``balanced_accuracy`` and
        ``accuracy`` by the class with the most evidence; with 95 % bootstrap intervals of
        patients, where there are enough of them.
    """

    patches: int
    slides: int
    patients: int
    counts: Mapping[str, int]
    figures: Mapping[str, Interval]

    def metrics(self) -> dict[str, Any]:
        """Return all of it, ready for JSON; the figures stand at the top, as numbers."""
        content = asdict(self)
        figures = content.pop("figures")
        return {
            **{name: one["value"] for name, one in figures.items()},
            "intervals": {name: [one["low"], one["high"]] for name, one in figures.items()},
            **content,
        }


def patch_reports(
    rows: Sequence[CohortRow],
    classes: Sequence[str],
    judged: Sequence[JudgedPatches],
    seed: int,
) -> Steps[dict[str, PatchReport]]:
    """Make a report for each split that has labelled patches.

    Parameters
    ----------
    rows, judged
        Of each slide.
    classes
        Names, in the order of the evidence.
    seed
        Seed of the bootstrap.

    Yields
    ------
    How many more of `PATCH_REPLICATES` resamples of each split are done.
    """
    reports = {}
    for split in SPLITS:
        chosen = [
            (row, slide)
            for row, slide in zip(rows, judged, strict=True)
            if row.split == split and len(slide.patches)
        ]
        if chosen:
            patients = [row.patient for row, _ in chosen]
            slides = [slide for _, slide in chosen]
            reports[split] = yield from _report(slides, patients, classes, seed)
    return reports


def _report(
    slides: Sequence[JudgedPatches], patients: Sequence[str], classes: Sequence[str], seed: int
) -> Steps[PatchReport]:
    truth = np.concatenate([slide.patches for slide in slides])
    chances = softmax(np.concatenate([slide.evidence for slide in slides]))
    groups = np.repeat(group_codes(patients), [len(slide.patches) for slide in slides])
    units, _ = bootstrap_units(groups, "group")
    samples = yield from bootstrap(truth, chances, units, replicates=PATCH_REPLICATES, seed=seed)
    number = len(set(patients))
    counts = Counter(classes[label] for label in truth)
    return PatchReport(
        patches=len(truth),
        slides=len(slides),
        patients=number,
        counts={name: counts[name] for name in classes},
        figures={name: interval(samples[name], _LEVEL, number) for name in _FIGURES},
    )
